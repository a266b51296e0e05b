"""Who is signed in: a cookie that scripts cannot read holds the token, another one binds forms to this browser.

The token itself is the session, so nothing is stored on the server and signing in survives a restart; it ends with the
token. A form is accepted only with a keyed hash of the visit's cookie (the signed double-submit pattern).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from serving_layer.portal.ports import People
from serving_layer.portal.records import Person

SESSION, VISIT = "viewledger_session", "viewledger_visit"
TOKEN_LENGTH_MAX = 3800
"""Browsers keep cookies of up to 4096 bytes."""


@dataclass(frozen=True)
class Sessions:
    """Reads and writes the two cookies. `key` is secret; `secure` sends cookies over HTTPS only."""

    people: People
    key: bytes
    secure: bool

    def person(self, request: Request) -> Person | None:
        """Return who is signed in."""
        token = request.cookies.get(SESSION)
        return self.people.person(token) if token else None

    def begin(self, response: Response, token: str, expires_at: datetime, now: datetime) -> None:
        """Sign in: keep the token until it expires, under a visit of its own."""
        seconds = max(0, int((expires_at - now).total_seconds()))
        self._set(response, SESSION, token, seconds)
        self._set(response, VISIT, secrets.token_urlsafe(24), None)

    def end(self, response: Response) -> None:
        """Sign out."""
        for name in (SESSION, VISIT):
            response.delete_cookie(name, path="/portal", secure=self.secure, httponly=True, samesite="lax")

    def form_token(self, request: Request) -> tuple[str, str | None]:
        """Return what the page's forms must carry, and the visit to set when the browser has none yet."""
        visit = request.cookies.get(VISIT)
        fresh = None if visit else secrets.token_urlsafe(24)
        return self._signed(visit or fresh or ""), fresh

    def set_visit(self, response: Response, visit: str) -> None:
        """Remember a visit until the browser is closed."""
        self._set(response, VISIT, visit, None)

    def accepts(self, request: Request, sent: object) -> bool:
        """Whether a form came from a page of this visit."""
        visit = request.cookies.get(VISIT)
        if not visit or not isinstance(sent, str):
            return False
        return hmac.compare_digest(self._signed(visit).encode(), sent.encode(errors="replace"))

    def _signed(self, visit: str) -> str:
        return hmac.new(self.key, b"form:" + visit.encode(), hashlib.sha256).hexdigest()

    def _set(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/portal", secure=self.secure, httponly=True, samesite="lax"
        )
