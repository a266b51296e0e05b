"""What the day rules of traffic say of events that would be counted: an input of counting, like the log. Pure.

The rules look at an event day and the day before as a whole. A version pins for each day how far they saw the log; what
came later is counted and not billable until the day is judged again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from ingestion.contract.event import Reason
from ingestion.contract.offsets import LogPlace, OffsetVector


class TrafficOutcome(StrEnum):
    """What the day rules say of an event; of most they say nothing."""

    INVALID = "invalid"
    """No viewer made it: its verdict is `invalid_traffic`."""
    REVIEW = "review"
    """A person must look: it is counted, and `under_review` where it would be billable."""
    RELEASED = "released"
    """A person looked: it is what it would be without the day rules, whatever they say later."""
    CONFIRMED = "confirmed"
    """A person looked, and it is `invalid`, whatever the day rules say later."""


INVALID_OUTCOMES = (TrafficOutcome.INVALID, TrafficOutcome.CONFIRMED)
DECIDED_OUTCOMES = (TrafficOutcome.RELEASED, TrafficOutcome.CONFIRMED)


@dataclass(frozen=True)
class JudgedTraffic:
    """The outcomes of the judged days, and how far the rules saw the log for each."""

    outcomes: Mapping[LogPlace, tuple[TrafficOutcome, Reason]] = field(default_factory=dict)
    ends: Mapping[date, OffsetVector] = field(default_factory=dict)
    """The judged days."""

    def invalid_reason(self, place: LogPlace) -> Reason | None:
        """Return why an event is invalid traffic; None for all others."""
        outcome, reason = self.outcomes.get(place, (None, None))
        return reason if outcome in INVALID_OUTCOMES else None

    def is_reviewed(self, place: LogPlace) -> bool:
        """Return whether a person must look at an event."""
        return self.outcomes.get(place, (None, None))[0] is TrafficOutcome.REVIEW

    def is_pending(self, day: date, place: LogPlace) -> bool:
        """Return whether an event came after the rules had judged its day."""
        end = self.ends.get(day)
        return end is not None and not end.holds(place)


NO_TRAFFIC = JudgedTraffic()
"""No day was judged."""
