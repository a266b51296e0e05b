"""The consume loop beside the laws: readiness, waiting, halting, what it tells."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from ingestion.contract.backoff import QUICK
from ingestion.contract.offsets import OFFSETS_PER_GENERATION, LogGeneration, OffsetVector
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from ingestion.contract.unavailable import Part, UnavailableError
from speed_layer.chunk import LogRecord
from speed_layer.consume_loop import ConsumeLoop, LoopPorts
from speed_layer.errors import OffsetsGoneError, OtherLogError
from speed_layer.ports import LogRange, Published
from speed_layer.recovery import Horizon
from tests.speed_fakes import (
    START,
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

HORIZON = Horizon(7_200_000)


class DownStore(FakeSegmentStore):
    """A store that can be down, and where others can be quicker between two calls."""

    is_down = False
    before_look: Callable[[], None] | None = None
    before_reset: Callable[[], None] | None = None

    def look(self, offset_ends):  # type: ignore[no-untyped-def]
        self._check()
        if meanwhile := self.before_look:
            self.before_look = None
            meanwhile()
        return super().look(offset_ends)

    def reset(self, partition, **begin):  # type: ignore[no-untyped-def]
        if meanwhile := self.before_reset:
            self.before_reset = None
            meanwhile()
        return super().reset(partition, **begin)

    def apply(self, chunks, applied_at_ms):  # type: ignore[no-untyped-def]
        self._check()
        return super().apply(chunks, applied_at_ms)

    def _check(self) -> None:
        if self.is_down:
            raise UnavailableError(Part.REDIS, "Redis is down")


class Scene:
    """One process on one partition."""

    def __init__(self) -> None:
        self.topic = FakeTopic.empty(1)
        self.store = DownStore()
        self.published = FakePublished()
        self.letters = FakeDeadLetters()
        self.observer = FakeObserver()
        self.clock = FakeClock()
        self.log = FakeLog(self.topic, random.Random(1))
        self.pauses: list[float] = []
        self.loop = self.process(self.log)

    def process(self, log: FakeLog) -> ConsumeLoop:
        return ConsumeLoop(
            LoopPorts(
                catalogue=(),
                topic=TOPIC_VIDEO_VIEWS,
                log=log,
                store=self.store,
                published=self.published,
                dead_letters=self.letters,
                observer=self.observer,
                clock=self.clock,
                elapsed=self.clock,
                pause=self.pauses.append,
            ),
            HORIZON,
            jitter=random.Random(1),
        )

    def send(self, *numbers: int, minutes: int = 0) -> None:
        for number in numbers:
            value = event_value(UUID(int=number), "video", START + timedelta(minutes=minutes))
            self.topic.append(0, START_MS + minutes * 60_000, value)

    def let_another_count(self, *numbers: int) -> None:
        """What another process does that believes to own the partition, too."""
        self.send(*numbers)
        other = self.process(FakeLog(self.topic, random.Random(2)))
        while self.store.positions(1) != tuple(self.topic.highwaters):
            self.clock.pass_by(2.5)
            other.step()

    def run(self, steps: int = 12, seconds: float = 2.5) -> None:
        for _ in range(steps):
            self.clock.pass_by(seconds)
            self.store.clock_ms = int(self.clock() * 1000)
            self.loop.step()

    def views(self, since: int = 0) -> int:
        return self.store.read([since], ["video"]).views["video"]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def version(end: int, minutes: int = 0) -> Published:
    return Published(OffsetVector(TOPIC_VIDEO_VIEWS, (end,)), (START + timedelta(minutes=minutes),))


def test_it_is_ready_once_every_assigned_partition_is_being_counted(scene: Scene) -> None:
    assert not scene.loop.is_ready
    scene.run(1)
    assert scene.loop.is_ready


def test_a_process_without_partitions_is_ready_too(scene: Scene) -> None:
    scene.log.assign([])
    scene.run(2)
    assert scene.loop.is_ready


def test_while_the_store_is_down_it_waits_longer_and_longer_and_then_goes_on(scene: Scene) -> None:
    scene.send(1)
    scene.run()
    scene.store.is_down = True
    scene.send(2)
    scene.run()
    assert not scene.loop.is_ready
    assert len(scene.pauses) == 12
    assert scene.pauses[0] <= 0.1
    assert 2.5 <= max(scene.pauses) <= QUICK.most_seconds
    scene.store.is_down = False
    scene.run()
    assert scene.loop.is_ready
    assert scene.views() == 2


def test_while_the_log_is_down_it_is_not_ready_and_then_goes_on(scene: Scene) -> None:
    scene.run()
    scene.log.is_down = True
    scene.send(1)
    scene.run()
    assert not scene.loop.is_ready
    scene.log.is_down = False
    scene.run()
    assert (scene.loop.is_ready, scene.views()) == (True, 1)


def test_letters_that_cannot_be_sent_keep_it_unready_though_everything_else_answers(scene: Scene) -> None:
    scene.run()
    scene.letters.is_down = True
    scene.topic.append(0, START_MS, b"{}")
    for _ in range(12):
        scene.run(1, seconds=0.5)
        assert not scene.loop.is_ready or not scene.pauses
    assert max(scene.pauses) > 1
    scene.letters.is_down = False
    scene.run()
    assert (scene.loop.is_ready, scene.store.positions(1)) == (True, (1,))


def test_a_store_that_fell_back_is_followed_even_when_nothing_new_arrives(scene: Scene) -> None:
    scene.send(1, 2, 3)
    scene.run()
    scene.store.reset(0, position=0, segment=0, replay_until=0)
    scene.run()
    assert scene.views() == 3


def test_a_partition_that_moves_to_another_process_is_read_from_the_stored_position(scene: Scene) -> None:
    scene.send(1, 2)
    scene.run()
    scene.log.assign([])
    scene.run(2)
    assert scene.observer.lags == {}
    scene.send(3)
    scene.log.assign([0])
    scene.run()
    assert scene.views() == 3
    assert scene.observer.tally["counted"] == 3
    assert scene.observer.lags == {0: 0}


def test_transaction_markers_at_the_end_do_not_keep_a_replay_from_completing(scene: Scene) -> None:
    scene.send(1)
    scene.topic.append_marker(0)
    scene.topic.append_marker(0)
    scene.run()
    assert scene.store.positions(1) == (3,)
    assert scene.store.read([0], []).is_complete
    assert scene.observer.lags == {0: 0}


def test_a_store_without_state_begins_at_the_published_version_and_knows_the_ids_before_it(scene: Scene) -> None:
    scene.send(1, 2)
    scene.send(3, minutes=300)
    scene.send(4, minutes=360)
    scene.published.version = version(4, minutes=361)
    scene.send(4, 5, minutes=365)
    scene.run()
    assert scene.views(since=4) == 1
    assert scene.store.read([4], []).is_complete
    assert scene.observer.repairs == [0]


def test_a_cut_that_is_not_published_repairs_nothing(scene: Scene) -> None:
    scene.send(1, 2)
    scene.run()
    scene.published.version = version(2)
    scene.store.cut(1)
    scene.run()
    scene.send(3)
    scene.run()
    scene.store.cut(1)
    scene.run()
    assert scene.observer.repairs == []
    assert scene.views(since=2) == 1


def test_a_partition_added_after_the_version_is_counted_from_its_beginning() -> None:
    assert version(7).end_of(1) == 0


def test_without_state_it_waits_until_it_is_known_what_is_published(scene: Scene) -> None:
    scene.published.is_known = False
    scene.send(1)
    scene.run()
    assert (scene.loop.is_ready, scene.store.positions(1)) == (False, (None,))
    scene.published.is_known = True
    scene.run()
    assert (scene.loop.is_ready, scene.views()) == (True, 1)


class WaitingLog(FakeLog):
    """Every poll takes all of its time."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.topic, random.Random(3))
        self.clock = scene.clock
        self.timeouts: list[float] = []

    def poll(self, timeout_seconds: float) -> Mapping[int, Sequence[LogRecord]]:
        self.timeouts.append(timeout_seconds)
        self.clock.pass_by(timeout_seconds)
        return super().poll(timeout_seconds)


def test_while_it_cannot_count_it_waits_in_polls_and_begins_soon_after_it_can(scene: Scene) -> None:
    scene.published.is_known = False
    log = WaitingLog(scene)
    scene.loop = scene.process(log)
    for _ in range(20):
        scene.loop.step()
    assert 0.0 not in log.timeouts[1:], "a loop without waits would use a whole core"
    assert not scene.loop.is_ready
    scene.published.is_known = True
    scene.loop.step()
    assert scene.loop.is_ready


def test_with_state_it_counts_on_while_it_is_unknown_what_is_published(scene: Scene) -> None:
    scene.run()
    scene.published.is_known = False
    scene.log.assign([0])
    scene.send(1)
    scene.run()
    assert (scene.loop.is_ready, scene.views()) == (True, 1)


def test_it_halts_when_nothing_covers_what_retention_removed(scene: Scene) -> None:
    scene.send(1, 2)
    scene.topic.starts[0] = 1
    with pytest.raises(OffsetsGoneError, match="partition 0 must be read from offset 0, but the log begins at 1"):
        scene.run()


def test_it_begins_where_the_log_begins_when_a_version_covers_what_is_gone(scene: Scene) -> None:
    scene.send(1, 2, 3)
    scene.topic.starts[0] = 2
    scene.published.version = version(2)
    scene.run()
    assert scene.views(since=2) == 1


def test_it_halts_when_the_stored_position_is_gone_or_beyond_the_log(scene: Scene) -> None:
    scene.store.reset(0, position=0, segment=0, replay_until=0)
    scene.send(1, 2)
    scene.topic.starts[0] = 1
    with pytest.raises(OffsetsGoneError, match="retention"):
        scene.run()
    scene.store.reset(0, position=9, segment=0, replay_until=0)
    with pytest.raises(OffsetsGoneError, match="the log ends at 2"):
        scene.run()


def test_it_halts_when_the_published_version_covers_more_than_the_log_holds(scene: Scene) -> None:
    scene.send(1)
    scene.published.version = version(5)
    with pytest.raises(OffsetsGoneError, match=r"truncated or restored .* topics new-generation"):
        scene.run()


def test_what_another_process_counts_meanwhile_does_not_look_like_a_truncated_log(scene: Scene) -> None:
    scene.store.reset(0, position=0, segment=0, replay_until=0)
    scene.store.before_look = lambda: scene.let_another_count(1, 2)
    scene.run(1)
    assert scene.views() == 2


def test_a_process_that_was_held_in_the_middle_of_a_repair_does_not_undo_that_of_another(scene: Scene) -> None:
    scene.store.before_reset = lambda: scene.let_another_count(1, 2)
    scene.run(1)
    assert (scene.store.positions(1), scene.views()) == ((2,), 2), "what was shown as complete is still there"
    scene.send(3)
    scene.run()
    assert (scene.loop.is_ready, scene.views()) == (True, 3)


def test_asked_to_stop_it_leaves_the_group(scene: Scene) -> None:
    answers = iter([False, False, True])
    scene.loop.run(lambda: next(answers))
    assert scene.log.is_closed


def test_it_leaves_the_group_when_it_halts(scene: Scene) -> None:
    scene.topic.starts[0] = 1
    with pytest.raises(OffsetsGoneError):
        scene.loop.run(lambda: False)
    assert scene.log.is_closed


def is_current(scene: Scene) -> bool:
    scene.store.clock_ms = int(scene.clock() * 1000)
    return scene.store.read([0], []).is_current(5_000)


def test_it_gives_a_sign_of_life_every_second_and_none_while_it_stands_still(scene: Scene) -> None:
    scene.send(1, 2, 3)
    scene.run()
    for _ in range(20):
        scene.run(1, seconds=1.0)
        assert is_current(scene)
    scene.clock.pass_by(90)
    assert not is_current(scene), "whatever happened meanwhile is not known to be counted"
    scene.run(2)
    assert is_current(scene)


def test_the_logs_end_before_the_process_stopped_is_not_a_heartbeat_afterwards(scene: Scene) -> None:
    scene.run()
    ranges = scene.log.ranges

    def stopped_after_asking(partitions: Collection[int]) -> Mapping[int, LogRange]:
        found = ranges(partitions)
        scene.clock.pass_by(90)
        scene.send(1)
        return found

    scene.log.ranges = stopped_after_asking  # type: ignore[method-assign]
    scene.run(1)
    assert not is_current(scene)
    scene.log.ranges = ranges  # type: ignore[method-assign]
    scene.run(3)
    assert is_current(scene)


def test_without_kafka_there_is_no_sign_of_life(scene: Scene) -> None:
    scene.run()
    scene.log.is_down = True
    scene.run(3)
    assert not is_current(scene)


def make_topic_again(scene: Scene) -> None:
    scene.topic = FakeTopic.empty(1)
    scene.topic.log_id = "second"
    scene.log = FakeLog(scene.topic, random.Random(3))
    scene.loop = scene.process(scene.log)


def generation(number: int, log_id: str) -> LogGeneration:
    return LogGeneration(number, log_id)


def test_a_store_that_counted_another_log_halts_even_where_nothing_is_published(scene: Scene) -> None:
    scene.send(1, 2, 3)
    scene.run()
    make_topic_again(scene)
    scene.send(*range(10, 20))
    with pytest.raises(OtherLogError, match=r"its id is second, and first is on record; .* topics new-generation"):
        scene.run()
    scene.store.flush()
    scene.published.version = Published(
        OffsetVector(TOPIC_VIDEO_VIEWS, (2,)), (START,), generation=generation(0, "first")
    )
    with pytest.raises(OtherLogError, match="is another log than the one that was counted"):
        scene.run()


@pytest.mark.parametrize("is_known", [True, False])
def test_a_poll_that_finds_offsets_gone_names_another_log_where_that_is_the_reason(
    scene: Scene, is_known: bool
) -> None:
    scene.send(1, 2, 3)
    scene.run()
    scene.published.is_known = is_known
    scene.topic.starts[0] = 9
    with pytest.raises(OffsetsGoneError, match="removed by retention"):
        scene.loop.step()
    scene.topic.log_id = "second"
    with pytest.raises(OtherLogError, match=r"its id is second, and first is on record"):
        scene.loop.step()


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_generation_begun_on_purpose_is_counted_from_its_first_message(scene: Scene, is_lost: bool) -> None:
    scene.send(1, 2, 3)
    scene.run()
    assert scene.views() == 3
    scene.published.version = Published(
        OffsetVector(TOPIC_VIDEO_VIEWS, (2,)), (START,), generation=generation(1, "second")
    )
    make_topic_again(scene)
    if is_lost:
        scene.store.flush()
    scene.send(*range(10, 17))
    scene.run()
    assert scene.views(since=2) == 7, "the third event of the former log is on no log any more"
    assert scene.store.positions(1) == (OFFSETS_PER_GENERATION + 7,)
    assert scene.store.cut(1) == (OFFSETS_PER_GENERATION + 7,)
    scene.published.is_known = False
    scene.loop = scene.process(FakeLog(scene.topic, random.Random(4)))
    scene.send(20)
    scene.run()
    assert scene.views(since=2) == 8, "without PostgreSQL it continues from the log in the store"


def test_a_state_that_does_not_name_its_log_is_of_the_first_one(scene: Scene) -> None:
    scene.store.reset(0, position=0, segment=0, replay_until=0)
    scene.send(1, 2)
    scene.run()
    assert scene.views() == 2
    assert [each.log for each in scene.store.look({0: 0}).values() if each] == ["0:first"]


def test_without_postgres_a_partition_of_another_generation_waits(scene: Scene) -> None:
    scene.store.reset(0, position=0, segment=0, replay_until=0, log="0:first")
    scene.topic = FakeTopic.empty(2)
    scene.topic.log_id = "second"
    scene.log = FakeLog(scene.topic, random.Random(3))
    scene.loop = scene.process(scene.log)
    first = OFFSETS_PER_GENERATION
    scene.store.reset(1, position=first, segment=first, replay_until=first, log="1:second")
    scene.published.is_known = False
    scene.run()
    assert not scene.loop.is_ready
    assert scene.store.positions(2) == (0, first)
