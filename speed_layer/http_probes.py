"""GET /metrics, /healthz and /readyz for a process that is not a web server, from one small thread."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT_TYPE_TEXT = "text/plain; charset=utf-8"


class ProbeServer:
    """Answers until closed. `/healthz` says that the process lives, `/readyz` (200 or 503) that it does its work."""

    def __init__(
        self, host: str, port: int, *, is_ready: Callable[[], bool], metrics: Callable[[], tuple[bytes, str]]
    ) -> None:
        """Listens at once; raises OSError if the port is taken. `metrics` returns (body, content type)."""

        def ready() -> tuple[int, bytes, str]:
            return (200, b"ready\n", CONTENT_TYPE_TEXT) if is_ready() else (503, b"not ready\n", CONTENT_TYPE_TEXT)

        pages: Mapping[str, Callable[[], tuple[int, bytes, str]]] = {
            "/healthz": lambda: (200, b"alive\n", CONTENT_TYPE_TEXT),
            "/readyz": ready,
            "/metrics": lambda: (200, *metrics()),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                status, body, content_type = page() if page else (404, b"not found\n", CONTENT_TYPE_TEXT)
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on; of use when 0 was asked for."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()
