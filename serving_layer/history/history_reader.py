"""Read settled views over time without blocking the event loop, each answer from one version."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import date
from typing import TypeVar

from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import ExpiredVersionError
from serving_layer.access.access import Caller, nothing_here
from serving_layer.counts.merge import ServedCount, ServedVersion, SettledCount, SpeedSums, merged
from serving_layer.history.invalid import InvalidSum
from serving_layer.history.ports import Channels, QueryTooSlowError, SettledHistory
from serving_layer.history.series import CompletionSum, VideoSum, ViewerSum, WindowSum
from serving_layer.problems.problems import ProblemError, refused
from serving_layer.request.parameters import AtVersion, SeriesQuery, TopQuery

Found = TypeVar("Found")
TOP_MOST = 10_000
"""The last rank that can be read."""
_REMEMBERED_SUMS = 64
_SECONDS_MAX = 5.0
_OWNERS_MAX = 100_000
_OWNERS_SECONDS = 30.0
"""How long a change of the catalogue may take to become visible to creators."""


class HistoryReader:
    """Reads through the ports in `executor`; for one event loop.

    Raises:
        ProblemError: the requested data does not exist, takes too long, or the store is away.
    """

    def __init__(
        self,
        history: SettledHistory,
        channels: Channels,
        executor: Executor,
        *,
        current: Callable[[], ServedVersion | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._channels = channels
        self._executor = executor
        self._current = current
        self._monotonic = monotonic
        self._owners: dict[str, tuple[frozenset[str], float]] = {}
        self._sums: OrderedDict[Hashable, object] = OrderedDict()

    async def version(self, wanted: AtVersion) -> ServedVersion:
        """Return the requested version."""
        current = self._current()
        if current is None:
            raise settled_unavailable()
        if not wanted.is_fixed:
            return current
        if wanted.number == current.version:
            return current
        if wanted.number is not None:
            found = await self._called(self._history.version, wanted.number)
            if found is None:
                there = f"versions 1 to {current.version} are" if current.version else "none is yet"
                raise refused("version_not_found", f"version {wanted.number} is not published; {there}")
            return found
        found = await self._called(self._history.version_at, wanted.as_of)
        if found is None:
            raise refused("version_not_found", f"nothing was published yet at {wanted.as_of:%FT%TZ}")
        return found

    async def series(self, video_ids: Sequence[str], version: ServedVersion, query: SeriesQuery) -> list[WindowSum]:
        """Return the sums of a series, cached for the next page."""
        key = (version, tuple(video_ids), query)
        return await self._remembered(key, version, self._history.series, video_ids, version.version, query)

    async def viewers(
        self, video_ids: Sequence[str], version: ServedVersion, query: SeriesQuery
    ) -> list[ViewerSum] | None:
        """Return the viewers of a series by UTC days, cached for the next page; None if the version counted none."""
        if not version.version:
            return []
        key = ("viewers", version, tuple(video_ids), query)
        return await self._remembered(key, version, self._history.viewers, video_ids, version.version, query)

    async def completion(
        self, video_ids: Sequence[str], version: ServedVersion, query: SeriesQuery
    ) -> list[CompletionSum]:
        """Return how far the viewers of a series by UTC days got, cached for the next page."""
        if not version.version:
            return []
        key = ("completion", version, tuple(video_ids), query)
        return await self._remembered(key, version, self._history.completion, video_ids, version.version, query)

    async def top(self, version: ServedVersion, query: TopQuery) -> list[VideoSum]:
        """Return a ranking, cached: it is the most expensive query, and the same for every caller."""
        return await self._remembered((version, query), version, self._history.top, version.version, query, TOP_MOST)

    async def invalid(
        self, video_ids: Sequence[str], version: ServedVersion, start_on: date, end_on: date
    ) -> list[InvalidSum]:
        """Return the invalid traffic of the settled days in [start_on, end_on) (UTC), cached for the next answer."""
        if not version.version:
            return []
        key = ("invalid", version, tuple(video_ids), start_on, end_on)
        return await self._remembered(key, version, self._history.invalid, video_ids, version.version, start_on, end_on)

    async def channel(self, payee_id: str, wanted: AtVersion, version: ServedVersion) -> Sequence[str]:
        """Return a payee's videos by the newest catalogue, or by the one known when the version was published."""
        found = await self._called(self._channels.video_ids, payee_id, version.version if wanted.is_fixed else None)
        if found is None:
            raise nothing_here()
        return found

    async def shares(self, payee_id: str, day: date) -> Mapping[str, int]:
        """Return the payee's share of each video of theirs on a UTC day, in parts per million."""
        found = await self._called(self._channels.shares, payee_id, day)
        if found is None:
            raise nothing_here()
        return found

    async def count(self, video_id: str, version: ServedVersion) -> ServedCount:
        """Return a version's counts of a video, which never change: nothing provisional."""
        found = await self.counts([video_id], version)
        return merged(video_id, version, found.get(video_id), SpeedSums(version.offset_ends, {}, True, None))

    async def counts(self, video_ids: Sequence[str], version: ServedVersion) -> Mapping[str, SettledCount]:
        """Return a version's counts of some videos; unknown videos are absent."""
        return await self._at(version, self._history.counts, video_ids, version.version)

    async def totals(self, video_ids: Sequence[str], version: ServedVersion) -> SettledCount:
        """Return the sum of a version's counts of some videos."""
        return await self._at(version, self._history.totals, video_ids, version.version)

    async def titles(self, video_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the titles of videos by the newest catalogue; videos without one are absent."""
        return await self._called(self._channels.titles, video_ids) if video_ids else {}

    async def own_among(self, caller: Caller, video_ids: Sequence[str]) -> set[str]:
        """Return, of these videos, those of which the caller may see more than the public."""
        if caller.payee_id is None:
            return set() if caller.is_anonymous else set(video_ids)
        now = self._monotonic()
        unknown = [each for each in video_ids if each not in self._owners or self._owners[each][1] <= now]
        if unknown:
            if len(self._owners) + len(unknown) > _OWNERS_MAX:
                self._owners.clear()
            payees = await self._called(self._channels.payees, unknown)
            until = now + _OWNERS_SECONDS
            self._owners |= {each: (payees.get(each, frozenset()), until) for each in unknown}
        return {each for each in video_ids if caller.sees_any_payee(self._owners[each][0])}

    async def _remembered(
        self, key: Hashable, version: ServedVersion, call: Callable[..., Found], *arguments: object
    ) -> Found:
        if key in self._sums:
            self._sums.move_to_end(key)
            return self._sums[key]  # type: ignore[return-value]  # what the same call gave before
        found = await self._at(version, call, *arguments)
        self._sums[key] = found
        while len(self._sums) > _REMEMBERED_SUMS:
            self._sums.popitem(last=False)
        return found

    async def _at(self, version: ServedVersion, call: Callable[..., Found], *arguments: object) -> Found:
        """Return a version's sums; refuse those of a version that expired before they were read completely."""
        found = await self._called(call, *arguments)
        current = self._current()
        if current is None or version.version < current.version:
            await self._called(self._history.version, version.version)
        return found

    async def _called(self, call: Callable[..., Found], *arguments: object) -> Found:
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)
        except UnavailableError as error:
            raise settled_unavailable() from error
        except ExpiredVersionError as error:
            raise refused("version_expired", str(error)) from error
        except (TimeoutError, QueryTooSlowError) as error:
            raise refused(
                "query_too_slow",
                "the sums take too long; request a shorter range or fewer groups, or try again later",
                {"Retry-After": "5"},
            ) from error


def settled_unavailable() -> ProblemError:
    """Return the answer while PostgreSQL is away."""
    return refused(
        "settled_counts_unavailable",
        "PostgreSQL does not answer, so the settled count cannot be read now; try again shortly",
        {"Retry-After": "2"},
    )
