"""Traces for OpenTelemetry: spans of sampled work, sent to a receiver in the background.

A receiver that is away costs its spans and nothing else: they wait in a bounded queue, what finds it full is dropped,
and both are counted. Nothing here raises, and nothing waits for the network but one thread.
"""

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from prometheus_client import CollectorRegistry

from ingestion.event_rates import EventRates
from jobs.telemetry.json_log import in_every_line
from jobs.telemetry.span_queue import QUEUE_SPANS_MAX, CountedExporter

SEND_SECONDS_MAX = 5.0
END_SECONDS_MAX = 2.0
REQUESTS_PER_SECOND_MAX = 50
"""On average over a minute: a sender that asks for a trace of each request cannot make a process slow."""
LINKS_MAX = 32

Attributes = Mapping[str, str | int | Sequence[int]]
_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)


def parent_of(traceparent: str) -> SpanContext | None:
    """Return the span that a header of W3C's Trace Context names; None for any other text."""
    found = _FORM.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))


class OpenSpan:
    """A span at work."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self.context: SpanContext = span.get_span_context()
        self.trace_id = f"{self.context.trace_id:032x}"
        self.traceparent = f"00-{self.trace_id}-{self.context.span_id:016x}-01"

    def stored(self, partition: int, offset: int, count: int) -> None:
        """Note that a group of messages has its places in the log: `count` of them from `offset` on."""
        self._span.add_event("stored", {"partition": partition, "offset": offset, "count": count})

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""
        self._span.set_attributes(attributes)

    def failed(self, reason: str) -> None:
        """Note that the work has failed."""
        self._span.set_status(Status(StatusCode.ERROR, reason))


class Tracing:
    """Begins the spans of one process. Thread-safe."""

    def __init__(
        self,
        exporter: Any,
        process: str,
        registry: CollectorRegistry,
        *,
        share: float,
        chance: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send spans by a SpanExporter; `share` of the requests without a trace of their own are sampled."""
        self._share, self._chance = share, chance
        self._rates = EventRates[None](REQUESTS_PER_SECOND_MAX, monotonic)
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # one line for an outage is ours, not one a span
        self._exporter = CountedExporter(exporter, registry)
        resource = Resource.create({"service.name": f"viewledger-{process}"})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(cast(SpanExporter, self._exporter), QUEUE_SPANS_MAX))
        self._tracer = self._provider.get_tracer("viewledger")

    def request(self, name: str, traceparent: str | None) -> AbstractContextManager[OpenSpan] | None:
        """Return the span of a request, to be entered; None if it is not sampled.

        The flag of a header that the sender sent decides, else chance; see REQUESTS_PER_SECOND_MAX.
        """
        parent = None if traceparent is None else parent_of(traceparent)
        is_wanted = self._chance() < self._share if parent is None else parent.trace_flags.sampled
        if not is_wanted or self._rates.seconds_to_wait(None, 1):
            return None
        self._rates.take(None, 1)
        return self.span(name, SpanKind.SERVER, parent=parent)

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        parent: SpanContext | None = None,
        attributes: Attributes | None = None,
    ) -> Iterator[OpenSpan]:
        """Trace the work of the block, whose log lines have the trace's id; an error of it is noted and goes on."""
        begun = self._tracer.start_span(name, _context(parent), kind, attributes)
        span = OpenSpan(begun)
        try:
            with in_every_line(trace_id=span.trace_id):
                yield span
        except Exception as error:
            span.failed(type(error).__name__)
            raise
        finally:
            self._end(begun)

    def add(
        self,
        name: str,
        began_ns: int,
        ended_ns: int,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parents: Sequence[SpanContext] = (),
        attributes: Attributes | None = None,
    ) -> None:
        """Add a span that is over, in nanoseconds since 1970: a child of the first parent, linked to the others."""
        parent, links = parents[0] if parents else None, [Link(each) for each in parents[1:]]
        span = self._tracer.start_span(name, _context(parent), kind, attributes, links, began_ns)
        self._end(span, ended_ns)

    def close(self) -> None:
        """Send what waits, within a bounded time."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(END_SECONDS_MAX)

    def _end(self, span: Any, at_ns: int | None = None) -> None:
        if self._exporter.has_room():
            span.end(at_ns)


def open_tracing(url: str, process: str, registry: CollectorRegistry, *, share: float) -> Tracing:
    """Return the traces of a process that are sent to the receiver of OTLP at a URL."""
    endpoint = f"{url.rstrip('/').removesuffix('/v1/traces')}/v1/traces"
    return Tracing(OTLPSpanExporter(endpoint, timeout=SEND_SECONDS_MAX), process, registry, share=share)


def _context(parent: SpanContext | None) -> Context:
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
