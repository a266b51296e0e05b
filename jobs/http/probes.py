"""GET /metrics, /healthz and /readyz of a process that is not a web server."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jobs.http.metrics import MEDIA_TYPE


def probe_app(*, obstacle: Callable[[], str | None], metrics: Callable[[], bytes]) -> Starlette:
    """Return the ASGI application. `/healthz` reports that the process is alive, `/readyz` that it is doing its work.

    `obstacle` returns why it cannot do its work now; None if it can. Both run in the server's thread and must not wait.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> Response:
        why_not = obstacle()
        return PlainTextResponse("ready\n") if why_not is None else PlainTextResponse(f"not ready: {why_not}\n", 503)

    async def figures(_: Request) -> Response:
        return Response(metrics(), headers={"Content-Type": MEDIA_TYPE})

    async def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return PlainTextResponse("not found\n" if status == 404 else "not served\n", status)

    app = Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", figures)],
        exception_handlers={HTTPException: refused},
    )
    app.router.redirect_slashes = False
    return app
