"""What the judgement of events depends on beside the log, each as a port; a version names what it was judged by."""

from collections.abc import Collection, Iterable
from typing import Protocol

from ingestion.contract.counting import VideoFacts
from ingestion.contract.offsets import LogPlace


class CatalogueFacts(Protocol):
    """What billing's catalogue knows of videos."""

    def latest_version(self) -> int:
        """Return the newest catalogue version, 0 when there is none."""

    def facts(self, versions: Collection[int]) -> Iterable[tuple[int, str, VideoFacts]]:
        """Yield (catalogue version, video_id, facts) once for every video of which anything is known."""


class LateDecisions(Protocol):
    """What people decided about events that came too late to be counted without review. Decisions are final."""

    def accepted(self) -> frozenset[LogPlace]:
        """Return the places of all that were accepted so far. May raise UnavailableError."""
