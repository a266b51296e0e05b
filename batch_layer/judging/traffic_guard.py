"""Keep a broken list or a flood from robbing everybody: a reason that suddenly has many events is reviewed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median

HISTORY_DAYS = 28
HISTORY_DAYS_MIN = 7
"""With fewer judged days before it nobody knows what is usual, and no reason is reviewed."""
TIMES_MAX = 3
SHARE_MIN = Fraction(1, 20)


@dataclass(frozen=True)
class DayShares:
    """The events of judged days that would be counted without rules of traffic, and those of them with an outcome."""

    event_count: int
    by_reason: Mapping[str, int] = field(default_factory=dict)

    def share(self, reason: str) -> Fraction:
        """Return the share of the day's events that a reason has."""
        return Fraction(self.by_reason.get(reason, 0), self.event_count) if self.event_count else Fraction()


def reasons_of_too_many(shares: DayShares) -> tuple[str, ...]:
    """Return the reasons, in order, with more than `SHARE_MIN` of the events of the days that a period's rules judge.

    No period before it says what is usual.
    """
    return tuple(reason for reason in sorted(shares.by_reason) if shares.share(reason) > SHARE_MIN)


def reasons_to_review(today: DayShares, history: Sequence[DayShares]) -> tuple[str, ...]:
    """Return the reasons of a day, in order, with more than `SHARE_MIN` of its events and `TIMES_MAX` times the median.

    `history` are the judged ones of the `HISTORY_DAYS` before it.
    """
    if len(history) < HISTORY_DAYS_MIN:
        return ()
    usual = {reason: median(each.share(reason) for each in history) for reason in today.by_reason}
    return tuple(
        reason
        for reason in sorted(today.by_reason)
        if today.share(reason) > SHARE_MIN and today.share(reason) > TIMES_MAX * usual[reason]
    )
