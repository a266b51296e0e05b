"""What the rules of a period found: an input of counting once a version has it, like accepted late events. Pure."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from ingestion.contract.day_traffic import TrafficOutcome


@dataclass(frozen=True, order=True)
class FoundSet:
    """The events of a payee that the rules of a period found for one reason: exactly these, by their hash."""

    reason: str
    payee_id: str
    """Empty for events of videos that nobody owned."""
    outcome: TrafficOutcome
    """`invalid` or `review`: those under review are one group for each day."""
    event_count: int
    set_hash: str
    """Equal for equal places in the log: 32 hex digits."""

    def to_json(self) -> list[object]:
        """Return the form that is hashed."""
        return [self.reason, self.payee_id, self.outcome.value, self.event_count, self.set_hash]


@dataclass(frozen=True)
class TrafficFinding:
    """A finding, with what a person looks at who doubts it."""

    found: FoundSet
    points_most: int
    first_on: date
    last_on: date
    evidence: Mapping[str, int]
    """How many `days`, `viewers`, `videos` and `networks` its events have."""


def findings_hash(found: Collection[FoundSet]) -> str:
    """Return the hash by which a version pins all that was found: 64 hex digits; the order does not matter."""
    return hashlib.sha256(json.dumps([each.to_json() for each in sorted(found)]).encode()).hexdigest()
