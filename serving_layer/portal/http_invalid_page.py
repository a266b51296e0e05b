"""The page of a payee's invalid traffic: six classes with their events and what they are worth, and how to object."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from starlette.responses import Response

from ingestion.contract.instants import day_of_text
from ingestion.contract.periods import Period
from ingestion.contract.traffic_reasons import InvalidClass
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.history.invalid import InvalidSum, class_sums
from serving_layer.money.appeals import OBJECTION_LENGTH_MAX
from serving_layer.money.idempotency import key_of, request_key
from serving_layer.money.statements import is_shown
from serving_layer.portal.average_view import AverageView, average_on, average_views
from serving_layer.portal.http_form import form_of, text_of
from serving_layer.portal.http_spans import days_of, span_of, wrong_days
from serving_layer.portal.http_visit import Portal, Visit, page_route, redirect
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.traffic_records import ReviewedViews, TrafficAppealRow
from serving_layer.problems.problems import ProblemError

PATH = "/portal/invalid"
SAMPLES_SHOWN = 5
MEANINGS = {
    InvalidClass.ROBOT: "A program played the video: it says so, or it keeps time as no person does.",
    InvalidClass.CONTRADICTION: "The event says two things that cannot both be true.",
    InvalidClass.IMPOSSIBLE: "Nobody can have watched that, such as more hours than a day has.",
    InvalidClass.COORDINATED: "Several viewers acted as one.",
    InvalidClass.UNNATURAL: "The views end as those of no audience do.",
    InvalidClass.ORIGIN: "The views come from where an audience does not come from.",
}


@dataclass(frozen=True)
class ShownClass:
    """One class of the page."""

    name: InvalidClass
    meaning: str
    events: int
    samples: tuple[str, ...]


@dataclass(frozen=True)
class ShownDay:
    """What is not counted, or waits, of one settled day and class."""

    day: date
    invalid_class: InvalidClass
    events: int
    """In no count."""
    under_review: int
    """Counted, and not paid until somebody decides."""
    samples: tuple[str, ...]
    worth_micros: int | None
    """What all of them would earn as average views of their period; None if that is not known."""
    currency: str | None
    appeal: TrafficAppealRow | None
    """The newest one about them."""


def invalid_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; a payee sees their own videos alone."""
    return [
        page_route(portal, PATH, _invalid, needs=Scope.BILLABLE, is_own=True),
        page_route(portal, f"{PATH}/appeal", _appeal_page, needs=Scope.APPEALS, is_own=True),
        page_route(portal, f"{PATH}/appeals", _appeal, needs=Scope.APPEALS, is_own=True, methods=("POST",)),
    ]


async def _invalid(visit: Visit) -> Response:
    days = days_of(visit)
    if days is None:
        return wrong_days(visit)
    span = span_of(visit, days)
    sums = await _sums(visit, span)
    reviewed = [each for each in await _under_review(visit) if span.contains(each.day)]
    appeals = await visit.ask((), visit.portal.traffic.appeals, visit.payee_id)
    return visit.page(
        "invalid.html",
        days=days,
        classes=shown_classes(sums),
        rows=shown_days(sums, reviewed, appeals, await _averages(visit)),
        meanings=MEANINGS,
        appeals=appeals,
        may_appeal=visit.known_caller.may(Scope.APPEALS),
    )


async def _sums(visit: Visit, span: Period) -> list[InvalidSum]:
    """Return what the current version says of settled days."""
    version = visit.portal.version()
    if version is None or version.version == 0:
        return []
    return list(await visit.attempt((), visit.portal.counts.invalid(visit.payee_id, version, span)))


async def _under_review(visit: Visit) -> Sequence[ReviewedViews]:
    return await visit.ask((), visit.portal.traffic.under_review, visit.payee_id)


async def _averages(visit: Visit) -> list[AverageView]:
    rows = await visit.ask((), visit.portal.money.statements, visit.payee_id)
    estimates = await visit.ask((), visit.portal.earnings.estimates, visit.payee_id)
    return average_views([row.summary for row in rows if is_shown(row.summary, visit.known_caller)], estimates)


def shown_classes(sums: list[InvalidSum]) -> list[ShownClass]:
    """Return all six classes with their events and the newest samples."""
    events = class_sums(sums)
    newest = sorted(sums, key=lambda each: each.event_day, reverse=True)
    return [
        ShownClass(
            each,
            MEANINGS[each],
            events[each],
            tuple(id_ for one in newest if one.invalid_class is each for id_ in one.sample_event_ids)[:SAMPLES_SHOWN],
        )
        for each in InvalidClass
    ]


def shown_days(
    sums: Iterable[InvalidSum],
    reviewed: Iterable[ReviewedViews],
    appeals: Iterable[TrafficAppealRow],
    averages: Sequence[AverageView],
) -> list[ShownDay]:
    """Return a row for each day and class with anything, newest day first, classes in their order."""
    invalid = {(each.event_day, each.invalid_class): each for each in sums}
    waiting = {(each.day, each.invalid_class): each.events for each in reviewed}
    newest: dict[tuple[date, InvalidClass], TrafficAppealRow] = {}
    for appeal in appeals:
        newest.setdefault((appeal.day, appeal.invalid_class), appeal)
    found = []
    for day in sorted({day for day, _ in {**invalid, **waiting}}, reverse=True):
        average = average_on(day, averages)
        for each in InvalidClass:
            if (key := (day, each)) in invalid or key in waiting:
                events, under_review = (invalid[key].events if key in invalid else 0), waiting.get(key, 0)
                found.append(
                    ShownDay(
                        day,
                        each,
                        events,
                        under_review,
                        invalid[key].sample_event_ids if key in invalid else (),
                        average.worth_micros(events + under_review) if average else None,
                        average.currency if average else None,
                        newest.get(key),
                    )
                )
    return found


async def _appeal_page(visit: Visit) -> Response:
    query = visit.request.query_params
    return await _form(visit, query.get("day", ""), query.get("class", ""))


async def _form(
    visit: Visit, day: str, class_: str, *, status: int = 200, refused: str | None = None, text: str = ""
) -> Response:
    """Return the form of an appeal; the page for a missing one if nothing of this payee is in the class on the day."""
    found = await _row(visit, day, class_)
    if isinstance(found, Response):
        return found
    return visit.page(
        "invalid_appeal.html",
        status=status,
        refused=refused,
        row=found,
        meaning=MEANINGS[found.invalid_class],
        text=text,
        longest=OBJECTION_LENGTH_MAX,
        request_key=secrets.token_urlsafe(16),
    )


async def _row(visit: Visit, day_text: str, class_: str) -> ShownDay | Response:
    try:
        day, its_class = day_of_text(day_text), InvalidClass(class_)
        span = Period(day, day + timedelta(days=1))
    except ValueError:
        return visit.not_found()
    sums = [each for each in await _sums(visit, span) if each.invalid_class is its_class]
    reviewed = [each for each in await _under_review(visit) if (each.day, each.invalid_class) == (day, its_class)]
    if visit.affected:
        return visit.not_now("Invalid traffic")
    found = shown_days(sums, reviewed, (), await _averages(visit))
    return found[0] if found else visit.not_found()


async def _appeal(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    day, class_, text = (text_of(form, name) for name in ("day", "class", "text"))
    found = await _row(visit, day, class_)
    if isinstance(found, Response):
        return found
    if not 1 <= len(text) <= OBJECTION_LENGTH_MAX:
        refused = f"An appeal has 1 to {OBJECTION_LENGTH_MAX} characters; this one has {len(text)}."
        return await _form(visit, day, class_, status=422, refused=refused, text=text[:OBJECTION_LENGTH_MAX])
    path = f"traffic appeal {found.day} {found.invalid_class.value}"
    try:
        key = request_key(key_of(text_of(form, "request_key")), visit.known_caller, path=path, body=text.encode())
    except ProblemError:
        refused = "The form is incomplete; send it from this page."
        return await _form(visit, day, class_, status=422, refused=refused, text=text)
    try:
        traffic = visit.portal.traffic
        await visit.ask(None, traffic.appeal, visit.payee_id, found.day, found.invalid_class, text, key)
    except RefusedActionError as error:
        return await _form(visit, day, class_, status=409, refused=str(error), text=text)
    if visit.affected:
        return await _form(visit, day, class_, status=503, text=text)
    return redirect(f"{PATH}?done=appealed#appeals")
