"""Which days' traffic a run judges: by how far the log is settled, and never by a clock."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from batch_layer.judging.due_days import days_of_decisions, days_to_catch_up, due_days, due_periods, open_days
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.version import DayRules, SeenPeriod, SeenTraffic

DAY = date(2026, 10, 5)
LATENESS = timedelta(hours=24)
HERE = OffsetVector("video-views", (10, 20))
MONTH = Period(date(2026, 10, 1), date(2026, 11, 1))


def at(day: date, hour: int = 0) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def rules(day: date = DAY, *, seen: SeenTraffic | None = None, policy: int = 1) -> dict[date, DayRules]:
    return {day: DayRules(1, 1, policy, seen)}


def seen(until: datetime, end: OffsetVector = HERE) -> SeenTraffic:
    return SeenTraffic(end, 1, until)


def judgings_of(day: date, lateness: timedelta = LATENESS) -> list[datetime]:
    """Return the hours at which a day is judged, if a run is done every hour for two months and a half."""
    found, known = [], rules(day)
    for hours in range(24 * 75):
        now = at(day) + timedelta(hours=hours)
        if due_days(known, now, lateness):
            found.append(now)
            known = rules(day, seen=seen(now))
    return found


def test_a_day_is_judged_after_its_end_again_twice_and_when_its_month_can_be_billed() -> None:
    assert judgings_of(DAY) == [
        at(date(2026, 10, 7)),
        at(date(2026, 10, 13)),
        at(date(2026, 11, 2)),
        at(date(2026, 11, 10)),
    ]


def test_the_last_day_of_a_month_is_not_judged_twice_at_once() -> None:
    assert judgings_of(date(2026, 10, 31)) == [at(date(2026, 11, 2)), at(date(2026, 11, 8)), at(date(2026, 12, 6))]


def test_a_lateness_of_weeks_leaves_out_what_comes_before_it() -> None:
    days = [each.date() for each in judgings_of(DAY, timedelta(days=30))]
    assert days == [date(2026, 11, 5), date(2026, 11, 10), date(2026, 12, 1)]


@pytest.mark.parametrize("hours", [0, 1, 24, 240, 840])
def test_a_day_is_open_exactly_as_long_as_it_will_be_due_again(hours: int) -> None:
    lateness = timedelta(hours=hours)
    judgings = judgings_of(DAY, lateness)
    for number, judged in enumerate(judgings, start=1):
        still = open_days(rules(seen=seen(judged)), lateness)
        assert still == ({} if number == len(judgings) else {DAY: judgings[-1]}), f"{hours} h, judged at {judged}"
    assert due_days(rules(seen=seen(judgings[-1])), at(date(2028, 3, 1)), lateness) == frozenset()


def test_runs_that_were_missed_are_one_judging() -> None:
    assert due_days(rules(), at(date(2027, 3, 1)), LATENESS) == {DAY}
    assert due_days(rules(seen=seen(at(date(2027, 3, 1)))), at(date(2028, 3, 1)), LATENESS) == frozenset()


def test_a_day_that_no_policy_rules_is_never_due() -> None:
    assert due_days(rules(policy=0), at(date(2027, 3, 1)), LATENESS) == frozenset()
    assert days_to_catch_up(rules(policy=0), MONTH, HERE, settled_before=at(date(2027, 3, 1))) == frozenset()


def test_a_period_to_be_billed_is_judged_by_all_that_has_come() -> None:
    earlier = OffsetVector("video-views", (10, 19))
    known = {
        **rules(DAY, seen=seen(at(DAY), earlier)),
        **rules(date(2026, 10, 6), seen=seen(at(DAY), HERE)),
        **rules(date(2026, 10, 7)),
        **rules(date(2026, 11, 1)),
        **rules(date(2026, 9, 30)),
    }
    assert days_to_catch_up(known, MONTH, HERE, settled_before=at(date(2026, 12, 1))) == {DAY, date(2026, 10, 7)}
    assert days_to_catch_up(known, MONTH, HERE, settled_before=at(date(2026, 10, 7))) == {DAY}, "the last day goes on"


def test_an_accepted_late_event_concerns_the_judged_days_that_would_have_seen_it() -> None:
    known: dict[date, DayRules] = {}
    for number in range(1, 12):
        known |= rules(date(2026, 10, number), seen=None if number == 6 else seen(at(DAY)))
    found = days_of_decisions(known, {DAY})
    assert found == {date(2026, 10, 4), DAY, date(2026, 10, 7)}, "not the sixth, which waits to be judged"


def open_period(*days: date, policy: int = 1) -> dict[date, DayRules]:
    return {day: DayRules(1, 1, policy, seen(at(day))) for day in days}


OCTOBER, NOVEMBER = Period.parse("2026-10"), Period.parse("2026-11")


def test_the_rules_of_a_period_judge_months_once_they_can_be_billed() -> None:
    days = open_period(date(2026, 10, 5), date(2026, 10, 31), date(2026, 11, 1))
    ready = at(date(2026, 11, 1)) + LATENESS
    assert due_periods(days, ready - timedelta(microseconds=1), LATENESS) == ()
    assert due_periods(days, ready, LATENESS) == (OCTOBER,)
    assert due_periods(days, ready + timedelta(days=30), LATENESS) == (OCTOBER, NOVEMBER)
    judged = SeenPeriod(OCTOBER, HERE, 1, 0, "0" * 64)
    known = days | {day: replace(each, period=judged) for day, each in days.items() if OCTOBER.contains(day)}
    assert due_periods(known, ready, LATENESS) == ()
    later = known | open_period(date(2026, 10, 7))
    assert due_periods(later, ready, LATENESS) == (OCTOBER,), "a late event was accepted on a new day"
    assert due_periods(open_period(DAY, policy=0), ready, LATENESS) == (), "no policy rules it"


def test_a_period_that_is_asked_for_is_due_when_it_is_over_and_has_days_that_none_judged() -> None:
    half = Period(date(2026, 10, 1), date(2026, 10, 16))
    days = open_period(DAY, date(2026, 10, 20))
    assert due_periods(days, half.end_at, timedelta(0), half) == (half,)
    assert due_periods(days, half.end_at, timedelta(seconds=1), half) == ()
    judged = {day: replace(each, period=SeenPeriod(half, HERE, 1, 0, "")) for day, each in days.items() if day == DAY}
    assert due_periods(days | judged, half.end_at, timedelta(0), half) == ()
