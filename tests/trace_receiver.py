"""A receiver of traces by OTLP over HTTP, on this machine, which keeps every span that it gets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class TraceReceiver:
    """Where it listens, and process → its spans."""

    url: str = ""
    spans: dict[str, list[Any]] = field(default_factory=dict)

    def take(self, body: bytes) -> None:
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            (process,) = (pair.value.string_value for pair in each.resource.attributes if pair.key == "service.name")
            for scope in each.scope_spans:
                self.spans.setdefault(process, []).extend(scope.spans)

    def of(self, process: str, trace_id: str | None = None) -> list[Any]:
        """The spans of a process, of one trace if it is given."""
        return [each for each in self.spans.get(process, ()) if trace_id in (None, each.trace_id.hex())]


def attributes(span: Any) -> dict[str, Any]:
    """The attributes of a span or of an event of it."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


@contextmanager
def trace_receiver() -> Iterator[TraceReceiver]:
    receiver = TraceReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            receiver.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
