"""The bounds within which a statement approves itself and a run needs no remark. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from billing.money import amount_text

PAST_MIN = 3
"""The least number of earlier amounts whose median is compared."""
PAST_MAX = 6
"""The number of newest earlier amounts that count."""


@dataclass(frozen=True)
class Bounds:
    """The limits of a run; stored with it."""

    change_factor: int = 10
    """The largest ratio to the median of the past, or its inverse."""
    change_floor_micros: int = 100_000_000
    """A change between two smaller amounts is never out of bounds."""

    def to_document(self) -> dict[str, int]:
        """Return the limits by name, as they are stored."""
        return dict(vars(self))


@dataclass(frozen=True)
class PastStatement:
    """The amount that a payee earned in an earlier period."""

    period: str
    earned_micros: int
    billable_views: int


def amount_out_of_bounds(
    bounds: Bounds, what: str, amount_micros: int, past_micros: Sequence[int], currency: str
) -> list[str]:
    """Return why an amount is out of bounds against the past (newest first); None if it is within."""
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
    """Return every reason to hold a statement instead of paying it.

    Uncounted events are not a reason: their sender could otherwise delay a payee's payment.
    """
    reasons = []
    if not billable_views and past and past[0].billable_views:
        reasons.append(f"no billable views, and {past[0].billable_views:,} in {past[0].period}")
    elif past:
        earned = [each.earned_micros for each in past]
        reasons += amount_out_of_bounds(bounds, "the amount", earned_micros, earned, currency)
    return reasons
