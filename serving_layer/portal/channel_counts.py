"""The counts of a payee's videos for the pages, from the API's own readers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

from ingestion.contract.periods import Period
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.live_counts import ReadLive
from serving_layer.counts.merge import ServedCount, ServedVersion, SettledCount
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.history.history_reader import HistoryReader
from serving_layer.history.invalid import InvalidSum
from serving_layer.history.series import CompletionSum, seconds_of
from serving_layer.money.estimate_reader import EstimateReader
from serving_layer.money.todays_estimate import TodaysEstimate
from serving_layer.portal.records import (
    DayCount,
    DayViewers,
    GroupCount,
    ServedTotal,
    VideoOrder,
    VideoPage,
    VideoRow,
    Viewers,
)
from serving_layer.problems.problems import ProblemError
from serving_layer.request.cursors import Cursors
from serving_layer.request.parameters import AtVersion, SeriesQuery, TopQuery, by_utc_days
from serving_layer.request.windows import WindowKind, day_of, quarter_of_day
from serving_layer.routes.http_channels import channel_reader, served_channel
from serving_layer.routes.http_counts import served
from serving_layer.routes.http_live import video_reader

_NONE = SettledCount(0, 0)
_NOW = AtVersion()


class ServedChannelCounts:
    """Implements `serving_layer.portal.ports.ChannelCounts`; raise ProblemError if a store is away.

    `name_of` looks up a payee's name.
    """

    def __init__(
        self,
        history: HistoryReader,
        counts: CountsReader,
        metrics: ApiMetrics,
        cursors: Cursors,
        name_of: Callable[[str], Awaitable[str | None]],
        estimates: EstimateReader,
    ) -> None:
        self._history = history
        self._counts = counts
        self._metrics = metrics
        self._cursors = cursors
        self._name_of = name_of
        self._estimates = estimates

    async def name(self, payee_id: str) -> str | None:
        """See the port."""
        return await self._name_of(payee_id)

    async def owns(self, payee_id: str, video_id: str) -> bool:
        """See the port."""
        return video_id in await self._videos_of(payee_id, await self._history.version(_NOW))

    async def title(self, video_id: str) -> str | None:
        """See the port."""
        return (await self._history.titles([video_id])).get(video_id)

    async def served_video(self, video_id: str) -> ServedCount:
        """See the port."""
        (count,) = await served(self._counts, self._metrics, [video_id])
        return count

    async def served_channel(self, payee_id: str) -> ServedTotal:
        """See the port."""
        version = await self._history.version(_NOW)
        read = partial(served, self._counts, self._metrics)
        body = await served_channel(read, version, await self._videos_of(payee_id, version))
        names = ("views", "settled_views", "provisional_views", "billable_views", "complete")
        return ServedTotal(*(body[name] for name in names))

    async def today(self, payee_id: str) -> TodaysEstimate | None:
        """See the port."""
        try:
            return await self._estimates.of_payee(payee_id)
        except ProblemError as error:
            if error.problem.part is None:  # not in the catalogue yet, or with too many videos
                return None
            raise

    async def live_video(self, video_id: str) -> ReadLive:
        """See the port."""
        return video_reader(self._counts, video_id, sees_billable=True)

    async def live_channel(self, payee_id: str) -> ReadLive:
        """See the port."""
        return await channel_reader(self._counts, self._history, payee_id)

    async def videos(
        self, payee_id: str, version: ServedVersion, *, search: str, order: VideoOrder, cursor: str | None, limit: int
    ) -> VideoPage:
        """See the port. A cursor keeps the version that its list began with."""
        query, offset = f"{payee_id}?{search}&{order}", 0
        if cursor:
            number, offset = self._cursors.read(query, cursor)
            version = await self._history.version(AtVersion(number=number))
        found = await self._videos_of(payee_id, version)
        if search:
            titles, text = await self._history.titles(found), search.casefold()
            found = [each for each in found if text in each.casefold() or text in titles.get(each, "").casefold()]
        counts = await self._history.counts(found, version)
        rows = [
            VideoRow(each, count.views, count.billable_views) for each in found for count in [counts.get(each, _NONE)]
        ]
        if order is not VideoOrder.ID:
            rows.sort(key=lambda row: (-getattr(row, order), row.video_id))
        end = offset + limit
        following = self._cursors.text(query, version.version, end) if end < len(rows) else None
        return VideoPage(tuple(await self._titled(rows[offset:end])), following)

    async def days(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> Sequence[DayCount]:
        """See the port."""
        query = by_utc_days(span.start_on, span.end_on)
        found = {
            each.window: each
            for each in await self._history.series(await self._asked(payee_id, version, video_id), version, query)
        }
        return [
            DayCount(day_of(edge), found[window].views, found[window].billable_views, seconds_of(found[window]))
            if window in found
            else DayCount(day_of(edge), 0, 0, 0)
            for window, edge in enumerate(query.edges[:-1])
        ]

    async def viewers(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> Viewers | None:
        """See the port."""
        by_day, videos = by_utc_days(span.start_on, span.end_on), await self._asked(payee_id, version, video_id)
        total = await self._history.viewers(videos, version, _in_one_window(span))
        of_days = await self._history.viewers(videos, version, by_day)
        if total is None or of_days is None:
            return None
        unique, unknown = (total[0].unique_viewers, total[0].unknown_viewers) if total else (0, 0)
        found = {each.window: each.unique_viewers for each in of_days}
        days = [DayViewers(day_of(edge), found.get(window, 0)) for window, edge in enumerate(by_day.edges[:-1])]
        return Viewers(unique, unknown, tuple(days))

    async def completion(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> CompletionSum:
        """See the port."""
        videos = await self._asked(payee_id, version, video_id)
        found = await self._history.completion(videos, version, _in_one_window(span))
        return found[0] if found else CompletionSum(0, 0, 0, 0, 0, 0)

    async def top(self, payee_id: str, version: ServedVersion, span: Period, limit: int) -> Sequence[VideoRow]:
        """See the port."""
        among = tuple(await self._videos_of(payee_id, version))
        query = TopQuery(VideoOrder.VIEWS.value, span.start_on, span.end_on, among)
        found = await self._history.top(version, query)
        return await self._titled([VideoRow(each.video_id, each.views, each.billable_views) for each in found[:limit]])

    async def groups(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period, by: str
    ) -> Sequence[GroupCount]:
        """See the port."""
        videos = await self._asked(payee_id, version, video_id)
        sums = await self._history.series(videos, version, _in_one_window(span, by))
        rows = [GroupCount(getattr(each, by), each.views, each.billable_views) for each in sums if each.views]
        return sorted(rows, key=lambda row: (-row.views, row.name))

    async def invalid(self, payee_id: str, version: ServedVersion, span: Period) -> Sequence[InvalidSum]:
        """See the port."""
        videos = await self._videos_of(payee_id, version)
        return await self._history.invalid(videos, version, span.start_on, span.end_on)

    async def _titled(self, rows: Sequence[VideoRow]) -> list[VideoRow]:
        titles = await self._history.titles([each.video_id for each in rows])
        return [replace(each, title=titles.get(each.video_id)) for each in rows]

    async def _asked(self, payee_id: str, version: ServedVersion, video_id: str | None) -> Sequence[str]:
        return [video_id] if video_id is not None else await self._videos_of(payee_id, version)

    async def _videos_of(self, payee_id: str, version: ServedVersion) -> Sequence[str]:
        try:
            return await self._history.channel(payee_id, _NOW, version)
        except ProblemError as error:
            if error.problem.status == 404:  # a payee that is not in the catalogue yet owns nothing
                return ()
            raise


def _in_one_window(span: Period, *group_by: str) -> SeriesQuery:
    """Return the series of a span's UTC days together."""
    edges = (quarter_of_day(span.start_on), quarter_of_day(span.end_on))
    return SeriesQuery(edges, WindowKind.RANGE, ZoneInfo("UTC"), group_by)
