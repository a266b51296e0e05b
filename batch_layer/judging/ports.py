"""The inputs of judging besides the log, each as a port; a version records which inputs it was judged by."""

from typing import Protocol

from ingestion.contract.offsets import LogPlace
from ingestion.contract.traffic_groups import TrafficDecision


class LateDecisions(Protocol):
    """Reads people's decisions about late events. Decisions are final."""

    def accepted(self) -> frozenset[LogPlace]:
        """Return the places of all events accepted so far. May raise UnavailableError."""


class TrafficDecisions(Protocol):
    """Reads decisions about groups of events under review. Decisions are final."""

    def all(self) -> frozenset[TrafficDecision]:
        """Return all decisions made so far. May raise UnavailableError."""
