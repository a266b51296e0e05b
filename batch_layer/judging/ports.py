"""The inputs of judging besides the log, each as a port; a version records which inputs it was judged by."""

from collections.abc import Collection
from typing import NamedTuple, Protocol

from ingestion.contract.offsets import LogPlace
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup


class ReleasedGroups(NamedTuple):
    """How many groups were released because nobody decided, and how many will be within days."""

    expired_count: int = 0
    soon_count: int = 0


class LateDecisions(Protocol):
    """Reads people's decisions about late events. Decisions are final."""

    def accepted(self) -> frozenset[LogPlace]:
        """Return the places of all events accepted so far. May raise UnavailableError."""


class TrafficDecisions(Protocol):
    """Reads decisions about groups of events under review, and notes how long groups wait for one.

    Decisions are final. Any call may raise UnavailableError.
    """

    def all(self) -> frozenset[TrafficDecision]:
        """Return all decisions made so far, those by expiry among them."""

    def noted_hash(self) -> str | None:
        """Return the content hash of the outcomes of the version whose groups were noted last."""

    def note(self, version: int, content_hash: str, groups: Collection[TrafficGroup]) -> None:
        """Note the groups under review of a version: which are there for the first time, and which no more.

        `content_hash` is that of its outcomes.
        """

    def expire(self) -> ReleasedGroups:
        """Release, by a row like a decision, the groups that nobody has decided on for too long."""
