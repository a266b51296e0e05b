"""Serve a page with a player that reports its views: `python -m clients.demo.serve`.

With `VIEWLEDGER_PLAY_KEYS_FILE` and `VIEWLEDGER_PSEUDONYM_KEY` the page gets a signed play for each view.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import BaseRoute, Route

from clients.python.plays_server import signer
from ingestion.contract.plays import PlayRequest

HERE = Path(__file__).parent
FILES = {
    "/": HERE / "index.html",
    "/two-seconds.webm": HERE / "two-seconds.webm",
    "/viewledger.min.js": HERE.parent / "js" / "viewledger.min.js",
}
VIDEO_ID = "-JinobXWPk"
Issue = Callable[[], Mapping[str, object]]
"""Makes the play of a view that begins."""


def app_of(collector: str, issue: Issue) -> Starlette:
    """Return the application: the page with its files, and the play of each view."""

    async def settings(_: Request) -> JSONResponse:
        return JSONResponse({"collector": collector})

    async def plays(_: Request) -> JSONResponse:
        return JSONResponse(issue(), headers={"Cache-Control": "no-store"})

    routes: list[BaseRoute] = [_file(path, file) for path, file in FILES.items()]
    return Starlette(routes=[*routes, Route("/settings", settings), Route("/plays", plays, methods=["POST"])])


def unsigned() -> dict[str, object]:
    """Return the facts of a view without a signed play."""
    return {"video_id": VIDEO_ID, "user_id": "demo", "session_id": str(uuid4()), "revenue_eligible": True}


def issuer() -> Issue:
    """Return what makes plays: signed if the environment has the keys."""
    if not os.environ.get("VIEWLEDGER_PLAY_KEYS_FILE"):
        return unsigned
    sign = signer()
    return lambda: msgspec.to_builtins(sign(PlayRequest(**unsigned(), ad_views_max=2)))  # type: ignore[arg-type]


def _file(path: str, file: Path) -> Route:
    async def answer(_: Request) -> FileResponse:
        return FileResponse(file)  # with ranges, without which a browser cannot seek

    return Route(path, answer)


def main() -> None:
    """Serve for this machine alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=17075)
    parser.add_argument("--collector", default="http://127.0.0.1:17071/v1/events")
    chosen = parser.parse_args()
    try:
        issue = issuer()
    except (OSError, KeyError, ValueError) as error:
        remedy = "set VIEWLEDGER_PLAY_KEYS_FILE and VIEWLEDGER_PSEUDONYM_KEY as for the collector, or neither"
        sys.exit(f"plays cannot be signed ({error}); {remedy}")
    uvicorn.run(app_of(chosen.collector, issue), host="127.0.0.1", port=chosen.port, log_level="warning")


if __name__ == "__main__":
    main()
