"""The page of a payee's invalid traffic: six classes with their events, and how to object."""

from dataclasses import dataclass

from starlette.responses import Response

from ingestion.contract.traffic_reasons import InvalidClass
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.history.invalid import InvalidSum, class_sums
from serving_layer.portal.http_spans import days_of, span_of, wrong_days
from serving_layer.portal.http_visit import Portal, Visit, page_route

SAMPLES_SHOWN = 5
_MEANINGS = {
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


def invalid_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the route; a payee sees their own videos alone."""
    return [page_route(portal, "/portal/invalid", _invalid, needs=Scope.BILLABLE, is_own=True)]


async def _invalid(visit: Visit) -> Response:
    days = days_of(visit)
    if days is None:
        return wrong_days(visit)
    version, sums = visit.portal.version(), list[InvalidSum]()
    if version is not None and version.version > 0:
        asked = visit.portal.counts.invalid(visit.payee_id, version, span_of(visit, days))
        sums = list(await visit.attempt((), asked))
    return visit.page("invalid.html", days=days, classes=shown_classes(sums), by_day=_days(sums))


def shown_classes(sums: list[InvalidSum]) -> list[ShownClass]:
    """Return all six classes with their events and the newest samples."""
    events = class_sums(sums)
    newest = sorted(sums, key=lambda each: each.event_day, reverse=True)
    return [
        ShownClass(
            each,
            _MEANINGS[each],
            events[each],
            tuple(id_ for one in newest if one.invalid_class is each for id_ in one.sample_event_ids)[:SAMPLES_SHOWN],
        )
        for each in InvalidClass
    ]


def _days(sums: list[InvalidSum]) -> list[tuple[str, int]]:
    days = sorted({each.event_day for each in sums}, reverse=True)
    return [(day.isoformat(), sum(each.events for each in sums if each.event_day == day)) for day in days]
