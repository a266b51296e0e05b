"""The port of ingestion: a log that acknowledges."""

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
        """Return the broker's present time, aware, as known from acknowledgements; None before the first one."""

    def is_reachable(self) -> bool:
        """Return whether the log answers now; may take a few seconds."""
