"""Groups of events under review, and people's decisions about them: an input of counting, like the log. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from ingestion.contract.day_traffic import DECIDED_OUTCOMES, TrafficOutcome
from ingestion.contract.printable import counted

HASH_CHARACTERS = 12


@dataclass(frozen=True, order=True)
class TrafficGroup:
    """The events of one payee and day that are under review for one reason: exactly these, by their hash."""

    day: date
    reason: str
    payee_id: str
    """Empty for events of videos that nobody owned."""
    event_count: int
    set_hash: str
    """Equal for equal places in the log: 32 hex digits."""

    @property
    def name(self) -> str:
        """Return what a person names it by: it changes with its events."""
        return f"{self.day}/{self.reason}/{self.payee_id}/{self.event_count}-{self.set_hash[:HASH_CHARACTERS]}"


@dataclass(frozen=True, order=True)
class TrafficDecision:
    """What happens to the events of a group. Decisions are final."""

    group: TrafficGroup
    outcome: TrafficOutcome
    """`released` or `confirmed`."""

    def __post_init__(self) -> None:
        if self.outcome not in DECIDED_OUTCOMES:
            raise ValueError(f"{self.outcome} decides nothing")

    def to_json(self) -> list[object]:
        """Return the form that a version keeps."""
        group = self.group
        head = [group.day.isoformat(), group.reason, group.payee_id, group.event_count, group.set_hash]
        return [*head, self.outcome.value]

    @classmethod
    def from_json(cls, document: Sequence[Any]) -> "TrafficDecision":
        """Return what `to_json` wrote."""
        day, reason, payee_id, event_count, set_hash, outcome = document
        group = TrafficGroup(date.fromisoformat(day), reason, payee_id, event_count, set_hash)
        return cls(group, TrafficOutcome(outcome))


def still_to_apply(
    decided: Collection[TrafficDecision], applied: Collection[TrafficDecision]
) -> tuple[TrafficDecision, ...]:
    """Return the decisions, in order, that no version has taken over."""
    return tuple(sorted(set(decided) - set(applied)))


class WaitingViews(NamedTuple):
    """Views of a group that would be billable, by what their rate depends on."""

    video_id: str
    country: str | None
    view_count: int


@dataclass(frozen=True)
class ReviewedGroup:
    """A group under review, with what a person looks at before they decide."""

    group: TrafficGroup
    waiting: tuple[WaitingViews, ...]
    """Its views that would be billable, ascending by video and country."""
    video_count: int
    points_most: int
    """What the reasons of its worst event weigh together; 50 is enough for a review."""
    event_ids: tuple[str, ...]
    """Some of its events."""

    @property
    def waiting_count(self) -> int:
        """Return how many of its views would be billable."""
        return sum(each.view_count for each in self.waiting)


def time_left(released_at: datetime | None, now: datetime) -> str:
    """Return how long somebody can still decide: whole days, or hours on the last one.

    A group that no run has noted waits since the newest version.
    """
    if released_at is None:
        return "14 days"
    left = max(released_at - now, timedelta(0))
    return counted(left.days, "day") if left.days else counted(left // timedelta(hours=1), "hour")
