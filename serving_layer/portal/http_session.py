"""The session: a sealed cookie that scripts cannot read, and that is permanently invalid after signing out.

The cookie holds the credential (a token or an API key) and an id of the session, sealed, so that a thief of the cookie
has a session and never the credential. Nothing is stored while a session lasts, so it survives a restart; its end is
stored, and every API process checks that. Forms are bound to the session by a keyed hash of its id; before
signing in to an id of the visit in a cookie of its own. A third cookie holds an attempt to sign in elsewhere.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access.access import Caller
from serving_layer.access.jwt_sealing import Seal
from serving_layer.access.sign_in import ATTEMPT_LASTS, Attempt, opened, sealed
from serving_layer.portal.ports import Credentials, EndedSessions
from serving_layer.problems.problems import ProblemError

SESSION, VISIT, ATTEMPT = "viewledger_session", "viewledger_visit", "viewledger_sign_in"
SESSION_LASTS = timedelta(hours=12)
"""The longest session; it ends earlier with its credential, or with the browser."""
GRACE = timedelta(minutes=5)
"""How long an existing session is accepted while its end cannot be checked."""
REMEMBERED_MAX = 10_000
COOKIE_LENGTH_MAX = 3_800
"""Browsers keep cookies of up to 4096 bytes."""
CREDENTIAL_LENGTH_MAX = 8_000


class Session(msgspec.Struct, frozen=True):
    """The content of the cookie."""

    session_id: str
    credential: str
    ends_at: datetime

    @property
    def digest(self) -> str:
        """Return the stored form of the id of an ended session; a session cannot be made from it."""
        return hashlib.sha256(self.session_id.encode()).hexdigest()


@dataclass(frozen=True)
class Sessions:
    """Reads and writes these cookies.

    `key` is secret. `secure`: cookies are sent over HTTPS only, under names that browsers take from this very host
    over HTTPS alone (`__Host-`). `origin`: the origin of the portal's pages, such as `https://views.example.org`;
    None: the host that the request names.
    """

    credentials: Credentials
    ended: EndedSessions
    key: bytes
    secure: bool
    origin: str | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _seen: OrderedDict[str, datetime] = field(default_factory=OrderedDict)
    """Sessions that were not ended at the last check, by their digests."""

    def session(self, request: Request) -> Session | None:
        """Return the session of this browser, ended or not; None if there is none or it has expired."""
        content = self._seal.opened(request.cookies.get(self._name(SESSION), ""))
        try:
            session = msgspec.json.decode(content or b"", type=Session)
        except msgspec.DecodeError:
            return None
        return session if self.now() < session.ends_at else None

    async def caller(self, request: Request) -> Caller | None:
        """Return the signed-in caller; None without one, and for a session or a credential that is no longer valid.

        Raises:
            ProblemError: it cannot be checked now.
        """
        session = self.session(request)
        if session is None or await self._was_ended(session):
            return None
        try:
            return await self.credentials.caller_of(session.credential)
        except ProblemError as error:
            if error.problem.status == 401:
                return None
            raise

    def begin(self, response: Response, credential: str) -> bool:
        """Sign in until the browser is closed, the credential expires or 12 hours are over; False: it is too long."""
        session = Session(secrets.token_urlsafe(24), credential, self.now() + SESSION_LASTS)
        text = self._seal.sealed(msgspec.json.encode(session))
        if len(text) > COOKIE_LENGTH_MAX:
            return False
        self._set(response, SESSION, text)
        self._delete(response, VISIT)
        return True

    async def end(self, request: Request, response: Response) -> None:
        """Sign out: every copy of the cookie is signed out, too.

        Raises:
            ProblemError: the end cannot be stored now; the session continues.
        """
        session = self.session(request)
        if session is not None:
            await self.ended.end(session.digest, session.ends_at)
            self._seen.pop(session.digest, None)
        for name in (SESSION, VISIT):
            self._delete(response, name)

    def begin_attempt(self, response: Response, attempt: Attempt) -> None:
        """Store in this browser that it left for the identity provider."""
        lasts = int(ATTEMPT_LASTS.total_seconds())
        self._set(response, ATTEMPT, sealed(attempt, self.key), max_age=lasts)

    def attempt(self, request: Request, now: datetime) -> Attempt | None:
        """Return the attempt that this browser began; None if there is none or it has expired."""
        return opened(request.cookies.get(self._name(ATTEMPT), ""), self.key, now)

    def end_attempt(self, response: Response) -> None:
        """Delete the attempt: it is valid for one return."""
        self._delete(response, ATTEMPT)

    def form_token(self, request: Request) -> tuple[str, str | None]:
        """Return the token for the page's forms, and the visit to set if the browser has none yet."""
        bound_to = self._bound_to(request)
        fresh = None if bound_to else secrets.token_urlsafe(24)
        return self._signed(bound_to or f"visit:{fresh}"), fresh

    def set_visit(self, response: Response, visit: str) -> None:
        """Store a visit until the browser is closed or its user signs in."""
        self._set(response, VISIT, visit)

    def accepts(self, request: Request, sent: object) -> bool:
        """Return whether a form came from a page of this session, or of this visit without a sign-in."""
        bound_to = self._bound_to(request)
        if not bound_to or not isinstance(sent, str) or self.is_foreign(request):
            return False
        return hmac.compare_digest(self._signed(bound_to).encode(), sent.encode(errors="replace"))

    def is_foreign(self, request: Request) -> bool:
        """Return whether the browser reports that another site's page makes the request."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return True
        origin = request.headers.get("origin")
        if origin is None or origin == self.origin:
            return False
        return self.origin is not None or origin.partition("://")[2] != request.headers.get("host", "")

    async def _was_ended(self, session: Session) -> bool:
        now = self.now()
        try:
            if await self.ended.was_ended(session.digest):
                return True
        except ProblemError:
            if now >= self._seen.get(session.digest, now - GRACE) + GRACE:
                raise
            return False
        self._seen[session.digest] = now
        self._seen.move_to_end(session.digest)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return False

    def _bound_to(self, request: Request) -> str | None:
        session, visit = self.session(request), request.cookies.get(self._name(VISIT))
        if session is not None:
            return f"session:{session.session_id}"
        return f"visit:{visit}" if visit else None

    def _signed(self, bound_to: str) -> str:
        return hmac.new(self.key, b"form:" + bound_to.encode(errors="replace"), hashlib.sha256).hexdigest()

    @property
    def _seal(self) -> Seal:
        return Seal(self.key, "session")

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name

    def _set(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        path = "/" if self.secure else "/portal"
        response.set_cookie(
            self._name(name), value, max_age, path=path, secure=self.secure, httponly=True, samesite="lax"
        )

    def _delete(self, response: Response, name: str) -> None:
        path = "/" if self.secure else "/portal"
        response.delete_cookie(self._name(name), path=path, secure=self.secure, httponly=True, samesite="lax")
