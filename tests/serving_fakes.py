"""The ports of serving in memory. Each can be made to fail or to wait, as its real twin does."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from typing import Any

from serving_layer.counts_reader import CountsReader
from serving_layer.merge import ServedVersion, SettledCount, SpeedSums
from serving_layer.ports import SettledUnavailableError, SpeedUnavailableError

PARTITIONS = 3
SETTLED_UNTIL = datetime(2026, 11, 23, 8, tzinfo=UTC)
APPENDED_AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


def version(number: int) -> ServedVersion:
    return ServedVersion(number, (100 * number,) * PARTITIONS, SETTLED_UNTIL)


class FakePublished:
    """Both ports on published versions: a pointer and rows (video, version) → counts."""

    def __init__(self) -> None:
        self.pointer: ServedVersion | None = None
        self.rows: dict[tuple[str, int], SettledCount] = {}
        self.is_away = False
        self.asked: list[tuple[str, ...]] = []

    def publish(self, counts: Mapping[str, tuple[int, int]], pointer: ServedVersion | None = None) -> ServedVersion:
        number = self.pointer.version + 1 if self.pointer else 1
        for video_id, (views, billable_views) in counts.items():
            self.rows[video_id, number] = SettledCount(views, billable_views)
        self.pointer = pointer or version(number)
        return self.pointer

    def current(self) -> ServedVersion | None:
        self._check()
        return self.pointer

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        self.asked.append(tuple(video_ids))
        return self.changes(video_ids, 0, version)

    def changes(self, video_ids: Sequence[str], after: int, through: int) -> Mapping[str, SettledCount]:
        self._check()
        found = {}
        for number in range(after + 1, through + 1):
            found |= {each: self.rows[each, number] for each in video_ids if (each, number) in self.rows}
        return found

    def _check(self) -> None:
        if self.is_away:
            raise SettledUnavailableError("the store of versions is away")


class FakeSpeed:
    """Counts by (offset_end of partition 0, video). `gate` holds round trips back until it is set."""

    def __init__(self) -> None:
        self.views: dict[tuple[int, str], int] = {}
        self.is_complete = True
        self.is_away = False
        self.trips: list[tuple[tuple[int, ...], list[str]]] = []
        self.gate: asyncio.Event | None = None

    async def read(self, offset_ends: tuple[int, ...], video_ids: Sequence[str]) -> SpeedSums:
        self.trips.append((offset_ends, list(video_ids)))
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise SpeedUnavailableError("Redis is away")
        views = {video_id: self.views.get((offset_ends[0], video_id), 0) for video_id in video_ids}
        return SpeedSums(offset_ends, views, self.is_complete, APPENDED_AT)


class SilentObserver:
    """Is told and says nothing."""

    def speed_read(self, ids: int, seconds: float, *, answered: bool) -> None: ...
    def settled_read(self, ids: int, seconds: float, *, answered: bool) -> None: ...
    def pointer_read(self, seconds: float, *, answered: bool) -> None: ...
    def version_known(self, version: ServedVersion) -> None: ...


class InlineExecutor(Executor):
    """Runs a call at once, so that a test decides what happens when."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  handed on, as every executor does
            done.set_exception(error)
        return done


def reader_of(published: FakePublished, speed: FakeSpeed, **settings: Any) -> CountsReader:
    settings = {"executor": InlineExecutor(), "observer": SilentObserver(), "partition_count": PARTITIONS} | settings
    return CountsReader(published, published, speed, **settings)
