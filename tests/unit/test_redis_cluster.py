"""Who holds what in a Cluster, and the hash tags of partitions; nothing connects."""

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from redis.crc import key_slot
from redis.exceptions import SlotNotCoveredError

from ingestion.contract.topics import PARTITION_COUNT
from speed_layer.redis_calls import key_prefix
from speed_layer.redis_cluster import Slots
from speed_layer.redis_segment_store import RedisSegmentStore

ASKED = ("asked", 1)
ANSWER = [
    [8192, 16383, [b"two", 2, b"id"], [b"three", 3, b"id"]],
    [0, 4095, [b"", 1, b"id", []]],
    [4096, 8190, ["one", 1, "id"], ["four", 4, "id"]],
]
"""As servers send it: in any order, bytes or text, without a name for the one that was asked."""


def tag_in(slot: int) -> str:
    return next(tag for tag in (f"{{{number}}}" for number in range(10**6)) if key_slot(tag.encode()) == slot)


@pytest.mark.parametrize(
    ("slot", "master"),
    [(0, ASKED), (4095, ASKED), (4096, ("one", 1)), (8190, ("one", 1)), (8192, ("two", 2)), (16383, ("two", 2))],
)
def test_a_key_is_held_by_the_master_of_its_slot(slot: int, master: tuple[str, int]) -> None:
    assert Slots.of(ANSWER, ASKED).master_of(tag_in(slot)) == master


def test_a_slot_that_nobody_holds_is_an_error() -> None:
    with pytest.raises(SlotNotCoveredError, match="8191"):
        Slots.of(ANSWER, ASKED).master_of(tag_in(8191))
    with pytest.raises(SlotNotCoveredError):
        Slots.of([], ASKED).master_of("any")
    with pytest.raises(SlotNotCoveredError):
        Slots.of(ANSWER[2:], ASKED).master_of(tag_in(0))


def test_masters_and_replicas_are_told_apart() -> None:
    slots = Slots.of(ANSWER, ASKED)
    assert slots.masters() == [ASKED, ("one", 1), ("two", 2)]
    assert slots.every() == [ASKED, ("one", 1), ("four", 4), ("two", 2), ("three", 3)]


@pytest.mark.parametrize(("count", "masters_max"), [(24, 12), (48, 16), (100, 24), (256, 48)])
def test_more_partitions_are_spread_over_more_masters(count: int, masters_max: int) -> None:
    """No master has more than twice its share; all have some."""
    tags = [key_prefix("views", partition, spread=True) for partition in range(count)]
    assert tags[:12] == [key_prefix("views", partition, spread=True) for partition in range(12)]
    assert len(set(tags)) == count
    for masters in range(2, masters_max + 1):
        held = Counter(key_slot(tag.encode()) * masters // 16384 for tag in tags)
        assert len(held) == masters
        assert max(held.values()) <= 2 * count / masters, f"{masters} masters: {sorted(held.values())}"


@pytest.mark.parametrize("masters", [2, 3, 4, 6, 12])
@pytest.mark.parametrize("namespace", ["views", "test", "a-long-namespace-of-its-own"])
def test_partitions_are_spread_evenly_over_masters_whose_slots_are_about_equal(masters: int, namespace: str) -> None:
    rng = random.Random(f"{masters} {namespace}")
    ends = [number * 16384 // masters + rng.randint(-100, 100) for number in range(1, masters)]
    prefixes = [key_prefix(namespace, partition, spread=True) for partition in range(PARTITION_COUNT)]
    held = Counter(sum(key_slot(prefix.encode()) >= end for end in ends) for prefix in prefixes)
    assert dict(held) == dict.fromkeys(range(masters), PARTITION_COUNT // masters)
    assert len(set(prefixes)) == PARTITION_COUNT


def test_one_server_keeps_the_keys_of_earlier_releases() -> None:
    assert key_prefix("views", 7) == "{views:7}"
    assert key_prefix("views", 7, spread=True) == "{views:7:60}"


class Clocks:
    """Masters of which only the clocks are needed."""

    spreads_keys = True

    def __init__(self, *seconds: float) -> None:
        self._seconds = seconds

    def masters(self) -> list[Any]:
        """Return masters whose clocks show these times."""
        return [SimpleNamespace(time=lambda at=at: (int(at), round(at % 1 * 1e6))) for at in self._seconds]


def test_the_time_of_several_masters_is_that_of_the_slowest_clock() -> None:
    store = RedisSegmentStore(Clocks(1_000.25, 999.125, 1_007.0))  # type: ignore[arg-type]
    assert store.now_ms() == 999_125
