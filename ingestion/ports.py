"""The ports of ingestion: a log that acknowledges, and the trace of a request."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol

from ingestion.intake import AdmittedEvent


class RequestTrace(Protocol):
    """The trace of a sampled request, which its messages carry on."""

    @property
    def traceparent(self) -> str:
        """Return the header of the messages, in the form of W3C's Trace Context."""

    def stored(self, partition: int, offset: int, count: int) -> None:
        """Note that a group of the request's messages has its places: `count` of them from `offset` on."""


class EventLog(Protocol):
    """An append-only log of events, partitioned by their key."""

    def append(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None = None) -> "Future[None]":
        """Append events and return at once. Only those of a trace get a header.

        The future is done within the log's bound: with None once every event is stored on every in-sync replica, or
        with UnavailableError if one of them was not acknowledged. Events of one key keep their order.
        """

    def broker_time(self) -> datetime | None:
        """Return the broker's present time, aware, as known from acknowledgements; None before the first one."""

    def is_reachable(self) -> bool:
        """Return whether the log answers now; may take a few seconds."""
