"""A client that runs an application in its caller's own thread: quick enough for tens of thousands of requests."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from fastapi import FastAPI

# httpx looks for this package at each request, through all folders where it is not
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
SITE = "http://testserver"


class InOneThread(httpx.BaseTransport):
    """Does each request at once, on one event loop; Starlette's client changes threads eight times for each."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner, *, raises: bool) -> None:
        self._runner = runner
        self._app = httpx.ASGITransport(app, raise_app_exceptions=raises, client=("testclient", 50_000))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._app.handle_async_request(request)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        body = b"".join([part async for part in answer.stream])
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(body))


class AppClient(httpx.Client):
    """A client and the application that it asks."""

    def __init__(self, app: FastAPI, transport: InOneThread) -> None:
        super().__init__(transport=transport, base_url=SITE)
        self.app = app


@contextmanager
def client_of(app: FastAPI, *, raises: bool) -> Iterator[AppClient]:
    """Yield a client of an application that has started; an error of the application is raised, or answered by 500."""
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        try:
            with AppClient(app, InOneThread(app, runner, raises=raises)) as client:
                yield client
        finally:
            runner.run(lifespan.__aexit__(None, None, None))
