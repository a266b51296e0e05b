"""The record of removals: what it says of a table, of some days and of a partition."""

from datetime import UTC, date, datetime

from batch_layer.archive.removals import Removals, with_removed
from batch_layer.lake.content import Content, Place

DAY = date(2026, 11, 20)
NOON, TOMORROW = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 21, 0, tzinfo=UTC)
ONE, TWO = Content(1, (2**64 - 1, 3)), Content(2, (5, 7))
FOUND = Removals(
    {"raw_events": {Place(0, NOON): ONE, Place(0, TOMORROW): TWO, Place(3, NOON): TWO}, "rejected_events": {}}, DAY
)


def test_a_comparison_of_some_days_knows_what_was_removed_of_these_days() -> None:
    assert FOUND.received_on((DAY,)).of("raw_events") == {Place(0, NOON): ONE, Place(3, NOON): TWO}
    assert FOUND.received_on((DAY,)).before == DAY
    assert FOUND.received_on((date(2026, 11, 22),)).of("raw_events") == {}
    assert FOUND.received_on(None) is FOUND


def test_rows_are_counted_by_partition_and_a_table_without_a_record_has_lost_none() -> None:
    assert FOUND.by_partition("raw_events") == {0: 3, 3: 2}
    assert FOUND.by_partition("rejected_events") == FOUND.by_partition("events") == {}


def test_something_was_removed_if_a_row_is_on_record_or_a_retention_was() -> None:
    assert FOUND.is_any
    assert Removals(before=DAY).is_any
    assert not Removals({"raw_events": {}}).is_any


def test_what_is_there_and_what_was_removed_add_up_by_place() -> None:
    there = {Place(0, NOON): TWO, Place(1, NOON): ONE}
    assert with_removed(there, FOUND.of("raw_events")) == {
        Place(0, NOON): Content(3, (4, 10)),
        Place(1, NOON): ONE,
        Place(0, TOMORROW): TWO,
        Place(3, NOON): TWO,
    }
