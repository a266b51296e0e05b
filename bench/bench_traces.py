"""What traces cost the collector: CPU time a request, with traces off, and on with two shares.

    python -m bench.bench_traces [--seconds 20]

A request goes through the whole application and is written as records of Kafka, without a socket and without a broker.
Spans go by HTTP to a receiver in a process of its own. The ways take turns of some 50 ms. Once with one event a
request, once with 500.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kafka.record.memory_records import MemoryRecordsBuilder
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from bench.bench_collector import event
from ingestion.http_collector import Collector, collector_app
from ingestion.intake import AdmittedEvent
from ingestion.kafka_producer import BATCH_BYTES, partition_of
from ingestion.kafka_record_groups import TRACEPARENT, one_header, write_records
from ingestion.ports import RequestTrace
from jobs.http.traced import traced
from jobs.telemetry.tracing import Tracing, open_tracing

SHARES = (None, 0.001, 0.01)
RECEIVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *values):
        pass
server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/v1/events",
    "query_string": b"",
    "headers": [
        (b"host", b"collector.example"),
        (b"user-agent", b"Player/1.0"),
        (b"content-type", b"application/x-ndjson"),
    ],
    "client": ("192.0.2.7", 5),
}


class Written:
    """A log that writes the records of a request and acknowledges them at once."""

    def append(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None = None) -> "Future[None]":
        """Write the events by partition, as the log on Kafka does."""
        groups: dict[int, list[AdmittedEvent]] = {}
        for each in events:
            groups.setdefault(partition_of(each.key, 12), []).append(each)
        headers = b"\x00" if trace is None else one_header(TRACEPARENT, trace.traceparent)
        for partition, group in groups.items():
            write_records(MemoryRecordsBuilder(2, 0, BATCH_BYTES), group, BATCH_BYTES, headers)
            if trace is not None:
                trace.stored(partition, 0, len(group))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def broker_time(self) -> datetime:
        """Return the present."""
        return datetime.now(UTC)

    def is_reachable(self) -> bool:
        """Return True."""
        return True


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    asyncio.run(measure_alone())
    with receiver() as url:
        for size in (1, 500):
            asyncio.run(measure(url, size, seconds))


@contextmanager
def receiver() -> Iterator[str]:
    """Start the receiver; yield its URL."""
    with subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


async def measure_alone() -> None:
    """Print what is added to a request: the decision not to trace it, or a trace, without sending it."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        pass

    off = await added(nothing)
    for name, share in (("not traced", 0.0), ("traced", 1.0)):
        tracing = Tracing(InMemorySpanExporter(), "bench", CollectorRegistry(), share=share)
        print(f"a request that is {name}: {await added(traced(nothing, tracing, '/v1/events')) - off:.2f} µs more")
        tracing.close()


async def added(app: Any) -> float:
    """Return the CPU time of a call in microseconds, the best of five times 500."""
    found = []
    for _ in range(5):
        began = time.thread_time()
        for _ in range(500):
            await app(SCOPE, None, sent)
        found.append((time.thread_time() - began) / 500 * 1e6)
    return min(found)


async def measure(url: str, size: int, seconds: float) -> None:
    """Measure requests of one size in each way, in turns of some 50 ms."""
    bodies = [b"\n".join(event(n * size + m, None) for m in range(size)) for n in range(max(4, 200 // size))]
    collector = Collector(event_log=Written(), clock=lambda: datetime.now(UTC), pseudonym_key=b"k" * 32)
    registries = [CollectorRegistry() for _ in SHARES]
    tracings = [
        None if s is None else open_tracing(url, "bench", r, share=s) for s, r in zip(SHARES, registries, strict=True)
    ]
    apps = [traced(collector_app(collector), each, "/v1/events") for each in tracings]
    spent, counts = [0.0 for _ in SHARES], [0 for _ in SHARES]
    until, began, turns = time.monotonic() + seconds, 0.0, 0
    while time.monotonic() < until:
        for way in (*range(len(SHARES)),) if turns % 2 else (*reversed(range(len(SHARES))),):
            turn_began = time.thread_time()
            for body in bodies:
                await apps[way]({**SCOPE}, receiving(body), sent)
            if turns:
                spent[way] += time.thread_time() - turn_began
                counts[way] += len(bodies)
        began = began or time.process_time()  # the first turns are cold
        turns += 1
    for tracing in tracings:
        if tracing is not None:
            tracing.close()
    sending = time.process_time() - began - sum(spent)
    spans = [registry.get_sample_value("trace_spans_total", {"outcome": "sent"}) or 0 for registry in registries]
    whole = [own + sending * each / max(1, sum(spans)) for own, each in zip(spent, spans, strict=True)]
    for share, own, count, all_of_it, sent_count in zip(SHARES, spent, counts, whole, spans, strict=True):
        print(
            f"{size} events a request, {'off' if share is None else f'share {share}'}: "
            f"{own / count * 1e6:.2f} µs a request, {own / count / (spent[0] / counts[0]):.4f} of off; with sending "
            f"{sent_count:.0f} spans {all_of_it / count / (spent[0] / counts[0]):.4f} of off"
        )
    print(f"sending: {sending / max(1, sum(spans)) * 1e6:.0f} µs a span, in the background")


def receiving(body: bytes) -> Callable[[], Any]:
    """Return what gives the body of a request."""
    return partial(_receive, {"type": "http.request", "body": body, "more_body": False})


async def _receive(message: dict[str, Any]) -> dict[str, Any]:
    return message


async def sent(message: dict[str, Any]) -> None:
    """Take an answer; stop if it is a refusal."""
    assert message.get("status", 202) == 202, message


if __name__ == "__main__":
    main()
