"""The speed layer's part of traces: a span for each chunk that holds messages of sampled requests."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from opentelemetry.trace import SpanContext, SpanKind
from prometheus_client import CollectorRegistry

from ingestion.kafka_record_groups import TRACEPARENT
from jobs.telemetry.tracing import LINKS_MAX, Tracing, parent_of
from speed_layer.chunk import Chunk
from speed_layer.prometheus_speed_metrics import PrometheusSpeedMetrics
from speed_layer.segments import Applied


class TracedChunks(PrometheusSpeedMetrics):
    """The metrics, and a span for each chunk with sampled messages.

    The span continues the trace of the first of them and is linked to those of the others, up to LINKS_MAX in all.
    """

    def __init__(self, registry: CollectorRegistry, tracing: Tracing) -> None:
        super().__init__(registry)
        self._tracing = tracing
        self._polled_at_ns = 0

    def polled(self) -> None:
        """Note when the spans begin."""
        self._polled_at_ns = time.time_ns()

    def chunk_applied(self, chunk: Chunk, applied: Applied, applied_at_ms: int) -> None:
        """Note that a chunk of this process was applied."""
        super().chunk_applied(chunk, applied, applied_at_ms)
        if applied.is_warm_up:
            return
        parents = list(islice(sampled(chunk.span.records), LINKS_MAX))
        if parents:
            attributes = {
                "partition": chunk.span.partition,
                "position": chunk.span.position,
                "next_position": chunk.span.next_position,
                "events": len(chunk.span.records),
                "counted": applied.counted,
            }
            self._tracing.add(
                "count a chunk",
                self._polled_at_ns,
                time.time_ns(),
                kind=SpanKind.CONSUMER,
                parents=parents,
                attributes=attributes,
            )


def sampled(records: Iterable[Any]) -> Iterator[SpanContext]:
    """Yield the spans that the headers of messages name and that are sampled; any producer may have written them."""
    for record in records:
        for name, value in record.headers or ():
            parent = parent_of(value.decode("latin-1")) if name == TRACEPARENT and value else None
            if parent is not None and parent.trace_flags.sampled:
                yield parent
