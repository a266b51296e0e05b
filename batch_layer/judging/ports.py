"""The inputs of judging besides the log, each as a port; a version records which inputs it was judged by."""

from collections.abc import Collection, Iterable
from typing import Protocol

from ingestion.contract.counting import VideoFacts
from ingestion.contract.offsets import LogPlace


class CatalogueFacts(Protocol):
    """Reads the facts of videos from billing's catalogue."""

    def latest_version(self) -> int:
        """Return the newest catalogue version; 0 if there is none."""

    def facts(self, versions: Collection[int]) -> Iterable[tuple[int, str, VideoFacts]]:
        """Yield (catalogue version, video_id, facts) once for every video with any known fact."""


class LateDecisions(Protocol):
    """Reads people's decisions about late events. Decisions are final."""

    def accepted(self) -> frozenset[LogPlace]:
        """Return the places of all events accepted so far. May raise UnavailableError."""
