"""The day on which a bank executes a payout: never in the past, and not far ahead. Pure."""

from datetime import date, timedelta

from dateutil.easter import easter

DAYS_AHEAD_MAX = 90
"""How many days ahead a batch may be: its money leaves the balances at once, and banks accept no file far ahead."""


def execution_day_problem(day: date, today: date) -> str | None:
    """Return why a batch cannot be executed on a day, at which the ledger's transactions take effect."""
    last = today + timedelta(days=DAYS_AHEAD_MAX)
    if today <= day <= last:
        return None
    where = "in the past" if day < today else "too far ahead"
    return f"{day} is {where}; the bank can execute from today ({today}, UTC) to {last}"


def next_target_day(day: date) -> date:
    """Return the first day from `day` on at which banks execute SEPA transfers (the calendar of TARGET)."""
    while day.weekday() >= 5 or _is_target_holiday(day):
        day += timedelta(days=1)
    return day


def _is_target_holiday(day: date) -> bool:
    easter_on: date = easter(day.year)
    fixed = {(1, 1), (5, 1), (12, 25), (12, 26)}
    return (day.month, day.day) in fixed or day in (easter_on - timedelta(days=2), easter_on + timedelta(days=1))
