"""The inputs of judging besides the log, each as a port; a version records which inputs it was judged by."""

from typing import Protocol

from ingestion.contract.offsets import LogPlace


class LateDecisions(Protocol):
    """Reads people's decisions about late events. Decisions are final."""

    def accepted(self) -> frozenset[LogPlace]:
        """Return the places of all events accepted so far. May raise UnavailableError."""
