"""The whole counting pipeline in one process, on fakes, with every fault as a method and every answer checked.

The loop, the merge, the cut, the settled rule and their adapters are the product's own. Their expected results come
from `Reference`, which shares no code with the product: it reads JSON into dictionaries and counts.
"""

import asyncio
import json
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import batch_layer.errors
from batch_layer.archive.cut import Cut, take_cut
from batch_layer.run.publishing import SEGMENTS_KEPT_VERSIONS
from ingestion.contract.counting import Billability, Received, Verdict, settle
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion
from jobs.settings.declared.api import API_FRESH_SECONDS
from jobs.wiring.api import SpeedLayerCounts
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.merge import ServedCount, ServedVersion
from speed_layer.chunk import Chunk, LogRecord, instant_of
from speed_layer.consume_loop import ConsumeLoop, LoopPorts
from speed_layer.errors import OffsetsGoneError
from speed_layer.ports import Published
from speed_layer.recovery import Horizon
from speed_layer.segments import Applied, Moved, PartitionReading, ProvisionalViews
from tests import serving_fakes
from tests.shipped_policies import shipped_policy_on
from tests.speed_fakes import (
    START_MS,
    FakeClock,
    FakeDeadLetters,
    FakeLog,
    FakeObserver,
    FakePublished,
    FakeSegmentStore,
    FakeTopic,
    event_value,
)

PARTITIONS = 2
VIDEOS = ("a", "b", "c")
HORIZON = Horizon(7_200_000)
FRESH_SECONDS = API_FRESH_SECONDS.default
STATES_KEPT = 8
"""The number of changes of the store that can be lost at once."""
POISON = (None, b"", b"{}", b"[]", b"\xff", b'{"event_id":1}', b'{"event_id":"1","event_id":"2"}')
EVERYTHING = 10_000
_MINUTE_MS = 60_000


class Reference:
    """The required counts, in plain Python: JSON, dictionaries, one pass."""

    REQUIRED = ("event_id", "video_id", "user_id", "session_id", "timestamp", "view_duration", "revenue_eligible")

    def __init__(self) -> None:
        self._views: list[tuple[int, int, int, str, str]] = []
        """(append time, partition, offset, event id, video) of every event that counts unless it is a repeat."""
        self._settled: dict[tuple[int, ...], dict[str, int]] = {}

    def append(self, partition: int, offset: int, appended_at_ms: int, value: bytes | None) -> None:
        try:
            pairs = json.loads(value or b"", object_pairs_hook=list)
        except ValueError:
            return
        names = [name for name, _ in pairs]
        event = dict(pairs)
        if len(names) != len(event) or any(name not in event for name in self.REQUIRED):
            return
        happened_at_ms = round(datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)
        if -35 * 24 * 60 * _MINUTE_MS <= happened_at_ms - appended_at_ms <= 5 * _MINUTE_MS:
            self._views.append((appended_at_ms, partition, offset, event["event_id"], event["video_id"]))

    def settled(self, ends: tuple[int, ...]) -> dict[str, int]:
        """Count the offsets below `ends`; an id counts once, at any place."""
        if ends not in self._settled:
            seen: set[str] = set()
            counts = dict.fromkeys(VIDEOS, 0)
            for _, partition, offset, event_id, video in sorted(self._views):
                if offset < ends[partition] and event_id not in seen:
                    seen.add(event_id)
                    counts[video] += 1
            self._settled[ends] = counts
        return self._settled[ends]

    def provisional(self, starts: Sequence[int], ends: Sequence[int]) -> dict[str, int]:
        """Count the offsets from `starts` to `ends`; an id counts once in a partition, at its first place."""
        seen: set[tuple[int, str]] = set()
        counts = dict.fromkeys(VIDEOS, 0)
        for _, partition, offset, event_id, video in self._views:
            if (partition, event_id) not in seen:
                seen.add((partition, event_id))
                counts[video] += starts[partition] <= offset < ends[partition]
        return counts


class Killed(BaseException):
    """The process dies here; nothing may catch it."""


@dataclass(frozen=True)
class Hitch:
    """The event at one of the calls of a process's ports."""

    at: str
    """The call; the first one of that name in a step."""
    kind: str
    """`kill before`, `kill after`, `refuse`, `lose reply`, `lose half` or `hold`."""
    meanwhile: Callable[[], None] = lambda: None
    """The actions of others while the process is held."""


class Wire:
    """Between a process and its ports. Only here can anything happen between two of its steps."""

    def __init__(self) -> None:
        self._hitch: Hitch | None = None

    def expect(self, hitch: Hitch | None) -> None:
        self._hitch = hitch

    def call(self, method: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self._hitch is None or self._hitch.at != method.__name__:
            return method(*arguments, **named)
        hitch, self._hitch = self._hitch, None
        if hitch.kind == "kill before":
            raise Killed
        if hitch.kind == "refuse":
            raise UnavailableError(Part.REDIS, "refused")
        if hitch.kind == "hold":
            hitch.meanwhile()
            return method(*arguments, **named)
        if hitch.kind == "lose half" and method.__name__ == "apply":
            chunks, *others = arguments  # a pipeline that broke off after some of its calls
            arguments = (chunks[: len(chunks) // 2], *others)
        method(*arguments, **named)
        raise Killed if hitch.kind == "kill after" else UnavailableError(Part.REDIS, "the reply was lost")


class Wired:
    """A port behind a wire; calls that never leave the process are not on it."""

    LOCAL = frozenset({"assignment", "begin", "hold", "next_offset", "close", "base", "count_from"})

    def __init__(self, port: Any, wire: Wire) -> None:
        self._port, self._wire = port, wire

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in self.LOCAL:
            return method
        wire = self._wire
        found = lambda *arguments, **named: wire.call(method, arguments, named)  # noqa: E731
        setattr(self, name, found)
        return found


class TwinStore(FakeSegmentStore):
    """A store that can refuse, and lose its last changes as a lost end of the append-only file makes it."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0
        self._states: deque[dict[int, Any]] = deque([{}], maxlen=STATES_KEPT)

    def state_of(self, partition: int, offset_end: int) -> PartitionReading | None:
        """Return the content, even while the store does not answer."""
        return self._reading(partition, offset_end, ())

    def flush(self) -> None:
        super().flush()
        self._changed()

    def rewind(self, changes: int) -> None:
        for _ in range(min(changes, len(self._states) - 1)):
            self._states.pop()
        self._partitions = _copied(self._states[-1])

    def apply(self, chunks: Sequence[Chunk], applied_at_ms: int) -> list[Applied | Moved]:
        self._answer()
        answers = []
        for chunk in chunks:  # each is a script of its own: the end of the file can lie between two
            answers += super().apply([chunk], applied_at_ms)
            self._changed()
        return answers

    def look(self, offset_ends: Mapping[int, int]) -> dict[int, PartitionReading | None]:
        self._answer()
        return super().look(offset_ends)

    def reset(self, partition: int, **begin: Any) -> Any:
        self._answer()
        answer = super().reset(partition, **begin)
        self._changed()
        return answer

    def beat(self, log_ends: Mapping[int, int], asked_at_ms: int, log: str) -> None:
        self._answer()
        super().beat(log_ends, asked_at_ms, log)
        self._changed()

    def cut(self, partition_count: int) -> tuple[int | None, ...]:
        self._answer()
        answer = super().cut(partition_count)
        self._changed()
        return answer

    def prune(self, offset_ends: Sequence[int]) -> int:
        self._answer()
        answer = super().prune(offset_ends)
        self._changed()
        return answer

    def read(self, offset_ends: Sequence[int], video_ids: Sequence[str]) -> ProvisionalViews:
        # Readers look after every step; they must not use up the refusals meant for the others.
        if self.refusals:
            raise UnavailableError(Part.REDIS, "refused")
        return super().read(offset_ends, video_ids)

    def _answer(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError(Part.REDIS, "refused")

    def _changed(self) -> None:
        self._states.append(_copied(self._partitions))


def _copied(partitions: Mapping[int, Any]) -> dict[int, Any]:
    copies = {}
    for partition, state in partitions.items():
        copied = copies[partition] = copy(state)
        copied.segments = {start: counts.copy() for start, counts in state.segments.items()}
        copied.seen = state.seen.copy()
        for generation, ids in state.seen.items():
            copied.seen[generation] = set(ids)
    return copies


class AsyncStore:
    """The store as an event loop reads it."""

    def __init__(self, store: TwinStore) -> None:
        self._store = store

    async def read(self, offset_ends: Sequence[int], video_ids: Sequence[str]) -> ProvisionalViews:
        return self._store.read(offset_ends, video_ids)


class Amount:
    """Replaces chance in the fake log: the number of records of a poll."""

    def __init__(self) -> None:
        self.records = EVERYTHING

    def randint(self, least: int, most: int) -> int:
        return max(least, min(self.records, most))


class TwinLog(FakeLog):
    """A member of the group, given all partitions at first; a rebalance reaches it with a poll, as with Kafka."""

    def __init__(self, topic: FakeTopic) -> None:
        self.amount = Amount()
        self.awaited: Collection[int] | None = None
        super().__init__(topic, self.amount, records_max=EVERYTHING)  # type: ignore[arg-type]

    def poll(self, timeout_seconds: float) -> Mapping[int, Sequence[LogRecord]]:
        if self.awaited is not None:
            self.assign(self.awaited)
            self.awaited = None
        return super().poll(timeout_seconds)


class BrokerView:
    """The broker as a batch run asks it."""

    base = 0

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self._topic = pipeline.topic

    def partition_count(self) -> int:
        return PARTITIONS

    def broker_time(self) -> datetime:
        return instant_of(self._pipeline.now_ms)

    def beginnings(self) -> tuple[int, ...]:
        return tuple(self._topic.starts)

    def highwaters(self) -> tuple[int, ...]:
        return tuple(self._topic.highwaters)

    def appended_at(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        found = {}
        for partition, offset in offsets.items():
            after = [each.timestamp for each in self._topic.records[partition] if each.offset >= offset]
            if after:
                found[partition] = instant_of(after[0])
        return found


class Process:
    """One speed process: the product's loop, the wire, and what it knows of the published version."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self.wire = Wire()
        self.log = pipeline.log_type(pipeline.topic)
        self.published = FakePublished()
        self.is_cut_off = False
        self.is_in_step = False
        self.knew: Published | None = None
        """What was published when its step began: it may still act upon that."""
        self.loop = pipeline.loop_type(
            LoopPorts(
                catalogue=(),
                topic=TOPIC_VIDEO_VIEWS,
                log=Wired(self.log, self.wire),  # type: ignore[arg-type]
                store=Wired(pipeline.store, self.wire),  # type: ignore[arg-type]
                published=Wired(self.published, self.wire),  # type: ignore[arg-type]
                dead_letters=Wired(pipeline.letters, self.wire),  # type: ignore[arg-type]
                observer=pipeline.observer,
                clock=pipeline.clock,
                elapsed=pipeline.clock,
                pause=pipeline.clock.pass_by,
            ),
            HORIZON,
            jitter=pipeline.jitter,
        )


@dataclass(frozen=True)
class Run:
    """A batch run between its cut and its publishing."""

    former: PublishedVersion | None
    cut: Cut


@dataclass
class Sent:
    """An event as it was sent, for sending it again."""

    value: bytes
    video: str
    number: int
    last_at_ms: dict[int, int]
    """Partition → when it was appended there last."""


class Pipeline:
    """A log, a store, processes, batch runs and readers. `check` holds what is served against the reference."""

    store_type: type[TwinStore] = TwinStore
    log_type: type[TwinLog] = TwinLog
    loop_type: type[ConsumeLoop] = ConsumeLoop
    speed_counts_type: type[SpeedLayerCounts] = SpeedLayerCounts

    def __init__(self) -> None:
        self.topic = FakeTopic.empty(PARTITIONS)
        self.now_ms = START_MS
        self.store = self.store_type()
        self.letters = FakeDeadLetters()
        self.observer = FakeObserver()
        self.clock = FakeClock()
        self.jitter = random.Random(0)
        self.processes: list[Process] = []
        self.reference = Reference()
        self.sent: list[Sent] = []
        self.is_repeated_elsewhere = False
        self.versions: list[PublishedVersion] = []
        self.published: Published | None = None
        self.run: Run | None = None
        self.archive: list[Received] = []
        self.pointer = serving_fakes.FakePublished()
        self.shown_views = dict.fromkeys(VIDEOS, 0)
        self.shown_positions = [0] * PARTITIONS
        self._events = asyncio.new_event_loop()
        self.readers = [self._reader(), self._reader()]
        for reader in self.readers:
            self._wait(reader.refresh())

    def close(self) -> None:
        self._events.close()

    # What happens on the log

    def append(self, kind: str, partition: int, minutes: int, choice: int) -> None:
        """Append one message after some minutes."""
        self.now_ms += minutes * _MINUTE_MS
        if kind == "marker":
            self.topic.append_marker(partition)
        elif kind == "poison":
            self._append(partition, POISON[choice % len(POISON)])
        elif kind in ("repeat", "repeat elsewhere", "conflict"):
            self._repeat(kind, partition, choice)
        else:
            number = len(self.sent) + 1
            # Two videos may share a partition, and one may be in both: producers choose their partitioner.
            video = VIDEOS[choice % len(VIDEOS)]
            wrong = {"fresh": 0, "late": -36 * 24 * 60, "future": 6}[kind]
            happened_at = instant_of(self.now_ms) + timedelta(minutes=wrong)
            value = event_value(UUID(int=number, version=4), video, happened_at)
            self.sent.append(Sent(value, video, number, {}))
            self._send(self.sent[-1], partition, value)

    def _repeat(self, kind: str, partition: int, choice: int) -> None:
        """Send one of the latest events again: within the horizon, or to a new place."""
        oldest_ms = self.now_ms - HORIZON.length_ms
        is_elsewhere = kind == "repeat elsewhere"
        recent = [
            each
            for each in self.sent[-12:]
            if (partition not in each.last_at_ms if is_elsewhere else each.last_at_ms.get(partition, 0) >= oldest_ms)
        ]
        if not recent:
            return
        sent = recent[-1 - choice % len(recent)]
        self.is_repeated_elsewhere |= is_elsewhere
        value = sent.value.replace(b'"session"', b'"another"') if kind == "conflict" else sent.value
        self._send(sent, partition, value)

    def _send(self, sent: Sent, partition: int, value: bytes) -> None:
        sent.last_at_ms[partition] = self.now_ms
        self._append(partition, value)

    def _append(self, partition: int, value: bytes | None) -> None:
        offset = self.topic.append(partition, self.now_ms, value)
        self.reference.append(partition, offset, self.now_ms, value)

    def retain(self, partition: int, offsets: int, *, is_unsettled: bool) -> None:
        """Remove the oldest offsets: at most those that no repair needs, or beyond the published version.

        In between lie the events whose ids a repair must know. Retention that removes them and leaves the first
        unsettled offset would have to be shorter than the age of the version plus the horizon, and is not looked at.
        """
        end = self.published.end_of(partition) if self.published else 0
        start = offsets + max(self.topic.starts[partition], end if is_unsettled else 0)
        start = min(start, self.topic.highwaters[partition])
        if not is_unsettled:
            known = [self.published, *(each.published.version for each in self.processes)]
            known += [each.knew for each in self.processes if each.is_in_step]
            start = min([start, *(self._needed_by_repair(partition, version) for version in known)])
        elif start <= end:
            return
        self.topic.starts[partition] = max(self.topic.starts[partition], start)

    def _needed_by_repair(self, partition: int, version: Published | None) -> int:
        if version is None:
            return 0
        watermark_ms = round(version.watermarks[partition].timestamp() * 1000)
        since_ms = (watermark_ms // HORIZON.generation_ms - 2) * HORIZON.generation_ms
        later = (each.offset for each in self.topic.records[partition] if each.timestamp >= since_ms)
        return min(next(later, EVERYTHING), version.end_of(partition))

    # What happens to processes

    def start(self, *, is_cut_off: bool = False) -> Process:
        """Start a process; one that is cut off cannot read the published version, and never could."""
        process = Process(self)
        process.published.version = None if is_cut_off else self.published
        process.published.is_known = not is_cut_off
        process.is_cut_off = is_cut_off
        self.processes.append(process)
        return process

    def step(
        self, process: Process, *, seconds: float = 2.5, records: int = EVERYTHING, hitch: Hitch | None = None
    ) -> None:
        """Do one round of the loop. A process that is held meanwhile cannot be stepped by others."""
        if process.is_in_step:
            return
        self.clock.pass_by(seconds)
        process.log.amount.records = records
        process.knew, process.is_in_step = process.published.version, True
        process.wire.expect(hitch)
        try:
            process.loop.step()
        except Killed:
            self.kill(process)
        except OffsetsGoneError:
            assert any(self.topic.starts), "it halted for offsets that nobody removed"
            self.kill(process)
        finally:
            process.is_in_step = False
            process.wire.expect(None)

    def count(self) -> None:
        """Let every process that is not held begin and count; there is always one."""
        if all(process.is_in_step for process in self.processes):
            self.start()
        for process in [each for each in self.processes if not each.is_in_step]:
            self.step(process)
            self.step(process)

    def kill(self, process: Process) -> None:
        if process in self.processes:
            self.processes.remove(process)

    def cut_off(self, process: Process) -> None:
        """From now on it only knows the last published version; the second time it reads again."""
        process.is_cut_off = not process.is_cut_off
        if not process.is_cut_off:
            process.published.version, process.published.is_known = self.published, True

    # What happens to the store

    def refuse(self, calls: int) -> None:
        """The next calls are refused; until then readers get no answer either."""
        self.store.refusals = calls

    def rewind(self, changes: int) -> None:
        self.store.rewind(changes)
        self._forget_what_was_shown()

    def flush(self) -> None:
        """Lose everything.

        That may be followed by smaller numbers only where a process is stopped in the middle of a repair and the store
        is lost a second time meanwhile: what it then writes was read before anything of that happened.
        """
        self.store.flush()
        if any(process.is_in_step for process in self.processes):
            self._forget_what_was_shown()

    def _forget_what_was_shown(self) -> None:
        self.shown_views = dict.fromkeys(VIDEOS, 0)
        self.shown_positions = [0] * PARTITIONS

    # What batch runs do

    def cut(self, hitch: Hitch | None = None) -> None:
        """Begin a batch run; a running one is given up."""
        former = self.versions[-1] if self.versions else None
        wire = Wire()
        wire.expect(hitch)
        self.run = None
        try:
            cut = take_cut(
                Wired(BrokerView(self), wire),  # type: ignore[arg-type]
                Wired(self.store, wire),  # type: ignore[arg-type]
                TOPIC_VIDEO_VIEWS,
                former,
            )
        except (Killed, UnavailableError):
            return
        except batch_layer.errors.RefusedError:
            ends = former.offsets.ends if former else (0,) * PARTITIONS
            assert any(start > end for start, end in zip(self.topic.starts, ends, strict=True)), "refused without need"
            return
        if cut.end.ranges_since(cut.start):
            self.run = Run(former, cut)

    def settle(self) -> None:
        """A whole batch run."""
        self.cut()
        self.publish()

    def lose_cut(self, changes: int) -> None:
        """The cut of the run under way is taken, and the store forgets it; the run goes on."""
        self.cut()
        self.rewind(changes)

    def publish(self, *, is_pruned: bool = True) -> None:
        """Archive, settle and publish the current run, if its base is still the current version."""
        run, self.run = self.run, None
        if run is None or run.former is not (self.versions[-1] if self.versions else None):
            return
        starts, ends = run.cut.start.ends, run.cut.end.ends
        if any(oldest > start for oldest, start in zip(self.topic.starts, starts, strict=True)):
            return  # retention was quicker: what was archived is not the range asked for
        self.archive += [
            Received(partition, each.offset, instant_of(each.timestamp), decode_view_event(each.value or b""))
            for partition, records in enumerate(self.topic.records)
            for each in records
            if starts[partition] <= each.offset < ends[partition]
        ]
        number = len(self.versions) + 1
        version = PublishedVersion(
            number, f"run{number}", run.cut.end, run.cut.watermarks, {}, {}, {}, {}, instant_of(self.now_ms)
        )
        self.versions.append(version)
        self.published = Published(version.offsets, version.watermarks, version.event_contracts)
        for process in self.processes:
            if not process.is_cut_off:
                process.published.version = self.published
        self.pointer.publish(self._changed_counts(), ServedVersion(number, ends, version.settled_until))
        self._wait(self.readers[0].refresh())
        if is_pruned and number > SEGMENTS_KEPT_VERSIONS:
            kept = self.versions[number - SEGMENTS_KEPT_VERSIONS - 1]
            try:
                self.store.prune(kept.offsets.ends)  # type: ignore[arg-type]
            except UnavailableError:
                return  # the next run does it

    def _changed_counts(self) -> dict[str, tuple[int, int]]:
        counts = {video: [0, 0] for video in VIDEOS}
        outcomes = settle(self.archive, {}, shipped_policy_on)
        for received in self.archive:
            outcome = outcomes[received.partition, received.offset]
            if outcome.verdict is Verdict.COUNTED:
                count = counts[received.decoded.video_id]  # type: ignore[union-attr]
                count[0] += 1
                count[1] += outcome.billability is Billability.BILLABLE
        before = self.pointer.counts(VIDEOS, len(self.versions) - 1)
        return {
            video: (views, billable)
            for video, (views, billable) in counts.items()
            if views
            and ((known := before.get(video)) is None or (known.views, known.billable_views) != (views, billable))
        }

    # What is served

    def _reader(self) -> CountsReader:
        speed = self.speed_counts_type(AsyncStore(self.store), fresh_seconds=FRESH_SECONDS)  # type: ignore[arg-type]
        return serving_fakes.reader_of(
            self.pointer,
            speed,  # type: ignore[arg-type]
            partition_count=PARTITIONS,
            monotonic=lambda: 0.0,
        )

    def refresh(self) -> None:
        """Let the lagging reader learn the published version."""
        self._wait(self.readers[1].refresh())

    def check(self) -> None:
        """Check that every answer of every reader is the reference's."""
        readings = [self.store.state_of(partition, 0) for partition in range(PARTITIONS)]
        positions = [None if each is None else each.position for each in readings]
        for position, highwater in zip(positions, self.topic.highwaters, strict=True):
            assert (position or 0) <= highwater, "a position lies behind the end of the log"
        for reader, counts in zip(self.readers, self._wait(self._answers()), strict=True):
            assert reader.version is not None
            self._check_counts(reader.version.offset_ends, positions, counts)

    async def _answers(self) -> list[list[ServedCount]]:
        return [await reader.read(VIDEOS) for reader in self.readers]

    def _check_counts(
        self, ends: tuple[int, ...], positions: Sequence[int | None], counts: Iterable[ServedCount]
    ) -> None:
        settled = self.reference.settled(ends)
        provisional = self.reference.provisional(ends, [position or 0 for position in positions])
        for count in counts:
            video, expected = count.video_id, settled[count.video_id] + provisional[count.video_id]
            assert count.settled_views == settled[video], f"{video}: {count} but {settled[video]} are settled"
            assert count.views <= expected, f"{video}: {count} but only {expected} are on the log"
            if not count.complete:
                continue
            assert count.views == expected, f"{video}: {count} says complete, but {expected} are on the log"
            assert not self.store.refusals, "complete without an answer of the store"
            assert all(position is not None for position in positions), "complete without the state of a partition"
            # An id in two partitions is provisionally two views and settled one: only then a number may fall.
            if not self.is_repeated_elsewhere:
                assert count.views >= self.shown_views[video], f"{video}: {self.shown_views[video]} views were shown"
                self.shown_views[video] = count.views
            for partition, position in enumerate(positions):
                assert (position or 0) >= self.shown_positions[partition], "complete, but shorter than before"
                self.shown_positions[partition] = position or 0

    def _wait(self, answer: Any) -> Any:
        return self._events.run_until_complete(answer)

    # The end

    def drain(self) -> None:
        """Check that with everything healthy one process counts the whole log, or halts because retention was quicker.

        Afterwards the served count of every video is the recount of the whole log, before and after one more version.
        """
        self.store.refusals = 0
        self.processes.clear()
        gone = self._is_gone()
        process = self.start()
        for _ in range(12):
            self.step(process)
            self.check()
            if process not in self.processes:
                assert gone, "it halted, but everything it needed was there"
                return
            if process.loop.is_ready and self._positions() == self.topic.highwaters:
                break
        assert not gone, "retention removed what was not counted, and it went on"
        self.refresh()
        self._check_everything_is_served()
        before = len(self.versions)
        self.cut()
        self.publish()
        is_refused = self.run is None and len(self.versions) == before and self._unsettled()
        if not is_refused:
            self.step(process)
            self.refresh()
            self._check_everything_is_served()
            whole = self.reference.settled(tuple(self.topic.highwaters))
            for count in self._wait(self.readers[0].read(VIDEOS)):
                assert (count.settled_views, count.provisional_views) == (whole[count.video_id], 0), count

    def _check_everything_is_served(self) -> None:
        self.check()
        assert self._positions() == self.topic.highwaters, "not everything was counted"
        whole = self.reference.settled(tuple(self.topic.highwaters))
        for counts in self._wait(self._answers()):
            for count in counts:
                assert count.complete, count
                if not self.is_repeated_elsewhere:
                    assert count.views == whole[count.video_id], f"{count} but {whole[count.video_id]} on the log"

    def _positions(self) -> list[int | None]:
        readings = [self.store.state_of(partition, 0) for partition in range(PARTITIONS)]
        return [None if each is None else each.position for each in readings]

    def _unsettled(self) -> bool:
        """Return whether the next version can no longer be archived completely."""
        ends = self.versions[-1].offsets.ends if self.versions else (0,) * PARTITIONS
        return any(start > end for start, end in zip(self.topic.starts, ends, strict=True))

    def _is_gone(self) -> bool:
        """Return whether an offset that must be read next is no longer in the log."""
        for partition, start in enumerate(self.topic.starts):
            end = self.published.end_of(partition) if self.published else 0
            reading = self.store.state_of(partition, end)
            needed = reading.position if reading is not None and reading.has_segment else end
            if needed < start:
                return True
        return False
