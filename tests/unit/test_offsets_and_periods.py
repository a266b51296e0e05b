"""Offset vectors and periods are half-open and refuse nonsense by name."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from ingestion.contract.offsets import OffsetRange, OffsetVector, total_offsets
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy, policy_on
from tests.shipped_policies import POLICIES


def vector(*ends: int) -> OffsetVector:
    return OffsetVector("video-views", ends)


def test_the_ranges_between_two_vectors_leave_out_partitions_where_nothing_came() -> None:
    ranges = vector(5, 7, 9).ranges_since(vector(5, 0, 8))
    assert ranges == [OffsetRange("video-views", 1, 0, 7), OffsetRange("video-views", 2, 8, 9)]
    assert total_offsets(ranges) == 8


def test_a_vector_never_goes_back() -> None:
    with pytest.raises(ValueError, match="offsets go back"):
        vector(5, 6).ranges_since(vector(6, 6))


def test_vectors_of_other_topics_or_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        vector(5).covers(OffsetVector("ad-views", (5,)))
    with pytest.raises(ValueError, match="cannot be compared"):
        vector(5).covers(vector(5, 6))


def test_a_vector_survives_json() -> None:
    assert OffsetVector.from_json(vector(1, 2).to_json()) == vector(1, 2)


@pytest.mark.parametrize("ends", [(), (-1,)])
def test_a_vector_needs_offsets(ends: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one offset >= 0 for every partition"):
        OffsetVector("video-views", ends)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-10", date(2026, 10, 1), date(2026, 11, 1)),
        ("2026-12", date(2026, 12, 1), date(2027, 1, 1)),
        ("2028-02", date(2028, 2, 1), date(2028, 3, 1)),
        ("2026-11-18/2026-11-21", date(2026, 11, 18), date(2026, 11, 21)),
    ],
)
def test_a_period_is_a_month_or_a_half_open_range_of_days(text: str, start: date, end: date) -> None:
    period = Period.parse(text)
    assert (period.start_on, period.end_on) == (start, end)
    assert period.end_at == datetime(end.year, end.month, end.day, tzinfo=UTC)
    assert len(period.days()) == (end - start).days
    assert Period.parse(str(period)) == period


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-11-21/2026-11-21", "2026-11-22/2026-11-21", "2026-02-30/2026-03-01", "next"]
)
def test_what_is_not_a_period_is_refused_with_the_forms_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a period.*half-open range of days"):
        Period.parse(text)


def test_the_policy_in_force_is_the_newest_that_has_begun() -> None:
    first = POLICIES[0]
    second = CountingPolicy(2, date(2026, 6, 1), 10, first.billable_per_viewer_max, first.viewer_window)
    assert policy_on(date(2026, 5, 31), (second, first)) == first
    assert policy_on(date(2026, 6, 1), (second, first)) == second
    with pytest.raises(LookupError, match="2026-05-31"):
        policy_on(date(2026, 5, 31), (second,))


def test_two_periods_share_a_day_exactly_if_some_day_is_in_both() -> None:
    days = [date(2026, 2, 27) + timedelta(days=number) for number in range(5)]
    periods = [Period(first, end) for first, end in itertools.combinations(days, 2)]
    for one, other in itertools.product(periods, repeat=2):
        assert one.overlaps(other) == any(map(one.contains, other.days()))
    for one in periods:
        assert [day for day in days if one.contains(day)] == one.days()
