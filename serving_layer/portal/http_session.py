"""Who is signed in: a cookie that scripts cannot read holds the credential, another one binds forms to this browser.

The credential (a token or an API key) is the session, so nothing is stored on the server and signing in survives a
restart; it ends with the credential. A third cookie holds an attempt to sign in elsewhere until it comes back. A form
is accepted only with a keyed hash of the visit's cookie (the signed double-submit pattern).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access import Caller
from serving_layer.portal.ports import Credentials
from serving_layer.problems import ProblemError
from serving_layer.sign_in import ATTEMPT_LASTS, Attempt, opened, sealed

SESSION, VISIT, ATTEMPT = "viewledger_session", "viewledger_visit", "viewledger_sign_in"
_ATTEMPT_PATH = "/portal/sign-in"
CREDENTIAL_LENGTH_MAX = 3_800
"""Browsers keep cookies of up to 4096 bytes."""


@dataclass(frozen=True)
class Sessions:
    """Reads and writes these cookies. `key` is secret; `secure` sends cookies over HTTPS only."""

    credentials: Credentials
    key: bytes
    secure: bool

    async def caller(self, request: Request) -> Caller | None:
        """Return who is signed in; None for nobody, and for a credential that does not hold any more.

        Raises:
            ProblemError: it cannot be checked now.
        """
        credential = request.cookies.get(SESSION)
        if not credential:
            return None
        try:
            return await self.credentials.caller_of(credential)
        except ProblemError as error:
            if error.problem.status == 401:
                return None
            raise

    def begin(self, response: Response, credential: str) -> None:
        """Sign in until the browser is closed or the credential expires, under a visit of its own."""
        self._set(response, SESSION, credential)
        self._set(response, VISIT, secrets.token_urlsafe(24))

    def begin_attempt(self, response: Response, attempt: Attempt) -> None:
        """Remember, in this browser, that it left for the identity provider."""
        response.set_cookie(
            ATTEMPT,
            sealed(attempt, self.key),
            max_age=int(ATTEMPT_LASTS.total_seconds()),
            path=_ATTEMPT_PATH,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def attempt(self, request: Request, now: datetime) -> Attempt | None:
        """Return the attempt that this browser began; None where there is none or it is over."""
        return opened(request.cookies.get(ATTEMPT, ""), self.key, now)

    def end_attempt(self, response: Response) -> None:
        """Forget it: an attempt is good for one coming back."""
        response.delete_cookie(ATTEMPT, path=_ATTEMPT_PATH, secure=self.secure, httponly=True, samesite="lax")

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
        self._set(response, VISIT, visit)

    def accepts(self, request: Request, sent: object) -> bool:
        """Whether a form came from a page of this visit."""
        visit = request.cookies.get(VISIT)
        if not visit or not isinstance(sent, str):
            return False
        return hmac.compare_digest(self._signed(visit).encode(), sent.encode(errors="replace"))

    def _signed(self, visit: str) -> str:
        return hmac.new(self.key, b"form:" + visit.encode(), hashlib.sha256).hexdigest()

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/portal", secure=self.secure, httponly=True, samesite="lax")
