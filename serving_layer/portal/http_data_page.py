"""The data page: the platform's views, watch time, shares and rankings in a week or month, each with SQL and CSV."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from urllib.parse import urlencode

from starlette.responses import Response

from ingestion.contract.countries import UNKNOWN_COUNTRY, country_of
from ingestion.contract.instants import day_of_text
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.portal.data_ports import DataAnswers, DataVersion
from serving_layer.portal.data_questions import COLUMNS, AskedSpan, CalendarSpan, named_views, questions
from serving_layer.portal.formatting import machine
from serving_layer.portal.http_files import csv_of, download
from serving_layer.portal.http_visit import Portal, Visit, page_route

PATH = "/portal/data"
FILTERS = {"country": "A country", "device": "A device", "channel": "A channel"}
"""Filter → its name for people."""
NOTHING = DataAnswers(None, {})


@dataclass(frozen=True)
class DayRow:
    """A day of the span, beside the day in the same place of the span before."""

    day: date
    views: int
    billable_views: int
    views_before: int | None
    """None, as below: the span before has fewer days."""
    billable_views_before: int | None


@dataclass(frozen=True)
class WatchRow:
    """What was watched on a day; None: it has no view, or its seconds are not summed."""

    day: date
    watched_seconds: int | None
    average_view_duration: Decimal | None
    watched_seconds_before: int | None


@dataclass(frozen=True)
class Totals:
    """The sums of a span."""

    views: int
    billable_views: int
    watched_seconds: int | None


@dataclass(frozen=True)
class ShareRow:
    """Which part of a day is invalid or under review; percents are None without any event."""

    day: date
    counted: int
    invalid: int
    invalid_percent: Decimal | None
    """Of the events of viewers and robots together, those that no viewer made."""
    under_review: int | None
    """As the last night listed them; None: it listed none of the day, or there was no night yet."""
    review_percent: Decimal | None
    """Of the counted views, those that wait for a person."""


FIRST_DAY, LAST_DAY = date(1970, 2, 1), date(9000, 1, 1)


def data_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; none is for callers bound to a payee."""
    read = partial(page_route, portal, needs=Scope.BILLABLE, is_own=False)
    return [read(PATH, _data), read(PATH + "/{question}.csv", _csv)]


async def _data(visit: Visit) -> Response:
    asked = await _asked(visit)
    if isinstance(asked, Response):
        return asked
    sql = questions(asked)
    found = await visit.ask(NOTHING, visit.portal.data.answers, sql)
    days = [DayRow(*row) for row in found.rows.get("days", ())]
    watched = [WatchRow(*row) for row in found.rows.get("watch_time", ())]
    query = {"span": asked.span.value, "on": asked.start_on.isoformat()}
    filters = {name: getattr(asked, name) for name in FILTERS}
    return visit.page(
        "data.html",
        asked=asked,
        sql=sql,
        found=found,
        is_over=_is_over(asked, found.version),
        days=days,
        watched=watched,
        now=Totals(
            sum(each.views for each in days),
            sum(each.billable_views for each in days),
            known_sum(each.watched_seconds for each in watched),
        ),
        before=Totals(
            sum(each.views_before or 0 for each in days),
            sum(each.billable_views_before or 0 for each in days),
            known_sum(each.watched_seconds_before for each in watched),
        ),
        shares=[ShareRow(*row) for row in found.rows.get("shares", ())],
        countries=found.rows.get("countries", ()),
        devices=found.rows.get("devices", ()),
        rankings=[(name, found.rows.get(name, ())) for name in RANKINGS],
        ranking_titles=RANKINGS,
        query=urlencode(query | {name: value for name, value in filters.items() if value}),
        earlier=urlencode(query | {"on": asked.before_on.isoformat()} | filters),
        later=urlencode(query | {"on": asked.end_on.isoformat()} | filters),
    )


RANKINGS = {
    "top_videos": "Most viewed videos",
    "rising_videos": "Fastest-rising videos",
    "top_channels": "Most viewed channels",
    "rising_channels": "Fastest-rising channels",
}
"""Question → its title."""


async def _csv(visit: Visit) -> Response:
    name = visit.request.path_params["question"]
    if name not in COLUMNS:
        return visit.not_found()
    asked = await _asked(visit)
    if isinstance(asked, Response):
        return asked
    found = await visit.ask(None, visit.portal.data.answers, {name: questions(asked)[name]})
    if found is None:
        return visit.not_now("The data")
    version = found.version
    until = machine(version.settled_until) if version and version.settled_until else None
    number = version.version if version else None
    rows = ((*row, number, until) for row in found.rows[name])
    return download(
        f"{name}-{asked.span}-{asked.start_on}.csv", csv_of((*COLUMNS[name], "version", "settled_until"), rows)
    )


async def _asked(visit: Visit) -> AskedSpan | Response:
    """Return what the address asks for; without a day the span that the version is settled until."""
    query = visit.request.query_params
    name, text = query.get("span", CalendarSpan.MONTH.value), query.get("on", "")
    if name not in set(CalendarSpan):
        return visit.problem(422, "No such span", f"`span` is one of {', '.join(CalendarSpan)}.")
    for filter_name, label in FILTERS.items():
        if (refusal := visit.refused_search(query.get(filter_name, ""), label)) is not None:
            return refusal
    filters = {each: query.get(each, "") for each in FILTERS}
    if sent := filters["country"]:
        filters["country"] = country_of(sent)
        if filters["country"] == UNKNOWN_COUNTRY != sent.upper():
            sentence = f"`country` is a code of ISO 3166 such as DE, or ZZ where none is known; {sent!r} is none."
            return visit.problem(422, "No such country", sentence)
    try:
        day = day_of_text(text) if text else _settled_day(visit)
    except ValueError:
        day = date.min
    if not FIRST_DAY <= day <= LAST_DAY:
        sentence = f"`on` is a day such as 2026-11-20, from {FIRST_DAY} to {LAST_DAY}; {text[:40]!r} is none."
        return visit.problem(422, "No such day", sentence)
    asked = AskedSpan(CalendarSpan(name), CalendarSpan(name).start(day), **filters)
    return await _refused_name(visit, asked) or asked


KNOWN_NAMES = {
    "device": "`device` is a kind of device as a player sent it, such as tv",
    "channel": "`channel` is the id of a payee with settled views",
}
"""Filter → what it takes, where only settled views say which values there are."""


async def _refused_name(visit: Visit, asked: AskedSpan) -> Response | None:
    """Return the page that refuses a device or channel of which no view was ever settled."""
    named = named_views(asked)
    found = await visit.ask(NOTHING, visit.portal.data.answers, named) if named else NOTHING
    for name, rows in found.rows.items():
        if not rows:
            sentence = f"{KNOWN_NAMES[name]}; no settled view has {getattr(asked, name)!r}."
            return visit.problem(422, f"No such {name}", sentence)
    return None


def _is_over(asked: AskedSpan, version: DataVersion | None) -> bool:
    """Return whether no further view of the span will be settled."""
    settled_until = version.settled_until if version else None
    return settled_until is not None and asked.end_on <= settled_until.date()


def _settled_day(visit: Visit) -> date:
    version = visit.portal.version()
    return version.settled_until.date() if version and version.settled_until else visit.portal.now().date()


def known_sum(seconds: Iterable[int | None]) -> int | None:
    """Return the sum of what is known; None if nothing is."""
    known = [each for each in seconds if each is not None]
    return sum(known) if known else None
