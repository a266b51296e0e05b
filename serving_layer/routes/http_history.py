"""Settled views over time, of channels, and by rank.

Nothing provisional is in a series: its windows are of event time, which only the batch layer knows exactly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.decoding import is_video_id
from serving_layer.access.access import Caller, Scope, nothing_here, require, require_payee
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.counts.merge import ServedVersion
from serving_layer.history.history_reader import HistoryReader
from serving_layer.history.series import series_rows, top_rows
from serving_layer.problems.problems import ProblemError
from serving_layer.request.cursors import Cursors
from serving_layer.request.parameters import (
    COMMON,
    LIMIT_DEFAULT,
    LIMIT_MAX,
    TOP_LIMIT_DEFAULT,
    TOP_LIMIT_MAX,
    AtVersion,
    Parameters,
)
from serving_layer.request.video_ids import malformed
from serving_layer.request.windows import instant_of
from serving_layer.routes.http_answers import FOR_EVER, SECONDS, answer, format_of

_SERIES = COMMON | {"from", "to", "window", "timezone", "group_by"}
_TOP = COMMON | {"by", "from", "to"}


@dataclass(frozen=True)
class History:
    """What the routes work with. `now` returns the instant of a request."""

    reader: HistoryReader
    cursors: Cursors
    now: Callable[[], datetime]
    counts_are_public: bool = True


def history_routes(guard: Guard, history: History) -> list[GuardedRoute]:
    """Return the routes of series and of the ranking."""

    async def video_series(request: Request, caller: Caller) -> Response:
        video_id = request.path_params["video_id"]
        if not is_video_id(video_id):
            raise ProblemError(malformed(video_id))
        (is_own,) = await whose(history, caller, [video_id])
        sees_billable = is_own and caller.may(Scope.BILLABLE)
        page = await _page(history, request, _SERIES)
        return await _series(history, request, caller, page, [video_id], {"video_id": video_id}, sees_billable)

    async def channel_series(request: Request, caller: Caller) -> Response:
        payee_id = request.path_params["payee_id"]
        require_payee(caller, payee_id)
        page = await _page(history, request, _SERIES)
        video_ids = await history.reader.channel(payee_id, page.asked, page.version)
        return await _series(history, request, caller, page, video_ids, {"payee_id": payee_id}, True)

    async def top(request: Request, caller: Caller) -> Response:
        return await _top(history, request, caller)

    return [
        guard.route("/v1/videos/{video_id:path}/views/series", video_series, needs=Scope.COUNTS, cost=5),
        guard.route("/v1/channels/{payee_id}/views/series", channel_series, needs=Scope.BILLABLE, cost=10),
        guard.route("/v1/top", top, needs=Scope.COUNTS, cost=10),
    ]


async def whose(history: History, caller: Caller, video_ids: Sequence[str]) -> list[bool]:
    """Return, for each video, whether the caller may see more of it than the public.

    Raises:
        ProblemError: not_found, where views are not public and one of them is not the caller's.
    """
    if caller.is_anonymous:
        return [False] * len(video_ids)
    own = await history.reader.own_among(caller, video_ids)
    if not history.counts_are_public and len(own) < len(set(video_ids)):
        raise nothing_here()
    return [each in own for each in video_ids]


@dataclass(frozen=True)
class Page:
    """Which part of which version's answer is asked for, and in which form."""

    parameters: Parameters
    asked: AtVersion
    version: ServedVersion
    query: str
    offset: int
    form: str

    def cut(self, rows: Sequence[Any], limit: int, cursors: Cursors) -> tuple[Sequence[Any], str | None]:
        """Return the page's rows and the cursor of the next page, None at the end."""
        end = self.offset + limit
        following = cursors.text(self.query, self.version.version, end) if end < len(rows) else None
        return rows[self.offset : end], following

    def envelope(self, until: datetime) -> dict[str, Any]:
        """Return what every answer says; complete: everything received until `until` is settled."""
        settled_until = self.version.settled_until
        return {
            "version": self.version.version,
            "settled_until": settled_until,
            "as_of": settled_until,
            "complete": settled_until is not None and until <= settled_until,
        }

    @property
    def kept(self) -> str:
        """How long the answer may be kept."""
        return FOR_EVER if self.asked.number is not None else SECONDS


async def _page(history: History, request: Request, allowed: frozenset[str]) -> Page:
    parameters = Parameters(request.query_params.multi_items(), allowed)
    form = format_of(request, parameters)
    asked, offset = parameters.at_version(history.now()), 0
    query = f"{request.url.path}?{parameters.canonical()}"
    if cursor := parameters.text("cursor"):
        # The following pages are of the first one's version, whatever is published meanwhile.
        number, offset = history.cursors.read(query, cursor)
        version = await history.reader.version(AtVersion(number=number) if number else AtVersion())
    else:
        version = await history.reader.version(asked)
    return Page(parameters, asked, version, query, offset, form)


async def _series(
    history: History,
    request: Request,
    caller: Caller,
    page: Page,
    video_ids: Sequence[str],
    of: dict[str, str],
    sees_billable: bool,
) -> Response:
    query, limit = page.parameters.series(), page.parameters.limit(LIMIT_DEFAULT, LIMIT_MAX)
    sums = await history.reader.series(video_ids, page.version, query) if page.version.version else []
    rows, following = page.cut(series_rows(query, sums, with_billable=sees_billable), limit, history.cursors)
    start, end = (instant_of(edge, query.zone) for edge in (query.edges[0], query.edges[-1]))
    body = {
        **of,
        **page.envelope(end),
        "window": query.kind,
        "timezone": query.zone.key,
        "from": start,
        "to": end,
        "group_by": query.group_by,
        "rows": rows,
        "next": following,
    }
    columns = ("start", "end", *query.group_by, "views", "billable_views")
    return answer(request, caller, body, form=page.form, columns=columns, kept=page.kept)


async def _top(history: History, request: Request, caller: Caller) -> Response:
    page = await _page(history, request, _TOP)
    query, limit = page.parameters.top(), page.parameters.limit(TOP_LIMIT_DEFAULT, TOP_LIMIT_MAX)
    sees_billable = caller.payee_id is None and caller.may(Scope.BILLABLE)
    if not history.counts_are_public and caller.payee_id is not None:
        raise nothing_here()  # every ranking tells about others
    if query.by == "billable_views" and not sees_billable:
        require(caller, Scope.BILLABLE)
        raise nothing_here()  # a ranking by billable views would tell a creator about others
    sums = await history.reader.top(page.version, query) if page.version.version else []
    rows, following = page.cut(top_rows(query.by, sums, with_billable=sees_billable), limit, history.cursors)
    end = datetime.combine(query.end_on, datetime.min.time(), tzinfo=history.now().tzinfo)
    body = {
        **page.envelope(end),
        "by": query.by,
        "from": query.start_on,
        "to": query.end_on,
        "rows": rows,
        "next": following,
    }
    columns = ("rank", "video_id", "views", "billable_views")
    return answer(request, caller, body, form=page.form, columns=columns, kept=page.kept)
