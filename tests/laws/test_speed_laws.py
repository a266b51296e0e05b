"""The laws of the speed layer, on random logs, on the stand-in store and on a real Redis.

The expected counts come from `recount`: one pass over the log in plain Python that knows nothing of chunks, segments,
positions or crashes.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from ingestion.contract.counting import LateEvent, judge_alone
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from ingestion.contract.traffic import invalid_reason
from speed_layer.chunk import Chunk, Span, instant_of
from speed_layer.consume_loop import ConsumeLoop, LoopPorts
from speed_layer.ports import Published
from speed_layer.recovery import Horizon
from speed_layer.segments import Applied, Moved
from tests.speed_fakes import (
    START_MS,
    FakeClock,
    FakeDeadLetters,
    FakeLog,
    FakeObserver,
    FakePublished,
    FakeTopic,
    event_value,
)
from tests.speed_stores import STORES, AnyStore, any_store

HORIZON = Horizon(7_200_000)
PARTITION_COUNT = 3
VIDEOS = [f"video{index}" for index in range(6)]
SEEDS = range(6)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[AnyStore]:
    yield from any_store(request)


class RandomTopic(FakeTopic):
    """A topic that grows by chance: repeats at every distance, markers, rejected, late and robots' events."""

    @classmethod
    def of(cls, rng: random.Random) -> "RandomTopic":
        topic = cls.empty(PARTITION_COUNT)
        topic.rng = rng
        topic.now_ms = START_MS
        topic.sent = []
        return topic

    rng: random.Random
    now_ms: int
    sent: list[tuple[int, UUID, str]]

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.now_ms += self.rng.choice((0, 0, 1, 60_000, 600_000, 600_000, 5_000_000))
            partition = self.rng.randrange(PARTITION_COUNT)
            what = self.rng.random()
            if what < 0.05:
                self.append_marker(partition)
            elif what < 0.1:
                self.append(partition, self.now_ms, self.rng.choice((None, b"", b"{}", b"\xff", b'{"event_id":1}')))
            else:
                self._send(partition, what)

    def _send(self, partition: int, what: float) -> None:
        event_id, video = UUID(int=self.rng.getrandbits(128), version=4), self.rng.choice(VIDEOS)
        if what < 0.4 and self.sent:  # the same event again, after any time
            partition, event_id, video = self.rng.choice(self.sent[-60:])
        self.sent.append((partition, event_id, video))
        wrong = self.rng.choice((0, 0, 0, 0, 0, 0, 6, -36 * 24 * 60))  # minutes: suspect, late
        happened_at = instant_of(self.now_ms) + timedelta(minutes=wrong)
        agent = self.rng.choice(("Player/1", "Player/1", "Player/1", "Googlebot/2.1"))
        self.append(partition, self.now_ms, event_value(event_id, video, happened_at, agent=agent))

    def vector_here(self, offset_ends: Sequence[int]) -> Published:
        """A version that ends there; its watermarks as the batch layer gives them."""
        watermarks = []
        for partition, end in enumerate(offset_ends):
            after = [record.timestamp for record in self.records[partition] if record.offset >= end]
            watermarks.append(instant_of(after[0] if after else self.now_ms))
        return Published(OffsetVector(TOPIC_VIDEO_VIEWS, tuple(offset_ends)), tuple(watermarks))


def recount(topic: FakeTopic, starts: Sequence[int], ends: Sequence[int] | None = None) -> dict[str, int]:
    """Counts the offsets `[start, end)`, an event being a repeat if its id stood in the last three generations."""
    counts = Counter(dict.fromkeys(VIDEOS, 0))
    for partition, records in enumerate(topic.records):
        last_seen: dict[UUID, int] = {}
        for record in records:
            event = judge_alone(decode_view_event(record.value or b""), instant_of(record.timestamp))
            if isinstance(event, RejectedEvent | LateEvent):
                continue
            generation = record.timestamp // HORIZON.generation_ms
            is_repeat = generation - last_seen.get(event.event_id, -9) <= 2
            last_seen[event.event_id] = generation
            if is_repeat or invalid_reason(event, NEWEST) is not None:
                continue  # an id is known by its first event, valid or not
            if starts[partition] <= record.offset < (ends[partition] if ends else record.offset + 1):
                counts[event.video_id] += 1
    return dict(counts)


class Bench:
    """One topic, one store, and as many processes as a test wants."""

    def __init__(self, seed: int, store: AnyStore) -> None:
        self.rng = random.Random(seed)
        self.topic = RandomTopic.of(self.rng)
        self.store = store
        self.published = FakePublished()
        self.letters = FakeDeadLetters()
        self.observer = FakeObserver()
        self.clock = FakeClock()

    def process(self, store: Any = None, dead_letters: Any = None) -> ConsumeLoop:
        around = LoopPorts(
            catalogue=(),
            topic=TOPIC_VIDEO_VIEWS,
            log=FakeLog(self.topic, self.rng),
            store=store or self.store,
            published=self.published,
            dead_letters=dead_letters or self.letters,
            observer=self.observer,
            clock=self.clock,
            elapsed=self.clock,
            pause=self.clock.pass_by,
        )
        return ConsumeLoop(around, HORIZON, jitter=random.Random(0))

    def step(self, loop: ConsumeLoop) -> None:
        self.clock.pass_by(self.rng.choice((0.1, 0.5, 2.0)))
        loop.step()

    def finish(self, loop: ConsumeLoop) -> None:
        """Runs until the end of the log is reached everywhere."""
        for _ in range(400):
            self.step(loop)
            if self.store.positions(PARTITION_COUNT) == tuple(self.topic.highwaters) and loop.is_ready:
                return
        raise AssertionError(f"stuck at {self.store.positions(PARTITION_COUNT)}, not {self.topic.highwaters}")

    def served(self, starts: Sequence[int]) -> dict[str, int]:
        reading = self.store.read(starts, VIDEOS)
        assert reading.is_complete
        return dict(reading.views)


ZERO = (0,) * PARTITION_COUNT


@pytest.mark.parametrize("seed", SEEDS)
def test_counting_from_empty_in_any_chunks_is_a_recount(seed: int, store: AnyStore) -> None:
    bench = Bench(seed, store)
    loop = bench.process()
    for _ in range(bench.rng.randint(1, 12)):
        bench.topic.grow(bench.rng.randint(0, 40))
        bench.step(loop)
    bench.finish(loop)
    assert bench.served(ZERO) == recount(bench.topic, ZERO), f"seed {seed}"
    counted = bench.observer.tally
    received = sum(len(records) for records in bench.topic.records)
    verdicts = ("counted", "duplicate", "rejected", "late_review", "invalid_traffic")
    assert sum(counted[verdict] for verdict in verdicts) == received
    assert counted["invalid_traffic"], f"seed {seed}: robots occur"
    assert counted["rejected"] == len(set(bench.letters.letters)), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_repeats_within_the_horizon_are_never_counted(seed: int, store: AnyStore) -> None:
    bench = Bench(seed, store)
    now_ms, sent = START_MS, list[tuple[int, UUID, str, int]]()
    for number in range(150):
        now_ms += bench.rng.randint(0, HORIZON.length_ms // 4)
        recent = [each for each in sent if now_ms - each[3] <= HORIZON.length_ms]
        if recent and bench.rng.random() < 0.5:
            partition, event_id, video, _ = bench.rng.choice(recent)
        else:
            partition, event_id, video = bench.rng.randrange(PARTITION_COUNT), UUID(int=number + 1), "video0"
        sent.append((partition, event_id, video, now_ms))
        bench.topic.append(partition, now_ms, event_value(event_id, video, instant_of(now_ms)))
    bench.finish(bench.process())
    assert bench.served(ZERO)["video0"] == len({event_id for _, event_id, _, _ in sent}), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_from_every_kept_cut_on_the_segments_are_a_recount(seed: int, store: AnyStore) -> None:
    bench = Bench(seed, store)
    loop = bench.process()
    cuts = [ZERO]
    for _ in range(10):
        bench.topic.grow(bench.rng.randint(0, 25))
        bench.step(loop)
        vector = bench.store.cut(PARTITION_COUNT)
        if None not in vector:
            cuts.append(tuple(end for end in vector if end is not None))
    bench.finish(loop)
    for cut in cuts:
        assert bench.served(cut) == recount(bench.topic, cut), f"seed {seed}, cut {cut}"
    kept = cuts[len(cuts) // 2 :]
    bench.store.prune(kept[0])
    for cut in kept:
        assert bench.served(cut) == recount(bench.topic, cut), f"seed {seed}, cut {cut} after pruning"


def test_a_partition_is_restarted_only_instead_of_the_state_that_was_read(store: AnyStore) -> None:
    begin = {"position": 0, "segment": 0, "replay_until": 0}
    assert store.reset(0, **begin, instead_of=None)
    begun = store.look({0: 0})[0]
    assert not store.reset(0, **begin, instead_of=None), "there is a state now"
    store.apply([Chunk(Span(0, 0, 5, 0, ()))], 1)
    assert not store.reset(0, **begin, instead_of=begun), "the position is another one"
    store.cut(1)
    assert store.positions(1) == (5,)
    counted = store.look({0: 0})[0]
    assert store.reset(0, position=7, segment=7, replay_until=7, instead_of=counted)
    assert store.positions(1) == (7,)
    assert store.reset(0, **begin), "whatever is there"


class Crash(BaseException):
    """The process dies here; nothing may catch it."""


class CrashingStore:
    """Passes everything on, and lets the process die before or after a step, by chance."""

    def __init__(self, store: AnyStore, rng: random.Random) -> None:
        self._store, self._rng = store, rng

    def apply(self, chunks: Sequence[Chunk], applied_at_ms: int) -> list[Applied | Moved]:
        done = self._rng.randint(0, len(chunks))  # a pipeline that broke off after some of its calls
        if self._rng.random() < 0.3:
            self._store.apply(chunks[:done], applied_at_ms)
            raise Crash
        return self._store.apply(chunks, applied_at_ms)

    def reset(self, partition: int, **begin: Any) -> bool:
        if self._rng.random() < 0.2:
            raise Crash
        has_begun = self._store.reset(partition, **begin)
        if self._rng.random() < 0.2:
            raise Crash
        return has_begun

    def look(self, offset_ends: Any) -> Any:
        return self._store.look(offset_ends)

    def now_ms(self) -> int:
        return self._store.now_ms()

    def beat(self, log_ends: Any, asked_at_ms: int, log: str) -> None:
        if self._rng.random() < 0.2:
            raise Crash
        self._store.beat(log_ends, asked_at_ms, log)


class CrashingDeadLetters(FakeDeadLetters):
    """Lets the process die before or after sending, by chance."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self.crash_share = 0.2

    def send(self, partition_rejections: Any) -> None:
        if self._rng.random() < self.crash_share:
            raise Crash
        super().send(partition_rejections)
        if self._rng.random() < self.crash_share:
            raise Crash


@pytest.mark.parametrize("seed", SEEDS)
def test_dying_between_any_two_steps_changes_nothing(seed: int, store: AnyStore) -> None:
    bench = Bench(seed, store)
    letters = CrashingDeadLetters(bench.rng)
    start: Callable[[], ConsumeLoop] = lambda: bench.process(CrashingStore(store, bench.rng), letters)  # noqa: E731
    loop, crashes = start(), 0
    for _ in range(60):
        bench.topic.grow(bench.rng.randint(0, 6))
        try:
            bench.step(loop)
        except Crash:
            crashes += 1
            loop = start()
    letters.crash_share = 0
    bench.finish(bench.process(dead_letters=letters))
    assert crashes, f"seed {seed}: the test must crash"
    assert bench.served(ZERO) == recount(bench.topic, ZERO), f"seed {seed} after {crashes} crashes"
    rejected = {
        (partition, record.offset)
        for partition, records in enumerate(bench.topic.records)
        for record in records
        if isinstance(judge_alone(decode_view_event(record.value or b""), instant_of(record.timestamp)), RejectedEvent)
    }
    assert {letter[:2] for letter in letters.letters} == rejected, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_two_processes_that_both_believe_to_own_a_partition_do_no_harm(seed: int, store: AnyStore) -> None:
    bench = Bench(seed, store)
    loops = [bench.process(), bench.process()]
    for _ in range(40):
        bench.topic.grow(bench.rng.randint(0, 8))
        bench.step(bench.rng.choice(loops))
    bench.finish(loops[0])
    assert bench.served(ZERO) == recount(bench.topic, ZERO), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lost_store_is_repaired_exactly_and_never_serves_a_smaller_number_as_complete(
    seed: int, store: AnyStore
) -> None:
    bench = Bench(seed, store)
    loops, losses = [bench.process(), bench.process()], 0
    for _ in range(50):
        bench.topic.grow(bench.rng.randint(0, 6))
        bench.step(bench.rng.choice(loops))
        chance = bench.rng.random()
        if chance < 0.08:
            bench.store.flush()  # type: ignore[union-attr]
            losses += 1
        elif chance < 0.3:
            vector = [end for end in bench.store.cut(PARTITION_COUNT) if end is not None]
            if len(vector) == PARTITION_COUNT and bench.rng.random() < 0.6:  # else a run that publishes nothing
                bench.published.version = bench.topic.vector_here(vector)
        check_what_is_served(bench, seed)
    bench.finish(loops[0])
    check_what_is_served(bench, seed)
    ends = bench.published.version.offsets.ends if bench.published.version else ZERO
    assert bench.served(ends) == recount(bench.topic, ends), f"seed {seed} after {losses} losses"


def check_what_is_served(bench: Bench, seed: int) -> None:
    ends = bench.published.version.offsets.ends if bench.published.version else ZERO
    reading = bench.store.read(ends, VIDEOS)
    if reading.is_complete:
        positions = [end or 0 for end in bench.store.positions(PARTITION_COUNT)]
        assert dict(reading.views) == recount(bench.topic, ends, positions), f"seed {seed}, from {ends} to {positions}"
