"""Serve metrics for Prometheus on a port of their own, so that clients of the public port cannot read them."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem
from jobs.errors import CommandError
from jobs.http.connections import ConnectionLimits
from jobs.http.server import listening_socket, served_beside
from jobs.settings.declared.listening import LISTEN_FD, METRICS_HOST
from jobs.settings.kinds import Whole

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class MetricsSettings:
    """The address of `/metrics`; a port of 0: none."""

    host: str
    port: int
    port_variable: str
    is_shared: bool
    """The process replaces another one, which may hold the port until it has stopped."""
    limits: ConnectionLimits

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], port: Whole) -> "MetricsSettings":
        """Read the address; `port` is the setting of the port."""
        return cls(
            host=METRICS_HOST.read(environ),
            port=port.read(environ),
            port_variable=port.name,
            is_shared=LISTEN_FD.is_set(environ),
            limits=ConnectionLimits.from_environ(environ),
        )

    @contextmanager
    def served(self, exposition: Callable[[], bytes]) -> Iterator[None]:
        """Serve the output of `exposition` until the block ends, from a thread of its own.

        Raises CommandError if the port is taken; a process that shares its socket waits for the port instead.
        """
        stopping, app = threading.Event(), metrics_app(exposition)
        with ExitStack() as running:
            if self.port and self.is_shared:
                waiting = threading.Thread(target=self._serve_when_free, args=(app, stopping), name="metrics")
                waiting.start()
                running.callback(waiting.join)
                running.callback(stopping.set)
            elif self.port:
                listener = listening_socket(self.host, self.port, self.port_variable)
                running.enter_context(served_beside(app, listener, self.limits))
            yield

    def _serve_when_free(self, app: Starlette, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                listener = listening_socket(self.host, self.port, self.port_variable)
            except CommandError:
                stopping.wait(RETRY_SECONDS)
                continue
            with served_beside(app, listener, self.limits):
                stopping.wait()


def metrics_app(exposition: Callable[[], bytes]) -> Starlette:
    """Return an application that serves `/metrics` and nothing else."""

    async def metrics(_: Request) -> Response:
        return Response(exposition(), headers={"Content-Type": MEDIA_TYPE})

    async def nothing(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        problem = Problem(status, "not_found", "there is nothing at this path; figures are at /metrics")
        return Response(problem.to_json(), status, media_type=PROBLEM_MEDIA_TYPE)

    app = Starlette(routes=[Route("/metrics", metrics)], exception_handlers={HTTPException: nothing})
    app.router.redirect_slashes = False
    return app
