"""How far a batch run goes: offsets, watermarks, and what is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from batch_layer.archive.cut import Cut, take_cut
from batch_layer.errors import RefusedError
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Broker:
    """Each offset was appended as many minutes after noon."""

    ends: tuple[int, ...]
    starts: tuple[int, ...] = ()
    now: datetime = NOON + 30 * MINUTE
    asked: list[str] = field(default_factory=list)
    only_markers_from: int = 10**18
    base: int = 0

    def partition_count(self) -> int:
        return len(self.ends)

    def broker_time(self) -> datetime:
        self.asked.append("time")
        return self.now

    def beginnings(self) -> tuple[int, ...]:
        return self.starts or (0,) * len(self.ends)

    def highwaters(self) -> tuple[int, ...]:
        self.asked.append("highwaters")
        return self.ends

    def appended_at(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        return {
            partition: NOON + max(0, offset - self.base) * MINUTE
            for partition, offset in offsets.items()
            if offset < self.only_markers_from
        }


@dataclass
class Speed:
    positions: Sequence[int | None] | None
    asked: list[str] = field(default_factory=list)

    def cut(self, partition_count: int) -> Sequence[int | None]:
        self.asked.append("cut")
        if self.positions is None:
            raise UnavailableError(Part.REDIS, "Redis: away")
        return self.positions

    def prune(self, offset_ends: Sequence[int]) -> int:
        return 0


def version(ends: tuple[int, ...], watermark: datetime = NOON) -> PublishedVersion:
    watermarks = (watermark,) * len(ends)
    return PublishedVersion(1, "run", OffsetVector("topic", ends), watermarks, {}, {}, {}, {}, NOON)


def cut(
    broker: Broker,
    positions: Sequence[int | None] | None,
    former: PublishedVersion | None = None,
    *,
    begin_at_oldest: bool = False,
) -> Cut:
    return take_cut(broker, Speed(positions), "topic", former, begin_at_oldest=begin_at_oldest)


def test_the_cut_ends_where_the_speed_layer_closed_its_segments() -> None:
    found = cut(Broker((10, 20)), [7, 20])
    assert (found.start.ends, found.end.ends) == ((0, 0), (7, 20))


def test_a_partition_without_state_in_the_speed_layer_is_read_to_its_end() -> None:
    found = cut(Broker((10, 20)), [None, 5])
    assert found.end.ends == (10, 5)
    assert "partitions 0" in found.notes[0]
    assert found.uncut_count == 1


def test_without_the_speed_layer_the_run_goes_to_the_end_of_the_log_and_says_so() -> None:
    found = cut(Broker((10, 20)), None)
    assert found.end.ends == (10, 20)
    assert "Redis: away" in found.notes[0]
    assert found.uncut_count == 2


def test_offsets_never_go_back_before_the_published_version() -> None:
    found = cut(Broker((10, 20)), [3, 15], version((5, 12)))
    assert (found.start.ends, found.end.ends) == ((5, 12), (5, 15))


def test_a_speed_layer_that_stands_still_is_not_waited_for_and_that_is_said() -> None:
    found = cut(Broker((10, 20, 30), now=NOON + 70 * MINUTE), [10, 15, 4])
    assert found.end.ends == (10, 15, 30), "offset 15 has waited for 55 minutes, offset 4 for 66"
    assert found.notes == ("no progress of the speed layer in partitions 2; going to their end",)
    assert found.watermarks == (NOON + 70 * MINUTE, NOON + 15 * MINUTE, NOON + 70 * MINUTE)


def test_a_speed_layer_that_has_counted_everything_never_stands_still() -> None:
    found = cut(Broker((10, 20), now=NOON + 5000 * MINUTE), [10, 20])
    assert (found.end.ends, found.notes, found.uncut_count) == ((10, 20), (), 0)


def test_a_speed_layer_ahead_of_the_log_belongs_to_another_log() -> None:
    with pytest.raises(RefusedError, match="partition 1: the speed layer has counted up to offset 21"):
        cut(Broker((10, 20)), [10, 21])


def test_records_deleted_before_they_were_archived_are_never_skipped_silently() -> None:
    with pytest.raises(RefusedError, match="partition 1: offsets 12 to 14 were deleted"):
        cut(Broker((10, 20), starts=(0, 15)), [10, 20], version((5, 12)))


def test_the_first_run_leaves_out_what_was_deleted_only_when_told_to_and_says_so() -> None:
    with pytest.raises(RefusedError, match=r"partition 1: offsets 0 to 14 were deleted.*--begin-at-oldest"):
        cut(Broker((10, 20), starts=(0, 15)), [10, 20])
    found = cut(Broker((10, 20), starts=(0, 15)), [10, 20], begin_at_oldest=True)
    assert found.start.ends == (0, 15)
    assert "counting begins at [0, 15]" in found.notes[0]


def test_once_there_is_a_version_nothing_is_left_out_whatever_was_told() -> None:
    with pytest.raises(RefusedError, match="partition 1: offsets 12 to 14 were deleted"):
        cut(Broker((10, 20), starts=(0, 15)), [10, 20], version((5, 12)), begin_at_oldest=True)


def test_another_topic_or_fewer_partitions_are_refused() -> None:
    with pytest.raises(RefusedError, match="covers 3 partitions"):
        cut(Broker((10, 20)), [10, 20], version((1, 1, 1)))


def test_a_partition_added_since_begins_at_zero() -> None:
    found = cut(Broker((10, 20, 4)), [10, 20, 4], version((5, 12)))
    assert found.start.ends == (5, 12, 0)


def test_at_the_end_of_the_log_the_watermark_is_the_brokers_time_taken_before_the_cut() -> None:
    asked: list[str] = []
    broker, speed = Broker((10, 20), asked=asked), Speed([10, 20], asked=asked)
    found = take_cut(broker, speed, "topic", None)
    assert found.watermarks == (broker.now, broker.now)
    assert asked == ["time", "cut", "highwaters"], "a record appended in between must not lie below the watermark"


def test_past_the_end_the_watermark_is_the_append_time_of_the_first_record_not_covered() -> None:
    broker = Broker((10, 20))
    assert cut(broker, [7, 20]).watermarks == (NOON + 7 * MINUTE, broker.now)


def test_transaction_markers_after_the_cut_hold_no_watermark_back() -> None:
    broker = Broker((10, 20), only_markers_from=9)
    assert cut(broker, [9, 20]).watermarks == (broker.now, broker.now)


def test_a_watermark_never_goes_back() -> None:
    later = NOON + 5000 * MINUTE
    assert cut(Broker((10, 20)), [7, 20], version((5, 12), later)).watermarks == (later, later)


def test_a_log_that_ends_before_what_is_counted_is_refused_since_what_comes_there_would_never_be_read() -> None:
    for positions in (None, (None, None), (5, 3)):
        with pytest.raises(
            RefusedError, match=r"partition 1: everything up to offset 7 is counted and Kafka ends at 3"
        ):
            cut(Broker((9, 3)), positions, version((5, 7)))


def test_a_new_generation_begins_after_everything_that_was_counted_of_the_former_one() -> None:
    base = 1 << 40
    broker = Broker((base + 9, base), (base, base), base=base)
    found = cut(broker, (5, None), version((5, 7)))
    assert (found.start.ends, found.end.ends) == ((base, base), (base, base))
    found = cut(broker, (base + 4, base), version((5, 7)))
    assert (found.start.ends, found.end.ends) == ((base, base), (base + 4, base))
    with pytest.raises(RefusedError, match=f"offsets {base} to {base + 1} were deleted"):
        cut(Broker((base + 9, base), (base + 2, base), base=base), (5, None), version((5, 7)))
