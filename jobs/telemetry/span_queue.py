"""What becomes of spans that wait to be sent: counted, bounded in number, and one line for an outage."""

import logging
import threading
from typing import Any

from opentelemetry.sdk.trace.export import SpanExportResult
from prometheus_client import CollectorRegistry, Counter

QUEUE_SPANS_MAX = 2_048

logger = logging.getLogger(__name__)


class CountedExporter:
    """A SpanExporter around another one, and the room in the queue before it."""

    def __init__(self, exporter: Any, registry: CollectorRegistry) -> None:
        self._exporter = exporter
        self._lock = threading.Lock()
        self._waiting = 0
        self._is_away = False
        spans = Counter("trace_spans", "Spans of traces by outcome: sent, or dropped.", ["outcome"], registry=registry)
        self._sent, self._dropped = spans.labels("sent"), spans.labels("dropped")

    def has_room(self) -> bool:
        """Take a place in the queue for a span that ends; without one, count it as dropped and return False."""
        with self._lock:
            has_room = self._waiting < QUEUE_SPANS_MAX
            self._waiting += has_room
        if not has_room:
            self._dropped.inc()
        return has_room

    def export(self, spans: list[Any]) -> Any:
        """Send spans that have waited; never raise. What cannot be sent is dropped."""
        with self._lock:
            self._waiting -= len(spans)
        try:
            outcome = self._exporter.export(spans)
        except Exception:  # whatever an exporter raises, its thread must go on
            logger.exception("spans not encoded")
            outcome = SpanExportResult.FAILURE
        is_sent = outcome is SpanExportResult.SUCCESS
        (self._sent if is_sent else self._dropped).inc(len(spans))
        if not is_sent and not self._is_away:
            logger.warning("traces not sent", extra={"fields": {"spans": len(spans)}})
        elif is_sent and self._is_away:
            logger.info("traces sent again")
        self._is_away = not is_sent
        return outcome

    def shutdown(self) -> None:
        """Stop trying."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: nothing waits here."""
        return True
