"""Settled views over time, of channels, and by rank.

Nothing provisional is in a series: its windows are of event time, which only the batch layer knows exactly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access.access import Caller, Scope, nothing_here, require
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, OwnPayee, needing
from serving_layer.counts.merge import ServedVersion
from serving_layer.history.history_reader import HistoryReader
from serving_layer.history.series import (
    COMPLETION,
    ChannelSeries,
    Top,
    VideoSeries,
    series_rows,
    top_rows,
    with_completion,
    with_viewers,
)
from serving_layer.request.cursors import Cursors
from serving_layer.request.http_parameters import (
    AskedSeries,
    AsOf,
    Cursor,
    FirstDay,
    LastDay,
    Limit,
    Measure,
    OrderBy,
    TopLimit,
    Version,
    VideoId,
)
from serving_layer.request.parameters import (
    LIMIT_DEFAULT,
    TOP_LIMIT_DEFAULT,
    AtVersion,
    SeriesQuery,
    at_version,
    canonical,
    refuse_parts_of_days,
    top_query,
)
from serving_layer.request.windows import instant_of
from serving_layer.routes.http_answers import IMMUTABLE, SECONDS, Form, answer
from serving_layer.routes.http_described import PAGED, PUBLIC, SERIES, answered

_COLUMNS = {"views": (), "unique_viewers": ("unique_viewers", "unknown_viewers"), "completion": COMPLETION}
"""Measure → its columns in a table, if they are not the one of its name."""


@dataclass(frozen=True)
class History:
    """The parts of the routes. `now` returns the instant of a request."""

    reader: HistoryReader
    cursors: Cursors
    now: Callable[[], datetime]
    counts_are_public: bool = True


def history_routes(guard: Guard, history: History) -> list[GuardedRoute]:
    """Return the routes of series and of the ranking."""
    return [
        guard.route(
            "/v1/videos/{video_id:path}/views/series",
            partial(video_series, history),
            summary="Settled views of a video over time",
            responses=answered(VideoSeries, "The series", (*SERIES, "not_found", "video_id_malformed")),
            openapi_extra=PUBLIC,
        ),
        guard.route(
            "/v1/channels/{payee_id}/views/series",
            partial(channel_series, history),
            summary="Settled views of a channel over time",
            responses=answered(ChannelSeries, "The series", (*SERIES, "not_found")),
        ),
        guard.route(
            "/v1/top",
            partial(top, history),
            summary="The most viewed videos of some days (UTC)",
            responses=answered(Top, "The ranking", (*PAGED, "order_unknown", "not_found")),
            openapi_extra=PUBLIC,
        ),
    ]


async def whose(history: History, caller: Caller, video_ids: Sequence[str]) -> list[bool]:
    """Return, for each video, whether the caller may see more of it than the public.

    Raises:
        ProblemError: not_found, if views are not public and one of them is not the caller's.
    """
    if caller.is_anonymous:
        return [False] * len(video_ids)
    own = await history.reader.own_among(caller, video_ids)
    if not history.counts_are_public and len(own) < len(set(video_ids)):
        raise nothing_here()
    return [each in own for each in video_ids]


@dataclass(frozen=True)
class AskedPage:
    """The requested part of a version's answer, and its form."""

    request: Request
    form: str
    number: int | None
    as_of: datetime | None
    cursor: str | None

    def at_version(self, now: datetime) -> AtVersion:
        """Return the requested version; raise ProblemError."""
        sent = self.request.query_params.get("as_of", "")
        return at_version(self.number, self.as_of, sent=sent, now=now)

    async def read(self, history: History) -> "Page":
        """Return the page with its version; raise ProblemError."""
        at, offset = self.at_version(history.now()), 0
        query = f"{self.request.url.path}?{canonical(self.request.query_params.multi_items())}"
        if self.cursor:
            # The following pages are of the first one's version, even if others are published meanwhile.
            number, offset = history.cursors.read(query, self.cursor)
            version = await history.reader.version(AtVersion(number=number) if number else AtVersion())
        else:
            version = await history.reader.version(at)
        return Page(at, version, query, offset)


async def _asked_page(
    request: Request, form: Form, *, version: Version = None, as_of: AsOf = None, cursor: Cursor = None
) -> AskedPage:
    return AskedPage(request, form, version, as_of, cursor)


Asked = Annotated[AskedPage, Depends(_asked_page)]


@dataclass(frozen=True)
class Page:
    """A part of a version's answer."""

    at: AtVersion
    version: ServedVersion
    query: str
    offset: int

    def cut(self, rows: Sequence[Any], limit: int, cursors: Cursors) -> tuple[Sequence[Any], str | None]:
        """Return the page's rows and the cursor of the next page, None at the end."""
        end = self.offset + limit
        following = cursors.text(self.query, self.version.version, end) if end < len(rows) else None
        return rows[self.offset : end], following

    def envelope(self, until: datetime) -> dict[str, Any]:
        """Return the common fields of every answer; complete: everything received until `until` is settled."""
        settled_until = self.version.settled_until
        return {
            "version": self.version.version,
            "settled_until": settled_until,
            "as_of": settled_until,
            "complete": settled_until is not None and until <= settled_until,
        }

    @property
    def kept(self) -> str:
        """Return how long the answer may be cached."""
        return IMMUTABLE if self.at.number is not None else SECONDS


async def video_series(
    history: History,
    caller: Annotated[Caller, needing(Scope.COUNTS, cost=5)],
    *,
    video_id: VideoId,
    known: OnlyKnown,
    asked: Asked,
    query: AskedSeries,
    measure: Measure = "views",
    limit: Limit = LIMIT_DEFAULT,
) -> Response:
    """Return a row for each window, and for each group in it if groups are requested."""
    (is_own,) = await whose(history, caller, [video_id])
    page = await asked.read(history)
    fields = await _series(
        history,
        page,
        [video_id],
        query=query,
        measure=measure,
        limit=limit,
        billable=is_own and caller.may(Scope.BILLABLE),
    )
    return _shown(caller, asked, page, query=query, body=VideoSeries(video_id=video_id, **fields))


async def channel_series(
    history: History,
    caller: Annotated[Caller, needing(Scope.BILLABLE, cost=10)],
    *,
    payee_id: OwnPayee,
    known: OnlyKnown,
    asked: Asked,
    query: AskedSeries,
    measure: Measure = "views",
    limit: Limit = LIMIT_DEFAULT,
) -> Response:
    """Return a row for each window of all videos of the channel together."""
    page = await asked.read(history)
    video_ids = await history.reader.channel(payee_id, page.at, page.version)
    fields = await _series(history, page, video_ids, query=query, measure=measure, limit=limit, billable=True)
    return _shown(caller, asked, page, query=query, body=ChannelSeries(payee_id=payee_id, **fields))


async def _series(
    history: History,
    page: Page,
    video_ids: Sequence[str],
    *,
    query: SeriesQuery,
    measure: Measure,
    limit: int,
    billable: bool,
) -> dict[str, Any]:
    refuse_parts_of_days(query, measure)
    sums = await history.reader.series(video_ids, page.version, query) if page.version.version else []
    every = series_rows(query, sums, with_billable=billable, measure=measure)
    if measure == "unique_viewers":
        every = with_viewers(every, await history.reader.viewers(video_ids, page.version, query))
    if measure == "completion":
        every = with_completion(every, await history.reader.completion(video_ids, page.version, query))
    rows, following = page.cut(every, limit, history.cursors)
    start, end = (instant_of(edge, query.zone) for edge in (query.edges[0], query.edges[-1]))
    return {
        **page.envelope(end),
        "window": query.kind,
        "timezone": query.zone.key,
        "start": start,
        "end": end,
        "group_by": query.group_by,
        "rows": rows,
        "next": following,
        "measure": measure,
    }


def _shown(
    caller: Caller, asked: AskedPage, page: Page, *, query: SeriesQuery, body: VideoSeries | ChannelSeries
) -> Response:
    columns = ["start", "end", *query.group_by, "views", "billable_views"]
    columns += _COLUMNS.get(body.measure, (body.measure,))
    return answer(asked.request, caller, body, form=asked.form, rows=body.rows, columns=columns, kept=page.kept)


async def top(
    history: History,
    caller: Annotated[Caller, needing(Scope.COUNTS, cost=10)],
    *,
    known: OnlyKnown,
    asked: Asked,
    by: OrderBy = "views",
    start_on: FirstDay,
    end_on: LastDay,
    limit: TopLimit = TOP_LIMIT_DEFAULT,
) -> Response:
    """Return the videos with the most views first."""
    query = top_query(by, start_on, end_on)
    page = await asked.read(history)
    sees_billable = caller.payee_id is None and caller.may(Scope.BILLABLE)
    if not history.counts_are_public and caller.payee_id is not None:
        raise nothing_here()  # every ranking tells about others
    if query.by == "billable_views" and not sees_billable:
        require(caller, Scope.BILLABLE)
        raise nothing_here()  # a ranking by billable views would tell a creator about others
    sums = await history.reader.top(page.version, query) if page.version.version else []
    rows, following = page.cut(top_rows(query.by, sums, with_billable=sees_billable), limit, history.cursors)
    end = datetime.combine(end_on, datetime.min.time(), tzinfo=history.now().tzinfo)
    body = Top(**page.envelope(end), by=by, start_on=start_on, end_on=end_on, rows=rows, next=following)
    columns = ("rank", "video_id", "views", "billable_views")
    return answer(asked.request, caller, body, form=asked.form, rows=rows, columns=columns, kept=page.kept)
