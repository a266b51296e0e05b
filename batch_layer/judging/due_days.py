"""Choose the event days whose traffic is judged now: by how far the log is settled, never by a clock. Pure."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from ingestion.contract.counting import LATE_AFTER
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.version import DayRules

AGAIN_AFTER = (timedelta(days=7), LATE_AFTER)
"""A day is judged again when so much later events of it are settled; after the last, none comes without a decision."""
ALLOWED_LATENESS = timedelta(hours=24)
_ONE = timedelta(days=1)


def due_days(rules: Mapping[date, DayRules], settled_until: datetime, allowed_lateness: timedelta) -> frozenset[date]:
    """Return the days for which the log has been settled past another of their instants since they were judged.

    The instants are the end of the day and of its month, each with the allowed lateness, and `AGAIN_AFTER` the end of
    the day. So the version by which a month can be billed has judged all of its days with all that had come.
    """
    return frozenset(
        day
        for day, each in rules.items()
        if each.traffic_policy_version
        and (passed := [at for at in _instants(day, allowed_lateness) if at <= settled_until])
        and (each.seen is None or each.seen.settled_until < max(passed))
    )


def days_to_catch_up(
    rules: Mapping[date, DayRules], period: Period, end: OffsetVector, *, settled_before: datetime
) -> frozenset[date]:
    """Return the days of a period that were not judged with everything below `end`.

    Days that end after `settled_before` are left out: they go on.
    """
    return frozenset(
        day
        for day in period.days()
        if (each := rules.get(day)) is not None
        and each.traffic_policy_version
        and _end_of(day) <= settled_before
        and (each.seen is None or each.seen.end != end)
    )


def due_periods(
    rules: Mapping[date, DayRules], settled_until: datetime, allowed_lateness: timedelta, asked: Period | None = None
) -> tuple[Period, ...]:
    """Return the periods, in order, whose rules judge now: months that can be billed, and one that was `asked` for.

    Each has days that no rule of a period has judged, and has ended, with the allowed lateness.
    """
    open_days = [day for day, each in rules.items() if each.traffic_policy_version and each.period is None]
    wanted = {_month_of(day) for day in open_days} | ({asked} if asked is not None else set())
    return tuple(
        period
        for period in sorted(wanted, key=lambda each: (each.start_on, each.end_on))
        if period.end_at + allowed_lateness <= settled_until and any(period.contains(day) for day in open_days)
    )


def days_of_decisions(rules: Mapping[date, DayRules], moved: Collection[date]) -> frozenset[date]:
    """Return the judged days whose rules would have seen other events, now that late events of these days count.

    An accepted event decides on its id on the neighbouring days too, and the rules of a day look at the day before.
    """
    near = {day + step * _ONE for day in moved for step in range(-1, 3)}
    return frozenset(day for day in near if (each := rules.get(day)) is not None and each.seen is not None)


def open_days(rules: Mapping[date, DayRules], allowed_lateness: timedelta) -> dict[date, datetime]:
    """Return the days that are judged once more, and the instants until which the log must be settled for that.

    The rules look at what viewers sent on the day and the day before.
    """
    last = {day: max(_instants(day, allowed_lateness)) for day, each in rules.items() if each.traffic_policy_version}
    return {day: at for day, at in last.items() if (seen := rules[day].seen) is None or seen.settled_until < at}


def in_pieces(days: Collection[date], counts: Mapping[date, int], events_max: int) -> Iterator[tuple[date, ...]]:
    """Yield the days in order, together as many as have at most `events_max` events with those of each day before.

    A day with more is alone. `counts` are the events of each day that has any.
    """
    piece: list[date] = []
    row_count = 0
    for day in sorted(days):
        of_day = counts.get(day, 0) + counts.get(day - _ONE, 0)
        if piece and row_count + of_day > events_max:
            yield tuple(piece)
            piece, row_count = [], 0
        piece.append(day)
        row_count += of_day
    if piece:
        yield tuple(piece)


def _instants(day: date, allowed_lateness: timedelta) -> tuple[datetime, ...]:
    ends = (_end_of(day), _month_of(day).end_at)
    later = (_end_of(day) + max(after, allowed_lateness) for after in AGAIN_AFTER)
    return (*(end + allowed_lateness for end in ends), *later)


def _month_of(day: date) -> Period:
    first_on = day.replace(day=1)
    return Period(first_on, (first_on + timedelta(days=31)).replace(day=1))


def _end_of(day: date) -> datetime:
    return datetime.combine(day + _ONE, time(), UTC)
