"""Read served counts: one version for both halves of every answer, even if others are published meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Protocol, TypeVar

from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.counts.coalescing import CoalescedReads
from serving_layer.counts.merge import ServedCount, ServedVersion, SettledCount, SpeedSums, merged
from serving_layer.counts.ports import PublishedVersions, SettledCounts, SpeedCounts
from serving_layer.counts.settled_cache import SettledCache
from serving_layer.problems.problems import refused

IDS_PER_ROUND_TRIP_MAX = 1_000
CHANNEL_VIDEOS_MAX = 20_000
_CHANGES_SLICE = 5_000
_SpeedAnswer = tuple[ServedVersion, SpeedSums | None]
_SettledAnswer = Mapping[int, Mapping[str, SettledCount]]
Result = TypeVar("Result")
ReadCounts = Callable[[Sequence[str]], Awaitable[list[ServedCount]]]


class ReadObserver(Protocol):
    """Observes the reader; for metrics."""

    def speed_read(self, ids: int, seconds: float, *, answered: bool) -> None:
        """Note that one round trip to the speed layer ended."""

    def settled_read(self, ids: int, seconds: float, *, answered: bool) -> None:
        """Note that one look-up of settled counts ended."""

    def pointer_read(self, seconds: float, *, answered: bool) -> None:
        """Note that one read of the pointer ended."""

    def version_known(self, version: ServedVersion) -> None:
        """Note that this version is served from now on."""


class CountsReader:
    """Serves counts in one event loop. `executor` runs the blocking ports: two threads are enough.

    Nothing is served before the first `refresh`, which reads the version from the pointer.
    """

    def __init__(
        self,
        versions: PublishedVersions,
        settled: SettledCounts,
        speed: SpeedCounts,
        *,
        partition_count: int,
        executor: Executor,
        observer: ReadObserver,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._versions = versions
        self._settled = settled
        self._speed = speed
        self._before_first = ServedVersion(0, (0,) * partition_count, None)
        self._executor = executor
        self._observer = observer
        self._cache: SettledCache | None = None
        self._speed_reads: CoalescedReads[str, _SpeedAnswer] = CoalescedReads(
            self._load_speed, keys_max=IDS_PER_ROUND_TRIP_MAX
        )
        self._settled_reads: CoalescedReads[tuple[int, str], _SettledAnswer] = CoalescedReads(
            self._load_settled, keys_max=IDS_PER_ROUND_TRIP_MAX
        )
        self._is_speed_answering = True
        self._monotonic = monotonic

    @property
    def version(self) -> ServedVersion | None:
        """Return the served version; None before the first refresh."""
        return self._cache.version if self._cache is not None else None

    @property
    def is_speed_answering(self) -> bool:
        """Return whether the last round trip to the speed layer was answered."""
        return self._is_speed_answering

    def missing_part(self, *, complete: bool) -> Part | None:
        """Return the part by which an answer read just now may miss views after the version; None if it misses none."""
        if complete:
            return None
        return Part.SPEED if self._is_speed_answering else Part.REDIS

    async def read(self, video_ids: Collection[str]) -> list[ServedCount]:
        """Return the served counts of some videos, in their order.

        Raises:
            UnavailableError: the version, or its count of a video, is not cached and cannot be read.
        """
        if self._cache is None:
            raise UnavailableError(Part.POSTGRES, "the published version is not known yet")
        version, speed = await self._speed_reads.read(video_ids)
        settled = await self._settled_of(version, video_ids)
        return [merged(video_id, version, settled.get(video_id), speed) for video_id in video_ids]

    async def refresh(self) -> None:
        """Read the pointer and, if it moved, switch to the new version; raise UnavailableError."""
        current = await self._current() or self._before_first
        if self._cache is None:
            self._cache = SettledCache(current)
        elif current.version > self._cache.version.version:
            await self._move(self._cache, current)
        elif current.version < self._cache.version.version:
            self._cache.start_over(current)  # another database; the pointer itself only moves forward
        else:
            return
        self._observer.version_known(current)

    async def _current(self) -> ServedVersion | None:
        started, answered = self._monotonic(), False
        try:
            current = await self._in_thread(self._versions.current)
            answered = True
        finally:
            self._observer.pointer_read(self._monotonic() - started, answered=answered)
        return current

    async def _move(self, cache: SettledCache, target: ServedVersion) -> None:
        """Prepare the changes while the old version is served, then switch in one step."""
        checked: set[str] = set()
        changes: dict[str, SettledCount] = {}
        for _ in range(2):  # once more for the ids requested while the first look-ups ran
            for part in _slices(sorted(cache.video_ids() - checked), _CHANGES_SLICE):
                changes |= await self._in_thread(self._settled.changes, part, cache.version.version, target.version)
                checked.update(part)
        cache.move_to(target, checked, changes)

    async def _load_speed(self, video_ids: list[str]) -> _SpeedAnswer:
        assert self._cache is not None  # noqa: S101  reads begin after the first refresh
        version = self._cache.version
        started = self._monotonic()
        sums: SpeedSums | None
        try:
            sums = await self._speed.read(version.offset_ends, video_ids)
        except UnavailableError:
            sums = None
        self._is_speed_answering = sums is not None
        self._observer.speed_read(len(video_ids), self._monotonic() - started, answered=sums is not None)
        return version, sums

    async def _settled_of(
        self, version: ServedVersion, video_ids: Collection[str]
    ) -> Mapping[str, SettledCount | None]:
        if version.version == 0:
            return {}
        found: dict[str, SettledCount | None] = {}
        missing = []
        # The cache may have moved on since the speed layer was read: then the answer stays with its own version.
        cache = self._cache if self._cache is not None and self._cache.version is version else None
        for video_id in video_ids:
            if cache is not None and video_id in cache:
                found[video_id] = cache.get(video_id)
            else:
                missing.append((version.version, video_id))
        if missing:
            found |= (await self._settled_reads.read(missing))[version.version]
        return found

    async def _load_settled(self, keys: list[tuple[int, str]]) -> _SettledAnswer:
        by_version: dict[int, list[str]] = {}
        for number, video_id in keys:
            by_version.setdefault(number, []).append(video_id)
        answers: dict[int, Mapping[str, SettledCount]] = {}
        for number, video_ids in by_version.items():
            started, answered = self._monotonic(), False
            try:
                answers[number] = await self._in_thread(self._settled.counts, video_ids, number)
                answered = True
            finally:
                self._observer.settled_read(len(video_ids), self._monotonic() - started, answered=answered)
            if self._cache is not None and self._cache.version.version == number:
                self._cache.remember(video_ids, answers[number])
        return answers

    async def _in_thread(self, call: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)


def refuse_too_large(video_ids: Collection[str]) -> None:
    """Raise ProblemError(channel_too_large) if a channel has more videos than can be summed at once."""
    if len(video_ids) > CHANNEL_VIDEOS_MAX:
        raise refused("channel_too_large", f"the channel has more than {CHANNEL_VIDEOS_MAX} videos; ask for its series")


async def read_at_one_version(read: ReadCounts, video_ids: Sequence[str]) -> list[ServedCount]:
    """Return the served counts of any number of videos: if a version is published in between, read them again.

    Raises:
        ProblemError: version_changing.
    """
    for _ in range(3):
        counts: list[ServedCount] = []
        for part in _slices(video_ids, IDS_PER_ROUND_TRIP_MAX):
            counts += await read(part)
        if len({count.version for count in counts}) <= 1:
            return counts
    raise refused(
        "version_changing", "versions are published while the channel is read; try again", {"Retry-After": "1"}
    )


def _slices(video_ids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (video_ids[start : start + size] for start in range(0, len(video_ids), size))
