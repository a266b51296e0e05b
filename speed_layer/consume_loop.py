"""The loop of the speed layer: poll, judge, apply, recover lost state, back off while a server does not answer."""

import logging
import random
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ingestion.contract.backoff import QUICK
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogGeneration
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from ingestion.contract.unavailable import UnavailableError
from speed_layer.chunk import Chunk, LogRecord, judge, spans
from speed_layer.errors import OffsetsGoneError, SpeedLayerError
from speed_layer.ports import DeadLetters, Log, LogRange, Published, PublishedOffsets, SegmentStore, SpeedObserver
from speed_layer.recovery import (
    Horizon,
    Restart,
    Resume,
    Wait,
    check_readable,
    generation_counted,
    plan_recovery,
    plan_uninformed,
)
from speed_layer.segments import Moved, PartitionReading

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
CHECK_SECONDS = 2.0
BEAT_SECONDS = 1.0


@dataclass(frozen=True)
class LoopPorts:
    """The ports and clocks that the loop works with."""

    topic: str
    log: Log
    store: SegmentStore
    published: PublishedOffsets
    dead_letters: DeadLetters
    observer: SpeedObserver
    catalogue: Container[str]
    """The videos of the catalogue; videos that are not in it may use only a bounded amount of memory."""
    clock: Callable[[], float]
    """Seconds since 1970, for metrics only: the machine's clock may be wrong or be changed."""
    elapsed: Callable[[], float]
    """Monotonic seconds from an arbitrary start."""
    pause: Callable[[float], object]
    """Waits the given seconds, or less when the process must end."""
    attestation_keys: Mapping[str, bytes] = field(default_factory=dict)
    """The keys that may vouch for events, by id; without any none is checked."""


@dataclass
class CountedState:
    """The stored state of a partition, as this process knows it."""

    position: int
    segment: int


class ConsumeLoop:
    """Counts the partitions assigned to this process.

    The store's positions are the only truth: after any failure or crash the loop continues from
    them. Two processes that both believe they own a partition do no harm: `apply` refuses the one that is behind.
    """

    def __init__(self, ports: LoopPorts, horizon: Horizon, *, jitter: random.Random | None = None) -> None:
        self._ports = ports
        self._horizon = horizon
        self._jitter = jitter or random.Random()  # noqa: S311 (spreads retries, guards nothing)
        self._contracts = EventContracts.of_new_log(TOPIC_VIDEO_VIEWS)
        self._assignment = 0
        self._assigned: frozenset[int] = frozenset()
        self._places: dict[int, CountedState] = {}
        self._log = ""
        self._next_check_at = 0.0
        self._next_beat_at = 0.0
        self._failures = 0
        self._failed_at = 0.0

    @property
    def is_ready(self) -> bool:
        """Return whether the group has assigned partitions, all of them are counted, and no server is down."""
        return self._assignment > 0 and not self._failures and self._places.keys() == self._assigned

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Count until asked to stop; then finish the current chunk and leave the group.

        Raises:
            SpeedLayerError: continuing would give a wrong count.
        """
        try:
            while not is_stopping():
                self.step()
        finally:
            self._ports.log.close()

    def step(self) -> None:
        """Do one round. If a server does not answer, drop the cached state and wait for a bounded time."""
        try:
            is_counting = self._places.keys() == self._assigned
            seconds_to_check = max(0.0, self._next_check_at - self._ports.elapsed())
            polled = self._poll(POLL_SECONDS if is_counting else min(POLL_SECONDS, seconds_to_check))
            self._follow_assignment()
            if polled:
                self._count(polled)
            if self._ports.elapsed() >= self._next_check_at:
                self._check()
            if self._places and self._ports.elapsed() >= self._next_beat_at:
                self._beat()
            # A successful recovery is not enough: the first chunk may meet the same failure again.
            if is_counting and (polled or self._ports.elapsed() >= self._failed_at + CHECK_SECONDS):
                self._failures = 0
        except UnavailableError as error:
            self._failures += 1
            self._failed_at = self._ports.elapsed()
            self._ports.observer.waiting()
            self._places.clear()
            self._next_check_at = 0.0
            seconds = QUICK.seconds(self._failures, self._jitter.random)
            logger.warning("waiting", extra={"fields": {"reason": str(error), "seconds": round(seconds, 2)}})
            self._ports.log.hold(self._assigned)
            self._ports.pause(seconds)

    def _poll(self, timeout_seconds: float) -> Mapping[int, Sequence[LogRecord]]:
        try:
            return self._ports.log.poll(timeout_seconds)
        except OffsetsGoneError:
            # A topic that was deleted and created again lacks them as well: its own error names what to do.
            self._plans()
            raise

    def _follow_assignment(self) -> None:
        assignment, assigned = self._ports.log.assignment()
        if assignment != self._assignment:
            logger.info("partitions assigned", extra={"fields": {"partitions": sorted(assigned)}})
            self._ports.observer.partitions_gone(self._assigned - assigned)
            self._assignment, self._assigned = assignment, assigned
            self._places.clear()
            self._next_check_at = 0.0

    def _count(self, polled: Mapping[int, Sequence[LogRecord]]) -> None:
        self._ports.observer.polled()
        chunks: list[Chunk] = []
        for partition, records in polled.items():
            if place := self._places.get(partition):
                if records[0].offset < place.position:
                    raise SpeedLayerError(
                        f"partition {partition} delivered offset {records[0].offset} again; {place.position} is next"
                    )
                chunks += self._judged(partition, place, records, records[-1].offset + 1)
        self._apply(chunks)

    def _judged(self, partition: int, place: CountedState, records: Sequence[LogRecord], end: int) -> list[Chunk]:
        offsets = (place.position, end)
        generation_ms, ports = self._horizon.generation_ms, self._ports
        parts = spans(records, partition=partition, offsets=offsets, segment=place.segment, generation_ms=generation_ms)
        known = partial(judge, catalogue=ports.catalogue, attestation_keys=ports.attestation_keys)
        return [known(each, self._contracts) for each in parts]

    def _apply(self, chunks: Sequence[Chunk]) -> None:
        # 1. Rejected messages are stored elsewhere. A crash here sends them again, under the same keys.
        rejections = [(chunk.span.partition, rejection) for chunk in chunks for rejection in chunk.rejections]
        if rejections:
            self._ports.dead_letters.send(rejections)
        # 2. Store effect and position in one atomic step per chunk. A crash before it repeats the chunk; a
        #    crash after it does not, since the next process begins at the stored position.
        answers = self._ports.store.apply(chunks, int(self._ports.clock() * 1000))
        applied_at_ms = int(self._ports.clock() * 1000)
        # 3. Follow the stored positions, wherever they are.
        moved: set[int] = set()
        for chunk, answer in zip(chunks, answers, strict=True):
            partition = chunk.span.partition
            if isinstance(answer, Moved):
                moved.add(partition)
                self._follow(partition, answer)
                continue
            if place := self._places.get(partition):
                place.position = chunk.span.next_position
            self._ports.observer.chunk_applied(chunk, answer, applied_at_ms)
        for partition in moved & self._places.keys():
            self._ports.log.begin(partition, self._places[partition].position)

    def _follow(self, partition: int, moved: Moved) -> None:
        if moved.position is None or moved.segment is None:
            self._ports.log.hold([partition])
            self._places.pop(partition, None)
            self._next_check_at = 0.0
        else:
            self._places[partition] = CountedState(moved.position, moved.segment)

    def _check(self) -> None:
        """Begin assigned partitions, and restart those that do not fit the published version."""
        plans = self._plans()
        # Read last: other processes keep counting, and none of their positions may appear to be after the log's end.
        ranges = self._ports.log.ranges(self._assigned)
        for partition, plan in plans.items():
            match plan:
                case Wait():
                    continue
                case Restart():
                    self._restart(partition, plan, ranges[partition])
                case Resume():
                    self._resume(partition, plan, ranges[partition])
        self._skip_empty_offsets()
        waiting = self._assigned - self._places.keys()
        self._next_check_at = self._ports.elapsed() + (POLL_SECONDS if waiting else CHECK_SECONDS)

    def _beat(self) -> None:
        """Send a heartbeat, from which readers know how much of the log is counted."""
        # Read first: however long this process is delayed from here on, the log ended there at this instant.
        asked_at_ms = self._ports.store.now_ms()
        ranges = self._ports.log.ranges(self._places.keys())
        self._ports.store.beat(
            {partition: each.highwater for partition, each in ranges.items()}, asked_at_ms, self._log
        )
        for partition, place in self._places.items():
            self._ports.observer.lag_known(partition, max(0, ranges[partition].highwater - place.position))
        self._next_beat_at = self._ports.elapsed() + BEAT_SECONDS

    def _plans(self) -> dict[int, Resume | Restart | Wait]:
        try:
            published = self._ports.published.current()
        except UnavailableError as error:
            logger.warning("the published version is unknown", extra={"fields": {"reason": str(error)}})
            readings = self._ports.store.look(dict.fromkeys(self._assigned, 0))
            generation = self._generation(None, readings)
            return {partition: plan_uninformed(reading, generation) for partition, reading in readings.items()}
        if published:
            self._contracts = published.contracts_from_here
        ends = {partition: published.end_of(partition) if published else 0 for partition in self._assigned}
        readings = self._ports.store.look(ends)
        generation = self._generation(published, readings)
        return {
            partition: plan_recovery(partition, reading, published, horizon=self._horizon, generation=generation)
            for partition, reading in readings.items()
        }

    def _generation(
        self, published: Published | None, readings: Mapping[int, PartitionReading | None]
    ) -> LogGeneration:
        log_id = self._ports.log.log_id()
        generation = generation_counted(self._ports.topic, log_id, published, readings.values())
        self._ports.log.count_from(generation.base)
        self._log = generation.to_text()
        return generation

    def _resume(self, partition: int, plan: Resume, log: LogRange) -> None:
        # A restarted store may have lost some of the chunks that this process applied.
        place = self._places.get(partition)
        if place is None or place.position != plan.position:
            check_readable(partition, plan.position, log)
            self._ports.log.begin(partition, plan.position)
        self._places[partition] = CountedState(plan.position, plan.segment)

    def _restart(self, partition: int, plan: Restart, log: LogRange) -> None:
        check_readable(partition, plan.segment, log)
        position = plan.segment
        if plan.segment > 0:
            first = self._ports.log.first_offset_since(partition, max(0, plan.seen_since_ms))
            position = plan.segment if first is None else min(first, plan.segment)
        has_begun = self._ports.store.reset(
            partition,
            position=position,
            segment=plan.segment,
            replay_until=log.highwater,
            log=self._log,
            instead_of=plan.instead_of,
        )
        if not has_begun:
            # Another process changed the partition after it was read: the next check decides what it needs now.
            self._places.pop(partition, None)
            self._ports.log.hold([partition])
            return
        if plan.segment > 0:
            self._ports.observer.repaired(partition)
        logger.info(
            "partition restarted",
            extra={"fields": {"partition": partition, "position": position, "segment": plan.segment}},
        )
        self._places[partition] = CountedState(position, plan.segment)
        self._ports.log.begin(partition, position)

    def _skip_empty_offsets(self) -> None:
        """Move positions over offsets without a message (transaction markers), up to the end of the log."""
        chunks: list[Chunk] = []
        for partition, place in self._places.items():
            if (end := self._ports.log.next_offset(partition)) > place.position:
                chunks += self._judged(partition, place, (), end)
        if chunks:
            self._apply(chunks)
