"""The settled days of a payee's videos, or of one of them, for a spreadsheet."""

from collections.abc import Sequence

from starlette.responses import Response

from ingestion.contract.decoding import is_video_id
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.counts.merge import ServedVersion
from serving_layer.portal.formatting import machine
from serving_layer.portal.http_files import csv_of, download
from serving_layer.portal.http_spans import days_of, span_of, wrong_days
from serving_layer.portal.http_visit import Portal, Visit, page_route
from serving_layer.portal.records import DayCount, Viewers

_COLUMNS = ("event_day", "views", "billable_views", "watched_seconds", "average_view_duration", "unique_viewers")


def days_csv_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the route; a payee gets their own videos alone."""
    return [page_route(portal, "/portal/days.csv", _days, needs=Scope.BILLABLE, is_own=True)]


async def _days(visit: Visit) -> Response:
    days, video_id = days_of(visit), visit.request.query_params.get("video_id")
    if days is None:
        return wrong_days(visit)
    payee_id, version, counts = visit.payee_id, visit.portal.version(), visit.portal.counts
    is_own = video_id is None or (is_video_id(video_id) and await visit.attempt(False, counts.owns(payee_id, video_id)))
    rows: Sequence[DayCount] = ()
    viewers: Viewers | None = None
    if is_own and version is not None and version.version > 0:
        rows = await visit.attempt((), counts.days(payee_id, version, video_id, span_of(visit, days)))
        viewers = await visit.attempt(None, counts.viewers(payee_id, version, video_id, span_of(visit, days)))
    if visit.affected or version is None:
        return visit.not_now("The settled days")
    if not is_own:
        return visit.not_found()
    return download(f"days-{video_id or payee_id}.csv", days_csv(rows, viewers, version))


def days_csv(rows: Sequence[DayCount], viewers: Viewers | None, version: ServedVersion) -> bytes:
    """Return a line for each day, with the version that it is from and how far that is settled; newest last.

    What is not known is empty.
    """
    of_version = (version.version, machine(version.settled_until) if version.settled_until else None)
    viewers_of = {each.day: each.unique_viewers for each in viewers.by_day} if viewers else {}
    return csv_of(
        (*_COLUMNS, "version", "settled_until"),
        (
            (row.day, row.views, row.billable_views, row.watched_seconds, row.average_view_duration,
             viewers_of.get(row.day), *of_version)
            for row in rows
        ),
    )  # fmt: skip
