"""Stand-ins for the speed layer's ports, in memory, and logs to run them on."""

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import EllipsisType
from uuid import UUID

from ingestion.contract.unavailable import Part, UnavailableError
from speed_layer.chunk import EPOCH, Chunk, LogRecord, Rejection
from speed_layer.errors import OffsetsGoneError
from speed_layer.ports import LogRange, Published
from speed_layer.segments import Applied, Moved, PartitionReading, ProvisionalViews

START = datetime(2026, 11, 20, tzinfo=UTC)
START_MS = int((START - EPOCH).total_seconds() * 1000)


@dataclass(frozen=True)
class FakeRecord:
    offset: int
    timestamp: int
    value: bytes | None


def event_value(
    event_id: UUID,
    video_id: str,
    happened_at: datetime = START,
    session_id: str = "session",
    *,
    agent: str = "Player/1",
) -> bytes:
    """One event as a player sends it."""
    return (
        f'{{"event_id":"{event_id}","video_id":"{video_id}","user_id":"viewer","session_id":"{session_id}",'
        f'"timestamp":"{happened_at.isoformat()}","view_duration":31,"revenue_eligible":true,"user_agent":"{agent}"}}'
    ).encode()


@dataclass
class _Partition:
    position: int
    segment: int
    replay_until: int
    appended_at_ms: int | None = None
    applied_at_ms: int | None = None
    log: str = ""
    covered_at_ms: int | None = None
    target: tuple[int, int] | None = None
    apart: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    unknown_videos: int = 0
    unknown_ids: int = 0
    segments: dict[int, Counter[str]] = field(default_factory=dict)
    seen: defaultdict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))


class FakeSegmentStore:
    """The segment store's contract in plain Python."""

    def __init__(self, unknown_max: int = 100_000) -> None:
        self._partitions: dict[int, _Partition] = {}
        self._unknown_max = unknown_max
        self.clock_ms = START_MS

    def flush(self) -> None:
        """What FLUSHALL does."""
        self._partitions.clear()

    def apply(self, chunks: Sequence[Chunk], applied_at_ms: int) -> list[Applied | Moved]:
        return [self._apply(chunk, applied_at_ms) for chunk in chunks]

    def _apply(self, chunk: Chunk, applied_at_ms: int) -> Applied | Moved:
        span = chunk.span
        if (state := self._partitions.get(span.partition)) is None:
            return Moved(None, None)
        is_warm_up = state.position < state.segment
        if state.position != span.position or (is_warm_up and span.next_position > state.segment):
            return Moved(state.position, state.segment)
        generation = max([span.generation, *state.seen])
        known = set().union(*(state.seen.get(generation - age, set()) for age in range(3)))
        fresh = {event_id: video for event_id, video in chunk.candidates.items() if event_id not in known}
        invalid = fresh.keys() & set(chunk.invalid)
        fresh = {event_id: video for event_id, video in fresh.items() if event_id not in invalid}
        apart = self._set_apart(state, chunk, Counter(fresh.values()), is_warm_up)
        gone = {event_id for event_id, video in fresh.items() if video in apart}
        fresh = {event_id: video for event_id, video in fresh.items() if event_id not in gone}
        kept = [event_id for event_id in chunk.candidates if event_id not in gone]
        if kept:
            state.seen[generation].update(kept)
            state.seen = defaultdict(
                set, {number: ids for number, ids in state.seen.items() if number > generation - 3}
            )
        if not is_warm_up:
            state.segments[state.segment].update(Counter(fresh.values()))
        state.position, state.applied_at_ms = span.next_position, applied_at_ms
        if chunk.appended_at_ms is not None:
            state.appended_at_ms = chunk.appended_at_ms
        duplicates = len(kept) - len(fresh) - len(invalid)
        found = (0, 0) if is_warm_up else (len(fresh), len(invalid))
        return Applied(found[0], duplicates, len(gone), found[1], is_warm_up)

    def _set_apart(self, state: _Partition, chunk: Chunk, views: Mapping[str, int], is_warm_up: bool) -> set[str]:
        apart = set()
        for video in chunk.unknown_videos:
            if not views[video] or (not is_warm_up and video in state.segments[state.segment]):
                continue
            if is_warm_up and state.unknown_ids < 10 * self._unknown_max:
                state.unknown_ids += views[video]
            elif not is_warm_up and state.unknown_videos < self._unknown_max:
                state.unknown_videos += 1
            else:
                apart.add(video)
                state.apart[state.segment].add(video)
        return apart

    def now_ms(self) -> int:
        return self.clock_ms

    def beat(self, log_ends: Mapping[int, int], asked_at_ms: int, log: str) -> None:
        for partition, end in log_ends.items():
            if (state := self._partitions.get(partition)) is None:
                continue
            state.log = state.log or log
            is_reached = state.target is not None and state.position >= state.target[0]
            if state.target is not None and is_reached:
                state.covered_at_ms = state.target[1]
            if state.position >= end:
                state.covered_at_ms, state.target = asked_at_ms, None
            elif state.target is None or is_reached:
                state.target = (end, asked_at_ms)

    def cut(self, partition_count: int) -> tuple[int | None, ...]:
        for state in self._partitions.values():
            if state.position > state.segment:
                state.segment = state.position
                state.unknown_videos = state.unknown_ids = 0
                state.segments[state.segment] = Counter()
        return tuple(
            self._partitions[index].segment if index in self._partitions else None for index in range(partition_count)
        )

    def prune(self, offset_ends: Sequence[int]) -> int:
        dropped = 0
        for index, end in enumerate(offset_ends):
            if state := self._partitions.get(index):
                old = [start for start in state.segments if start < end and start != state.segment]
                dropped += len(old)
                for start in old:
                    del state.segments[start]
        return dropped

    def reset(
        self,
        partition: int,
        *,
        position: int,
        segment: int,
        replay_until: int,
        log: str = "",
        instead_of: PartitionReading | EllipsisType | None = ...,
    ) -> bool:
        state = self._partitions.get(partition)
        stored = None if state is None else (state.position, state.segment)
        read = None if instead_of is None or instead_of is ... else (instead_of.position, instead_of.segment)
        if instead_of is not ... and stored != read:
            return False
        self._partitions[partition] = _Partition(
            position, segment, replay_until, segments={segment: Counter()}, log=log
        )
        return True

    def look(self, offset_ends: Mapping[int, int]) -> dict[int, PartitionReading | None]:
        return {partition: self._reading(partition, end, ()) for partition, end in offset_ends.items()}

    def knows(self, event_id: bytes, partition_count: int) -> bool:
        known = (self._partitions[index].seen.values() for index in range(partition_count) if index in self._partitions)
        return any(event_id in ids for generations in known for ids in generations)

    def positions(self, partition_count: int) -> tuple[int | None, ...]:
        states = [self._partitions.get(index) for index in range(partition_count)]
        return tuple(None if state is None else state.position for state in states)

    def read(self, offset_ends: Sequence[int], video_ids: Sequence[str]) -> ProvisionalViews:
        readings = [self._reading(index, end, video_ids) for index, end in enumerate(offset_ends)]
        return ProvisionalViews.summed(video_ids, readings)

    def _reading(self, partition: int, offset_end: int, video_ids: Sequence[str]) -> PartitionReading | None:
        if (state := self._partitions.get(partition)) is None:
            return None
        is_reached = state.target is not None and state.position >= state.target[0]
        covered_at_ms = state.target[1] if state.target is not None and is_reached else state.covered_at_ms
        doubtful = [
            any(
                start >= offset_end and video not in state.segments[start] and video in apart
                for start, apart in state.apart.items()
                if start in state.segments
            )
            for video in video_ids
        ]
        kept = [counts for start, counts in state.segments.items() if start >= offset_end]
        return PartitionReading(
            has_segment=offset_end in state.segments,
            position=state.position,
            segment=state.segment,
            replay_until=state.replay_until,
            appended_at_ms=state.appended_at_ms,
            applied_at_ms=state.applied_at_ms,
            covered_ago_ms=None if covered_at_ms is None else abs(self.clock_ms - covered_at_ms),
            log=state.log,
            is_doubtful=tuple(doubtful),
            views=tuple(sum(counts[video] for counts in kept) for video in video_ids),
        )


@dataclass
class FakeTopic:
    """What the broker holds: records by partition, offsets with gaps, a start that retention moves."""

    records: list[list[FakeRecord]]
    starts: list[int]
    highwaters: list[int]
    log_id: str = "first"

    @classmethod
    def empty(cls, partition_count: int) -> "FakeTopic":
        return cls([[] for _ in range(partition_count)], [0] * partition_count, [0] * partition_count)

    def append(self, partition: int, timestamp: int, value: bytes | None) -> int:
        offset = self.highwaters[partition]
        self.records[partition].append(FakeRecord(offset, timestamp, value))
        self.highwaters[partition] += 1
        return offset

    def append_marker(self, partition: int) -> None:
        """An offset without a message, as the end of a transaction leaves it."""
        self.highwaters[partition] += 1


class FakeLog:
    """One group member's view of a topic; every poll brings some of what is there, by chance."""

    def __init__(self, topic: FakeTopic, rng: random.Random, *, records_max: int = 20) -> None:
        self._topic, self._rng, self._records_max = topic, rng, records_max
        self._positions: dict[int, int] = {}
        self._base = 0
        self._assignment = 0
        self._assigned: frozenset[int] = frozenset()
        self.is_down = False
        self.is_closed = False
        self.assign(range(len(topic.records)))

    def assign(self, partitions: Iterable[int]) -> None:
        """A rebalance."""
        self._assigned = frozenset(partitions)
        self._assignment += 1
        self._positions.clear()

    def poll(self, timeout_seconds: float) -> Mapping[int, Sequence[LogRecord]]:
        self._check_up()
        polled: dict[int, Sequence[LogRecord]] = {}
        for partition, position in self._positions.items():
            if position < self._topic.starts[partition]:
                raise OffsetsGoneError("removed by retention")
            waiting = [record for record in self._topic.records[partition] if record.offset >= position]
            if some := waiting[: self._rng.randint(0, self._records_max)]:
                polled[partition] = (
                    [replace(each, offset=each.offset + self._base) for each in some] if self._base else some
                )
                self._positions[partition] = some[-1].offset + 1
        return polled

    def assignment(self) -> tuple[int, frozenset[int]]:
        return self._assignment, self._assigned

    def log_id(self) -> str:
        self._check_up()
        return self._topic.log_id

    def count_from(self, base: int) -> None:
        self._base = base

    def begin(self, partition: int, position: int) -> None:
        assert partition in self._assigned
        self._positions[partition] = max(0, position - self._base)

    def hold(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    def ranges(self, partitions: Collection[int]) -> Mapping[int, LogRange]:
        self._check_up()
        starts = {each: start + self._base if (start := self._topic.starts[each]) else 0 for each in partitions}
        return {each: LogRange(starts[each], self._topic.highwaters[each] + self._base) for each in partitions}

    def first_offset_since(self, partition: int, append_time_ms: int) -> int | None:
        records = (record for record in self._topic.records[partition] if record.timestamp >= append_time_ms)
        first = next(records, None)
        return None if first is None else max(first.offset, self._topic.starts[partition]) + self._base

    def next_offset(self, partition: int) -> int:
        position = self._positions[partition]
        waiting = (record.offset for record in self._topic.records[partition] if record.offset >= position)
        return next(waiting, self._topic.highwaters[partition]) + self._base

    def close(self) -> None:
        self.is_closed = True

    def _check_up(self) -> None:
        if self.is_down:
            raise UnavailableError(Part.KAFKA, "Kafka is down")


class FakePublished:
    """What is published, set by the test."""

    def __init__(self, version: Published | None = None) -> None:
        self.version = version
        self.is_known = True

    def current(self) -> Published | None:
        if not self.is_known:
            raise UnavailableError(Part.POSTGRES, "PostgreSQL never answered")
        return self.version


class FakeDeadLetters:
    """Keeps every letter's place and first reason."""

    def __init__(self) -> None:
        self.letters: list[tuple[int, int, str]] = []
        self.is_down = False

    def send(self, partition_rejections: Iterable[tuple[int, Rejection]]) -> None:
        if self.is_down:
            raise UnavailableError(Part.KAFKA, "the dead letter topic is down")
        for partition, rejection in partition_rejections:
            self.letters.append((partition, rejection.record.offset, rejection.event.reasons[0].code))


class FakeObserver:
    """Adds up what it receives."""

    def __init__(self) -> None:
        self.tally: Counter[str] = Counter()
        self.lags: dict[int, int] = {}
        self.repairs: list[int] = []

    def polled(self) -> None:
        self.tally["polled"] += 1

    def chunk_applied(self, chunk: Chunk, applied: Applied, applied_at_ms: int) -> None:
        if not applied.is_warm_up:
            self.tally["counted"] += applied.counted
            self.tally["duplicate"] += applied.duplicates + chunk.duplicates
            self.tally["rejected"] += len(chunk.rejections)
            self.tally["late_review"] += chunk.late
            self.tally["invalid_traffic"] += applied.invalid

    def lag_known(self, partition: int, lag: int) -> None:
        self.lags[partition] = lag

    def partitions_gone(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self.lags.pop(partition, None)

    def repaired(self, partition: int) -> None:
        self.repairs.append(partition)

    def waiting(self) -> None:
        self.tally["waiting"] += 1


class FakeClock:
    """Seconds since 1970 that pass when the test says so."""

    def __init__(self, now: float = START_MS / 1000) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
