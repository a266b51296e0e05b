"""Trace the sampled requests of an application, which finds the span as `trace` in the scope of a request."""

from typing import TYPE_CHECKING, Any

from jobs.http.server import Message, Send

if TYPE_CHECKING:  # the library takes long to load, and most processes trace nothing
    from jobs.telemetry.tracing import Tracing


def traced(app: Any, tracing: "Tracing | None", path: str) -> Any:
    """Return the application with a trace of the sampled POST requests to a path; without `tracing` the application."""
    if tracing is None:
        return app

    name = f"POST {path}"

    async def with_trace(scope: Message, receive: Any, send: Send) -> None:
        span = None
        if scope["type"] == "http" and scope["path"] == path and scope["method"] == "POST":
            span = tracing.request(name, _traceparent(scope["headers"]))
        if span is None:
            await app(scope, receive, send)
            return
        with span as trace:

            async def send_noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    trace.note({"http.response.status_code": message["status"]})
                    if message["status"] >= 500:
                        trace.failed(f"status {message['status']}")
                await send(message)

            await app({**scope, "trace": trace}, receive, send_noting)

    return with_trace


def _traceparent(headers: list[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"traceparent":
            return value.decode("latin-1")
    return None
