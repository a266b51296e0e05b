"""GET /metrics, /healthz and /readyz of a process that is not a web server."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def probe_app(*, is_ready: Callable[[], bool], metrics: Callable[[], tuple[bytes, str]]) -> Starlette:
    """Return the ASGI application. `/healthz` reports that the process is alive, `/readyz` that it is doing its work.

    `metrics` returns (body, content type). All callables run in the server's thread and must not block.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("not ready\n", 503)

    async def figures(_: Request) -> Response:
        body, content_type = metrics()
        return Response(body, headers={"Content-Type": content_type})

    async def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return PlainTextResponse("not found\n" if status == 404 else "not served\n", status)

    app = Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", figures)],
        exception_handlers={HTTPException: refused},
    )
    app.router.redirect_slashes = False
    return app
