"""The reach of a run: the offset vector of its cut, and the instants before which everything is covered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from batch_layer.archive.ports import LogEnds, SpeedCut
from batch_layer.errors import RefusedError
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import PublishedVersion

STALLED_AFTER = timedelta(hours=1)
"""The longest wait of an event for the speed layer before the run stops waiting for that partition."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Cut:
    """The start and end of a run in the log."""

    start: OffsetVector
    end: OffsetVector
    watermarks: tuple[datetime, ...]
    """Per partition the instant before which all appended events lie below `end`."""
    notes: tuple[str, ...] = ()
    """Unusual facts, for the operator."""
    uncut_count: int = 0
    """Partitions that the speed layer did not cut, so that the run goes to their end."""

    def parts(self, offsets_max: int) -> Iterator[tuple[OffsetVector, OffsetVector]]:
        """Yield the starts and ends of parts of about `offsets_max` offsets at most, which cover the cut in order.

        One part even if the cut is empty.
        """
        lengths = [end - start for start, end in zip(self.start.ends, self.end.ends, strict=True)]
        count = max(1, -(-sum(lengths) // offsets_max))
        former = self.start
        for number in range(1, count + 1):
            ends = (start + length * number // count for start, length in zip(self.start.ends, lengths, strict=True))
            end = OffsetVector(self.end.topic, tuple(ends))
            yield former, end
            former = end


def take_cut(
    log: LogEnds, speed: SpeedCut, topic: str, former: PublishedVersion | None, *, begin_at_oldest: bool = False
) -> Cut:
    """Cut the speed layer's segments and return the reach of the run.

    The broker's time is read first: if the cut reaches the highwater that is read afterwards, everything appended
    before that time lies below it, so an idle partition delays nothing.

    `begin_at_oldest`: the first version may leave out what the broker has already deleted.

    Raises:
        RefusedError: the speed layer is ahead of the broker, or records were deleted before they were archived.
    """
    broker_time = log.broker_time()
    partition_count = log.partition_count()
    positions, notes = _positions(speed, partition_count)
    highwaters = log.highwaters()
    start = _start(log, former, topic, begin_at_oldest)
    _refuse_shorter(start, highwaters)
    if former is None and any(each > log.base for each in start.ends):
        notes.append(f"counting begins at {list(start.ends)}, where the log begins now")
    ends = []
    stalled = _stalled(log, positions, highwaters, broker_time)
    if stalled:
        positions = [None if partition in stalled else position for partition, position in enumerate(positions)]
        notes.append(
            f"no progress of the speed layer in partitions {', '.join(map(str, sorted(stalled)))}; going to their end"
        )
    for partition, (position, highwater, begin) in enumerate(zip(positions, highwaters, start.ends, strict=True)):
        if position is not None and position > highwater:
            raise RefusedError(
                f"partition {partition}: the speed layer has counted up to offset {position} and Kafka ends at "
                f"{highwater}; they do not belong together"
            )
        ends.append(max(begin, highwater if position is None else position))
    end = OffsetVector(topic, tuple(ends))
    return Cut(start, end, _watermarks(log, end, highwaters, broker_time, former), tuple(notes), positions.count(None))


def _positions(speed: SpeedCut, partition_count: int) -> tuple[Sequence[int | None], list[str]]:
    try:
        positions = speed.cut(partition_count)
    except UnavailableError as error:
        return [None] * partition_count, [f"no cut in the speed layer ({error}); going to the end of the log"]
    without = [str(partition) for partition, position in enumerate(positions) if position is None]
    notes = [f"the speed layer has no state for partitions {', '.join(without)}; going to their end"] if without else []
    return positions, notes


def _stalled(
    log: LogEnds, positions: Sequence[int | None], highwaters: Sequence[int], broker_time: datetime
) -> frozenset[int]:
    """Return the partitions whose next event has waited too long for the speed layer.

    A run must not wait for it: events that are never archived are deleted in the end. The speed layer restarts from
    the version by itself.
    """
    pairs = enumerate(zip(positions, highwaters, strict=True))
    lagging = {partition: at for partition, (at, highwater) in pairs if at is not None and at < highwater}
    waiting = log.appended_at(lagging) if lagging else {}
    return frozenset(partition for partition, since in waiting.items() if broker_time - since > STALLED_AFTER)


def _refuse_shorter(start: OffsetVector, highwaters: Sequence[int]) -> None:
    """Raise RefusedError if the log ends before what is counted: events appended there would never be read."""
    for partition, (begin, highwater) in enumerate(zip(start.ends, highwaters, strict=True)):
        if highwater < begin:
            raise RefusedError(
                f"partition {partition}: everything up to offset {begin} is counted and Kafka ends at {highwater}: it "
                "was truncated or restored from a copy; bring back what is missing, or go on with what there is by "
                "./viewledger topics new-generation"
            )


def _start(log: LogEnds, former: PublishedVersion | None, topic: str, begin_at_oldest: bool) -> OffsetVector:
    beginnings = log.beginnings()
    if former is None and begin_at_oldest:
        return OffsetVector(topic, tuple(beginnings))
    ends = former.offsets.ends if former else ()
    if former and (former.offsets.topic != topic or len(ends) > len(beginnings)):
        raise RefusedError(
            f"version {former.version} covers {counted(len(ends), 'partition')} of {former.offsets.topic}, "
            f"but {topic} has {counted(len(beginnings), 'partition')}"
        )
    # Partitions added since begin at the first offset, as all do in a new generation of the log.
    starts = tuple(max(end, log.base) for end in ends) + (log.base,) * (len(beginnings) - len(ends))
    for partition, (begin, oldest) in enumerate(zip(starts, beginnings, strict=True)):
        if oldest > begin:
            remedy = "restore them or begin a new topic"
            if former is None:
                remedy += ", or give --begin-at-oldest to leave them out of all counts permanently"
            raise RefusedError(
                f"partition {partition}: offsets {begin} to {oldest - 1} were deleted by the broker before a batch run "
                f"archived them; {remedy}"
            )
    return OffsetVector(topic, starts)


def _watermarks(
    log: LogEnds, end: OffsetVector, highwaters: Sequence[int], broker_time: datetime, former: PublishedVersion | None
) -> tuple[datetime, ...]:
    lagging = {index: offset for index, offset in enumerate(end.ends) if offset < highwaters[index]}
    appended_at = log.appended_at(lagging) if lagging else {}
    watermarks = []
    for partition in range(len(end.ends)):
        # no record at or after offset_end although the log is longer: only transaction markers follow
        instant = appended_at.get(partition, broker_time) if partition in lagging else broker_time
        reached = former.watermarks[partition] if former and partition < len(former.watermarks) else _NEVER
        watermarks.append(max(instant, reached))
    return tuple(watermarks)
