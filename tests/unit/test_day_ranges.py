from datetime import date, timedelta

from ingestion.contract.day_ranges import day_ranges

FIRST = date(2026, 10, 30)


def test_days_that_follow_each_other_are_one_range_also_over_the_end_of_a_month() -> None:
    assert day_ranges(FIRST + timedelta(days=number) for number in (3, 1, 0, 2)) == ("2026-10-30 to 2026-11-02",)


def test_a_day_alone_is_itself_and_a_gap_begins_another_range() -> None:
    days = [FIRST, FIRST + timedelta(days=2), FIRST + timedelta(days=3), FIRST + timedelta(days=3)]
    assert day_ranges(days) == ("2026-10-30", "2026-11-01 to 2026-11-02")
    assert day_ranges([]) == ()
