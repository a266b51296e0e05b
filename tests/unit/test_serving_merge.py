from dataclasses import dataclass
from datetime import timedelta

import pytest

from serving_layer.counts.merge import (
    ImpossibleCountError,
    ServedVersion,
    SettledCount,
    SpeedSums,
    entity_tag,
    merged,
)
from tests.serving_fakes import APPENDED_AT, PARTITIONS, SETTLED_UNTIL, version

V2 = version(2)


def speed(views: int, *, is_complete: bool = True, ends: tuple[int, ...] = V2.offset_ends) -> SpeedSums:
    return SpeedSums(ends, {"v": views}, is_complete, APPENDED_AT)


def test_a_served_count_is_what_is_settled_plus_what_came_since() -> None:
    count = merged("v", V2, SettledCount(1_000, 800), speed(17))
    assert (count.views, count.settled_views, count.provisional_views, count.billable_views) == (1_017, 1_000, 17, 800)
    assert (count.version, count.settled_until, count.as_of) == (2, SETTLED_UNTIL, APPENDED_AT)
    assert count.complete
    assert count.known


def test_nothing_provisional_is_billable() -> None:
    assert merged("v", V2, None, speed(17)).billable_views == 0


def test_without_the_speed_layer_the_settled_count_is_served_as_incomplete() -> None:
    count = merged("v", V2, SettledCount(1_000, 800), None)
    assert (count.views, count.complete, count.as_of) == (1_000, False, SETTLED_UNTIL)


def test_a_speed_layer_under_repair_makes_the_answer_incomplete() -> None:
    assert not merged("v", V2, None, speed(3, is_complete=False)).complete


@pytest.mark.parametrize(
    ("settled", "views", "known"),
    [(None, 0, False), (None, 1, True), (SettledCount(0, 0), 0, True), (SettledCount(5, 5), 0, True)],
)
def test_a_video_is_known_once_any_layer_has_seen_it(settled: SettledCount | None, views: int, known: bool) -> None:
    assert merged("v", V2, settled, speed(views)).known is known


def test_as_of_never_lies_before_settled_until() -> None:
    stale = SpeedSums(V2.offset_ends, {}, True, SETTLED_UNTIL - timedelta(hours=1))
    assert merged("v", V2, None, stale).as_of == SETTLED_UNTIL


def test_before_the_first_version_everything_is_provisional() -> None:
    nothing = ServedVersion(0, (0,) * PARTITIONS, None)
    count = merged("v", nothing, None, speed(4, ends=nothing.offset_ends))
    assert (count.views, count.settled_views, count.version, count.settled_until) == (4, 0, 0, None)


@dataclass(frozen=True)
class Impossible:
    settled: SettledCount | None
    sums: SpeedSums | None
    version: ServedVersion = V2


@pytest.mark.parametrize(
    "halves",
    [
        Impossible(None, speed(-1)),
        Impossible(SettledCount(5, 6), None),
        Impossible(SettledCount(-1, -1), None),
        Impossible(SettledCount(5, 5), speed(1, ends=version(1).offset_ends)),
        Impossible(SettledCount(5, 5), None, ServedVersion(0, (0,) * PARTITIONS, None)),
    ],
)
def test_halves_that_contradict_each_other_are_never_added(halves: Impossible) -> None:
    with pytest.raises(ImpossibleCountError):
        merged("v", halves.version, halves.settled, halves.sums)


def test_the_entity_tag_changes_with_every_number_and_with_nothing_else() -> None:
    settled = SettledCount(10, 8)
    tag = entity_tag(merged("v", V2, settled, speed(1)))
    later = SpeedSums(V2.offset_ends, {"v": 1}, True, APPENDED_AT + timedelta(minutes=1))
    assert entity_tag(merged("v", V2, settled, later)) == tag
    others = [
        merged("v", V2, settled, speed(2)),
        merged("v", V2, SettledCount(11, 8), speed(1)),
        merged("v", V2, SettledCount(10, 9), speed(1)),
        merged("v", V2, settled, speed(1, is_complete=False)),
        merged("v", version(3), settled, speed(1, ends=version(3).offset_ends)),
        merged("v", V2, SettledCount(9, 8), speed(2)),
    ]
    assert len({tag, *map(entity_tag, others)}) == len(others) + 1


def test_a_video_whose_number_may_be_too_small_is_incomplete_and_the_others_are_not() -> None:
    sums = SpeedSums(V2.offset_ends, {"v": 1, "w": 2}, True, APPENDED_AT, {"w"})
    assert [merged(video, V2, None, sums).complete for video in ("v", "w")] == [True, False]
