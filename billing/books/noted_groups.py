"""Groups of traffic under review as a night notes them for pages, and the port that keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ingestion.contract.traffic_evidence import GroupEvidence
from ingestion.contract.traffic_groups import TrafficGroup


@dataclass(frozen=True)
class NotedGroup:
    """A group under review as a night found it."""

    group: TrafficGroup
    waiting_count: int
    """The views that would be billable."""
    video_count: int
    points_most: int
    estimate_micros: int | None
    currency: str | None
    evidence: GroupEvidence | None
    """None beyond the groups with the most views."""


class KeptGroups(Protocol):
    """Keeps the groups that a night found, for pages; no record."""

    def replace(self, found: Sequence[NotedGroup], *, batch_version: int, counted_at: datetime) -> None:
        """Keep these groups in place of the former ones."""
