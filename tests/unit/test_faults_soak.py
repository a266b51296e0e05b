"""What a soak judges by: memory that is flat, and a count of events by number."""

import json

import pytest

from faults.flatness import fit
from faults.reference import LogMessage
from faults.soak_traffic import expected_views, number_in, value_of, video_of
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import ViewEvent

MIB = 2**20
AT = "2026-11-23T10:00:00+00:00"


def series(sizes: list[float]) -> list[tuple[float, int]]:
    return [(5.0 * index, int(size * MIB)) for index, size in enumerate(sizes)]


def test_memory_that_grows_at_first_and_then_stays_is_flat() -> None:
    found = fit(series([50 + index for index in range(30)] + [80 + index % 3 for index in range(30)]))
    assert found.is_flat
    assert abs(found.growth_bytes) < MIB


def test_memory_that_keeps_growing_is_not_flat() -> None:
    found = fit(series([100 + 0.5 * index for index in range(100)]))
    assert not found.is_flat
    assert found.growth_bytes == pytest.approx(24.5 * MIB, rel=0.01)


def test_an_event_of_a_soak_is_well_formed_and_carries_its_number() -> None:
    for number in (0, 1, 12_345_678):
        event = decode_view_event(value_of(20261124, number, AT))
        assert isinstance(event, ViewEvent)
        assert event.video_id == video_of(number)
        assert number_in(value_of(20261124, number, AT)) == number
    assert number_in(json.dumps(json.loads(value_of(7, 42, AT)), separators=(",", ":")).encode()) == 42


def messages(numbers: list[int]) -> list[LogMessage]:
    return [LogMessage(0, offset, 0, value_of(7, number, AT)) for offset, number in enumerate(numbers)]


def test_repeats_count_once_and_what_is_missing_is_told() -> None:
    views, lost = expected_views(messages([0, 1, 1, 3, 0]), made=5)
    assert views.total() == 3
    assert lost == 2


def test_a_message_that_nobody_sent_is_noticed() -> None:
    with pytest.raises(AssertionError, match="nobody sent"):
        expected_views(messages([9]), made=5)
