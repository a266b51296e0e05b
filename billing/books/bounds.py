"""Bounds: what a statement must keep within to approve itself, and a run to go unmentioned. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from billing.money import amount_text

PAST_MIN = 3
"""So many earlier amounts make a median worth comparing with."""
PAST_MAX = 6
"""So many of them count, the newest."""


@dataclass(frozen=True)
class Bounds:
    """The limits of a run; stored with it."""

    change_factor: int = 10
    """Most times more, or less, than the median of the past."""
    change_floor_micros: int = 100_000_000
    """A change between amounts that are both smaller is never out of bounds."""

    def to_document(self) -> dict[str, int]:
        """Return the limits by name, as they are stored."""
        return dict(vars(self))


@dataclass(frozen=True)
class PastStatement:
    """What a payee earned in an earlier period."""

    period: str
    earned_micros: int
    billable_views: int


def amount_out_of_bounds(
    bounds: Bounds, what: str, amount_micros: int, past_micros: Sequence[int], currency: str
) -> list[str]:
    """Return why an amount is out of bounds against the past (newest first); nothing when it is within."""
    if len(past_micros) < PAST_MIN:
        return []
    median = int(statistics.median(past_micros[:PAST_MAX]))
    low, high = sorted((amount_micros, median))
    if high <= bounds.change_floor_micros or high <= low * bounds.change_factor:
        return []
    return [
        f"{what} is {amount_text(amount_micros, currency)}, the median of {len(past_micros[:PAST_MAX])} periods before "
        f"is {amount_text(median, currency)}: a change of more than {bounds.change_factor} times"
    ]


def statement_out_of_bounds(
    bounds: Bounds,
    *,
    earned_micros: int,
    billable_views: int,
    past: Sequence[PastStatement],
    currency: str,
) -> list[str]:
    """Return every reason to park a statement instead of paying it.

    Events that are not counted are none: whoever sends them would decide when a payee is paid.
    """
    reasons = []
    if not billable_views and past and past[0].billable_views:
        reasons.append(f"no billable views, and {past[0].billable_views:,} in {past[0].period}")
    elif past:
        earned = [each.earned_micros for each in past]
        reasons += amount_out_of_bounds(bounds, "the amount", earned_micros, earned, currency)
    return reasons
