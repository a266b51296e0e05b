"""What ingestion needs from the world: a log that acknowledges."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol

from ingestion.intake import AdmittedEvent


class EventLog(Protocol):
    """An append-only log of events, partitioned by their key."""

    def append(self, events: Sequence[AdmittedEvent]) -> "Future[None]":
        """Append events and return at once.

        The future is done within the log's bound: with None once every event is stored on every in-sync replica, or
        with UnavailableError if one of them was not acknowledged. Events of one key keep their order.
        """

    def broker_time(self) -> datetime | None:
        """Return what time it is for the broker, aware, as far as acknowledgements told; None before the first."""

    def is_reachable(self) -> bool:
        """Return whether the log answers now; may take a few seconds."""
