"""What every segment store must do; run on the stand-in and on a real Redis."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from uuid import UUID

import pytest

from ingestion.contract.unavailable import UnavailableError
from speed_layer.chunk import Chunk, Span
from speed_layer.redis_calls import APPLY
from speed_layer.redis_connection import connected_async
from speed_layer.redis_segment_store import AsyncRedisSegmentReader, RedisSegmentStore
from speed_layer.segments import Applied, Moved
from tests.speed_fakes import FakeRecord
from tests.speed_stores import SERVERS, STORES, AnyStore, FlushableRedisStore, any_store, redis_store

HOUR = 490_000


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[AnyStore]:
    yield from any_store(request)


def chunk_of(
    candidates: Mapping[int, str],
    position: int,
    *,
    next_position: int | None = None,
    generation: int = HOUR,
    partition: int = 0,
) -> Chunk:
    """A chunk of events id → video that stand one after the other from `position` on."""
    end = position + len(candidates) if next_position is None else next_position
    records = [FakeRecord(position + index, generation * 3_600_000, b"") for index in range(len(candidates))]
    ids = {UUID(int=number).bytes: video for number, video in candidates.items()}
    return Chunk(Span(partition, position, end, generation, records), ids)


def test_invalid_traffic_is_not_counted_and_its_id_is_known(store: AnyStore) -> None:
    begun(store)
    robots = replace(chunk_of({1: "a", 2: "a", 3: "b"}, 0), invalid={UUID(int=1).bytes, UUID(int=3).bytes})
    assert store.apply([robots], 1) == [Applied(counted=1, duplicates=0, invalid=2)]
    assert views(store, "a", "b") == [1, 0]
    again = chunk_of({1: "a", 3: "b", 4: "b"}, 3)
    assert store.apply([again], 1) == [Applied(counted=1, duplicates=2)]
    assert views(store, "a", "b") == [1, 1]


def views(store: AnyStore, *videos: str, since: int = 0) -> list[int]:
    return list(store.read([since], videos).views.values())


@pytest.fixture(params=STORES)
def narrow(request: pytest.FixtureRequest) -> Iterator[AnyStore]:
    """A store whose segments take two videos that are not in the catalogue."""
    yield from any_store(request, unknown_max=2)


def begun(store: AnyStore, *, position: int = 0, segment: int = 0, replay_until: int = 0) -> None:
    store.reset(0, position=position, segment=segment, replay_until=replay_until)


def test_a_partition_without_state_has_no_position_no_cut_and_is_incomplete(store: AnyStore) -> None:
    assert store.positions(2) == (None, None)
    assert store.cut(2) == (None, None)
    reading = store.read([0, 0], ["a"])
    assert (reading.views, reading.is_complete, reading.partitions) == ({"a": 0}, False, (None, None))
    assert store.apply([chunk_of({1: "a"}, 0)], 5) == [Moved(None, None)]
    assert store.positions(1) == (None,)


def test_a_partition_begun_at_an_empty_log_is_complete_at_once(store: AnyStore) -> None:
    begun(store)
    reading = store.read([0], ["a"])
    assert reading.is_complete
    assert reading.appended_at_ms is None
    assert store.cut(1) == (0,)


def test_applying_counts_each_id_once_and_moves_the_position(store: AnyStore) -> None:
    begun(store)
    assert store.apply([chunk_of({1: "a", 2: "a", 3: "b"}, 0)], 77) == [Applied(3, 0)]
    assert store.apply([chunk_of({3: "b", 4: "b"}, 3)], 78) == [Applied(1, 1)]
    reading = store.read([0], ["b", "a", "unseen"])
    assert reading.views == {"b": 2, "a": 2, "unseen": 0}
    assert store.positions(1) == (5,)
    assert reading.partitions[0] is not None
    assert (reading.appended_at_ms, reading.partitions[0].applied_at_ms) == (HOUR * 3_600_000, 78)


def test_an_id_is_known_in_its_partition_for_three_generations(store: AnyStore) -> None:
    store.reset(2, position=0, segment=0, replay_until=0)
    assert not store.knows(UUID(int=1).bytes, 3)
    store.apply([chunk_of({1: "a"}, 0, partition=2)], 5)
    assert store.knows(UUID(int=1).bytes, 3)
    assert not store.knows(UUID(int=1).bytes, 2), "nobody asked its partition"
    assert not store.knows(UUID(int=2).bytes, 3)
    store.apply([chunk_of({2: "a"}, 1, partition=2, generation=HOUR + 2)], 6)
    assert store.knows(UUID(int=1).bytes, 3)
    store.apply([chunk_of({3: "a"}, 2, partition=2, generation=HOUR + 3)], 7)
    assert [store.knows(UUID(int=number).bytes, 3) for number in (1, 2, 3)] == [False, True, True]


def test_a_chunk_at_another_position_changes_nothing_and_tells_the_stored_one(store: AnyStore) -> None:
    begun(store)
    store.apply([chunk_of({1: "a"}, 0)], 5)
    assert store.apply([chunk_of({1: "a"}, 0), chunk_of({2: "a"}, 7)], 6) == [Moved(1, 0), Moved(1, 0)]
    assert views(store, "a") == [1]
    assert store.apply([chunk_of({2: "a"}, 1)], 7) == [Applied(1, 0)]


def test_chunks_of_one_call_are_applied_in_order(store: AnyStore) -> None:
    begun(store)
    answers = store.apply([chunk_of({1: "a"}, 0), chunk_of({1: "a", 2: "b"}, 1)], 5)
    assert answers == [Applied(1, 0), Applied(1, 1)]
    assert store.positions(1) == (3,)


def test_a_position_moves_over_offsets_without_events(store: AnyStore) -> None:
    begun(store)
    store.apply([chunk_of({1: "a"}, 0)], 5)
    assert store.apply([chunk_of({}, 1, next_position=9, generation=0)], 6) == [Applied(0, 0)]
    reading = store.read([0], ["a"])
    assert store.positions(1) == (9,)
    assert reading.appended_at_ms == HOUR * 3_600_000


def test_an_id_is_known_in_its_generation_and_the_two_after_since_it_was_last_seen(store: AnyStore) -> None:
    begun(store)
    found = []
    for position, generation in enumerate((HOUR, HOUR + 2, HOUR + 4, HOUR + 7)):
        found += store.apply([chunk_of({1: "a"}, position, generation=generation)], 5)
    assert found == [Applied(1, 0), Applied(0, 1), Applied(0, 1), Applied(1, 0)]


def test_a_generation_that_goes_back_is_taken_for_the_newest(store: AnyStore) -> None:
    begun(store)
    store.apply([chunk_of({1: "a"}, 0, generation=HOUR)], 5)
    assert store.apply([chunk_of({1: "a", 2: "a"}, 1, generation=HOUR - 9)], 5) == [Applied(1, 1)]
    assert store.apply([chunk_of({2: "a"}, 3, generation=HOUR + 2)], 5) == [Applied(0, 1)]


def test_a_cut_closes_the_segment_at_the_position_and_counting_goes_on_in_the_next(store: AnyStore) -> None:
    begun(store)
    store.apply([chunk_of({1: "a", 2: "a"}, 0)], 5)
    assert store.cut(1) == (2,)
    store.apply([chunk_of({3: "a"}, 2)], 6)
    assert views(store, "a") == [3]
    assert views(store, "a", since=2) == [1]
    assert store.cut(1) == (3,)
    assert store.cut(1) == (3,), "a second cut at the same position finds the segment open already"
    assert views(store, "a", since=2) == [1]


def test_a_reading_is_complete_only_if_a_segment_starts_exactly_there(store: AnyStore) -> None:
    begun(store)
    store.apply([chunk_of({1: "a", 2: "a"}, 0)], 5)
    store.cut(1)
    assert [store.read([end], ["a"]).is_complete for end in (0, 1, 2, 3)] == [True, False, True, False]


def test_pruning_drops_older_segments_and_keeps_the_open_one(store: AnyStore) -> None:
    begun(store)
    for position in range(3):
        store.apply([chunk_of({position: "a"}, position)], 5)
        store.cut(1)
    assert store.prune([2]) == 2
    assert [store.read([end], ["a"]).is_complete for end in (0, 1, 2, 3)] == [False, False, True, True]
    assert views(store, "a", since=2) == [1]
    assert store.prune([99]) == 1
    assert store.read([3], ["a"]).is_complete
    assert store.prune([99, 99]) == 0


def test_events_before_the_segment_start_make_their_ids_known_and_are_not_counted(store: AnyStore) -> None:
    begun(store, position=5, segment=7, replay_until=9)
    assert store.cut(1) == (7,), "nothing is counted yet, so there is nothing to close"
    assert store.apply([chunk_of({1: "a", 2: "a"}, 5)], 5) == [Applied(0, 0, is_warm_up=True)]
    assert not store.read([7], ["a"]).is_complete
    assert store.apply([chunk_of({2: "a", 3: "a"}, 7)], 5) == [Applied(1, 1)]
    assert store.read([7], ["a"]).is_complete
    assert views(store, "a", since=7) == [1]


def test_a_chunk_that_crosses_the_segment_start_is_refused(store: AnyStore) -> None:
    begun(store, position=5, segment=7, replay_until=7)
    assert store.apply([chunk_of({1: "a", 2: "a", 3: "a"}, 5)], 5) == [Moved(5, 7)]
    assert store.positions(1) == (5,)


def test_a_reset_forgets_counts_segments_and_seen_ids(store: AnyStore) -> None:
    begun(store)
    store.apply([chunk_of({1: "a"}, 0)], 5)
    store.cut(1)
    begun(store, position=0, segment=0, replay_until=1)
    assert store.apply([chunk_of({1: "a"}, 0)], 5) == [Applied(1, 0)]
    assert views(store, "a") == [1]
    assert not store.read([1], ["a"]).is_complete


def test_one_video_in_several_partitions_is_added_up(store: AnyStore) -> None:
    for partition in range(3):
        store.reset(partition, position=0, segment=0, replay_until=0)
        store.apply([chunk_of({partition: "a"}, 0, partition=partition)], 5)
    reading = store.read([0, 0, 0], ["a"])
    assert (reading.views, reading.is_complete) == ({"a": 3}, True)
    assert store.read([0, 0, 0, 0], ["a"]).is_complete is False
    assert store.read([0, 0, 0], []).views == {}


def test_a_chunk_larger_than_a_script_can_take_as_arguments_is_applied_whole(store: AnyStore) -> None:
    begun(store)
    everything = {number: f"video{number % 7}" for number in range(9_001)}
    assert store.apply([chunk_of(everything, 0)], 5) == [Applied(9_001, 0)]
    assert store.apply([chunk_of(everything, 9_001)], 5) == [Applied(0, 9_001)]
    assert sum(views(store, *(f"video{index}" for index in range(7)))) == 9_001
    assert sum(views(store, *(f"video{index}" for index in range(9_001)))) == 9_001


def test_offsets_beyond_thirty_two_bits_stay_exact(store: AnyStore) -> None:
    far = 2**52 + 1
    begun(store, position=far, segment=far, replay_until=far)
    store.apply([chunk_of({1: "a"}, far)], 5)
    assert store.cut(1) == (far + 1,)
    assert store.read([far], ["a"]).is_complete
    assert views(store, "a", since=far) == [1]
    assert store.positions(1) == (far + 1,)


@pytest.fixture(params=SERVERS.values(), ids=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def on_redis(url: str) -> Iterator[FlushableRedisStore]:
    with redis_store(url) as store:
        yield store


def forget_scripts(store: FlushableRedisStore) -> None:
    for server in store._servers.masters():
        server.script_flush()


def test_a_server_that_forgot_the_scripts_is_sent_them_again(on_redis: FlushableRedisStore) -> None:
    begun(on_redis)
    on_redis.reset(5, position=0, segment=0, replay_until=0)
    forget_scripts(on_redis)
    chunks = [chunk_of({1: "a"}, 0), chunk_of({3: "a"}, 0, partition=5), chunk_of({2: "a"}, 1)]
    assert on_redis.apply(chunks, 5) == [Applied(1, 0)] * 3
    prefixes = [on_redis._prefix(partition) for partition in (0, 5)]
    for server in on_redis._servers.holding(prefixes):
        assert server.script_exists(APPLY.digest) == [True]


def test_the_asynchronous_reader_reads_the_same(on_redis: FlushableRedisStore, url: str) -> None:
    for partition in range(12):
        on_redis.reset(partition, position=0, segment=0, replay_until=0)
        on_redis.apply([chunk_of({partition: "a", 100 + partition: f"v{partition}"}, 0, partition=partition)], 5)
    videos, ends = ["a", "c", *(f"v{partition}" for partition in range(12))], [0] * 12
    assert on_redis.read(ends, videos).views == {"a": 12, "c": 0} | {f"v{partition}": 1 for partition in range(12)}
    forget_scripts(on_redis)

    async def read() -> object:
        servers = connected_async(url, 5)
        try:
            return await AsyncRedisSegmentReader(servers, namespace=on_redis._namespace).read(ends, videos)
        finally:
            await servers.aclose()

    assert asyncio.run(read()) == on_redis.read(ends, videos)


def test_forgotten_partitions_have_no_position(on_redis: FlushableRedisStore) -> None:
    for partition in range(12):
        on_redis.reset(partition, position=0, segment=0, replay_until=0)
    on_redis.forget(11)
    assert on_redis.positions(12) == (*[None] * 11, 0)


def test_old_generations_are_removed_so_that_memory_is_bounded(on_redis: FlushableRedisStore) -> None:
    begun(on_redis)
    for position in range(10):
        on_redis.apply([chunk_of({position: "a"}, position, generation=HOUR + position)], 5)
    seen = sorted(key for key in on_redis.stored_keys() if ":seen:" in key)
    assert [key.rpartition(":")[2] for key in seen] == [str(HOUR + 7), str(HOUR + 8), str(HOUR + 9)]
    begun(on_redis)
    assert not [key for key in on_redis.stored_keys() if ":seen:" in key]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="Redis"):
        RedisSegmentStore.connect("redis://127.0.0.1:1/0").positions(1)


def test_safe_settings_of_the_server_are_recognised(on_redis: FlushableRedisStore) -> None:
    assert on_redis.unsafe_settings() == []


def age_ms(store: AnyStore) -> int | None:
    (reading,) = store.read([0], []).partitions
    return None if reading is None else reading.covered_ago_ms


def test_without_a_sign_of_life_nobody_knows_how_much_of_the_log_is_counted(store: AnyStore) -> None:
    store.beat({0: 0}, store.now_ms(), "0:log")
    assert age_ms(store) is None, "there is no state yet"
    begun(store)
    store.apply([chunk_of({1: "a"}, 0)], 5)
    assert age_ms(store) is None
    assert not store.read([0], ["a"]).is_current(1 << 40)


def test_a_sign_of_life_says_that_everything_up_to_its_instant_is_counted(store: AnyStore) -> None:
    begun(store)
    store.apply([chunk_of({1: "a"}, 0)], 5)
    store.beat({0: 1}, store.now_ms(), "0:log")
    assert store.read([0], ["a"]).is_current(1_000)
    assert not store.read([0, 0], ["a"]).is_current(1_000), "of every partition"
    store.beat({0: 1}, store.now_ms() - 90_000, "0:log")
    assert 90_000 <= (age_ms(store) or 0) < 91_000, "the log was read that long ago"
    assert not store.read([0], ["a"]).is_current(5_000)


def test_a_sign_of_life_from_the_future_proves_nothing(store: AnyStore) -> None:
    begun(store)
    store.beat({0: 0}, store.now_ms() + 90_000, "0:log")
    assert not store.read([0], []).is_current(5_000)


def test_counting_that_lags_is_known_up_to_the_ends_it_has_reached(store: AnyStore) -> None:
    begun(store)
    now = store.now_ms()
    store.beat({0: 2}, now - 40_000, "0:log")
    store.beat({0: 4}, now - 30_000, "0:log")
    assert age_ms(store) is None, "events that stood there for 40 s are not counted"
    store.apply([chunk_of({1: "a"}, 0)], 5)
    assert age_ms(store) is None
    store.apply([chunk_of({2: "a"}, 1)], 5)
    assert 40_000 <= (age_ms(store) or 0) < 41_000, "known without another heartbeat"
    store.beat({0: 4}, now - 20_000, "0:log")
    assert 40_000 <= (age_ms(store) or 0) < 41_000
    store.apply([chunk_of({3: "a", 4: "a"}, 2)], 5)
    assert 20_000 <= (age_ms(store) or 0) < 21_000
    store.beat({0: 4}, now, "0:log")
    assert (age_ms(store) or 0) < 1_000


def test_a_restarted_partition_must_show_again_how_much_is_counted(store: AnyStore) -> None:
    begun(store)
    store.beat({0: 0}, store.now_ms(), "0:log")
    begun(store)
    assert age_ms(store) is None


def strange(candidates: Mapping[int, str], position: int, *known: str, generation: int = HOUR) -> Chunk:
    """A chunk of whose videos the catalogue has `known`."""
    chunk = chunk_of(candidates, position, generation=generation)
    return replace(chunk, unknown_videos=[video for video in dict.fromkeys(candidates.values()) if video not in known])


def doubts(store: AnyStore, *videos: str, since: int = 0) -> set[str]:
    return set(store.read([since], videos).doubtful)


def test_of_videos_beside_the_catalogue_a_segment_takes_a_limit_and_shows_which_numbers_may_be_too_small(
    narrow: AnyStore,
) -> None:
    begun(narrow)
    first = strange({1: "x", 2: "y", 3: "z", 4: "known", 5: "x"}, 0, "known")
    assert narrow.apply([first], 5) == [Applied(4, 0, apart=1)]
    videos = ("x", "y", "z", "known", "never seen")
    assert views(narrow, *videos) == [2, 1, 0, 1, 0]
    assert doubts(narrow, *videos) == {"z"}
    more = strange({6: "z", 7: "x", 8: "late", 9: "known too"}, 5, "known too")
    assert narrow.apply([more], 5) == [Applied(2, 0, apart=2)]
    assert views(narrow, "x", "z", "late", "known too") == [3, 0, 0, 1]
    assert doubts(narrow, "x", "z", "late", "known too") == {"z", "late"}
    assert narrow.read([0], ["x"]).is_complete, "nobody else's number is in doubt"
    assert narrow.positions(1) == (9,)


def test_what_is_set_apart_takes_no_room_for_its_ids_and_is_apart_again_when_it_is_repeated(narrow: AnyStore) -> None:
    begun(narrow)
    narrow.apply([strange({1: "x", 2: "y", 3: "z"}, 0)], 5)
    assert [narrow.knows(UUID(int=number).bytes, 1) for number in (1, 2, 3)] == [True, True, False]
    assert narrow.apply([strange({1: "x", 3: "z"}, 3)], 5) == [Applied(0, 1, apart=1)]
    assert views(narrow, "x", "y", "z") == [1, 1, 0]


def test_a_cut_gives_room_again_and_the_doubt_stays_with_its_segment(narrow: AnyStore) -> None:
    begun(narrow)
    narrow.apply([strange({1: "x", 2: "y", 3: "z"}, 0)], 5)
    assert narrow.cut(1) == (3,)
    assert narrow.apply([strange({4: "z", 5: "w"}, 3)], 5) == [Applied(2, 0)]
    assert doubts(narrow, "z", "w") == {"z"}, "of its views before the cut"
    assert (views(narrow, "z", since=3), doubts(narrow, "z", since=3)) == ([1], set())
    narrow.prune([3])
    begun(narrow)
    assert doubts(narrow, "z") == set()


def test_ids_read_again_before_a_segment_take_bounded_room_too(narrow: AnyStore) -> None:
    begun(narrow, segment=100)
    numbers = {number: f"strange {number}" for number in range(30)}
    assert narrow.apply([strange(numbers, 0)], 5) == [Applied(0, 0, apart=10, is_warm_up=True)]
    assert sum(narrow.knows(UUID(int=number).bytes, 1) for number in numbers) == 20
    narrow.apply([chunk_of({}, 30, next_position=100)], 5)
    assert narrow.apply([strange({3: "strange 3", 29: "strange 29"}, 100)], 5) == [Applied(1, 1)]
    assert doubts(narrow, "strange 3", since=100) == set()
