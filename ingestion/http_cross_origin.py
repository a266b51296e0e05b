"""Let pages of other origins send events and read the answers (CORS), as far as a setting allows.

It is not access control: a browser sends the simple forms of a request without asking. It only hides the answer from a
page whose origin is not allowed.
"""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem

EVERY_ORIGIN = "*"
PREFLIGHT_SECONDS = 7200
"""How long a browser may keep the answer to a preflight request; browsers keep none longer."""


class _CrossOrigin(CORSMiddleware):
    """Starlette's middleware, whose refusals are problem documents."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight request."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return Response(status_code=204, headers=self._kept(answer))
        if not self.is_allowed_origin(request_headers["origin"]):
            detail = f"pages of {request_headers['origin'][:256]!r} may not send events here: its origin is not allowed"
            problem = Problem(403, "origin_not_allowed", detail)
        else:
            allowed = f"POST, with the headers {', '.join(self.allow_headers)}"
            problem = Problem(400, "preflight_refused", f"pages of other origins may send {allowed}")
        return Response(problem.to_json(), problem.status, self._kept(answer), media_type=PROBLEM_MEDIA_TYPE)

    @staticmethod
    def _kept(answer: Response) -> dict[str, str]:
        return {name: value for name, value in answer.headers.items() if not name.startswith("content-")}


def for_origins(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Return the application for pages of these origins (`*`: of every origin); with none, the application itself."""
    if not origins:
        return app
    return _CrossOrigin(
        app,
        allow_origins=origins,
        allow_methods=("POST",),
        allow_headers=("Content-Encoding", "Receipt", "Traceparent"),
        expose_headers=("Retry-After",),
        max_age=PREFLIGHT_SECONDS,
    )
