"""Convert an Authorization header to a caller; results of checks are cached for a few seconds.

Time is passed in; the ports are called without blocking the event loop.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, anonymous, unauthorized
from serving_layer.access.api_keys import PREFIX, ApiKey, caller_of_key, parsed
from serving_layer.problems.problems import ProblemError, refused

REMEMBERED_SECONDS = 5.0
"""The longest time for which a revoked key may still be accepted."""
GRACE_SECONDS = 300.0
"""How long a valid key is accepted while PostgreSQL is away."""
REMEMBERED_MAX = 10_000
CREDENTIAL_LENGTH_MAX = 8_192


class Tokens(Protocol):
    """Checks tokens of people."""

    async def caller(self, token: str) -> tuple[Caller, float]:
        """Return the caller and when the token expires, in seconds since the epoch; raise ProblemError."""


@dataclass(frozen=True)
class _Known:
    caller: Caller
    checked_at: float
    expires_at: float


class Access:
    """Identifies callers. For one event loop.

    `find_key` looks a key up by its id or raises UnavailableError; `clock` returns seconds since the epoch.
    """

    def __init__(
        self,
        *,
        find_key: Callable[[str], Awaitable[ApiKey | None]],
        tokens: Tokens,
        clock: Callable[[], float],
        counts_are_public: bool = True,
    ) -> None:
        self._find_key = find_key
        self._tokens = tokens
        self._clock = clock
        self._anonymous = anonymous(reads_counts=counts_are_public)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def caller(self, authorization: str | None) -> Caller:
        """Return the sender of this header; None is the anonymous caller.

        Raises:
            ProblemError: the credential is not valid (401) or cannot be checked now (503).
        """
        if authorization is None:
            return self._anonymous
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer" or not 1 <= len(credential) <= CREDENTIAL_LENGTH_MAX:
            raise unauthorized(
                "credentials_malformed", "the Authorization header must be `Bearer` and an API key or a token"
            )
        return await self.caller_of(credential.strip())

    async def caller_of(self, credential: str) -> Caller:
        """Return the caller of an API key or a token; raise as `caller` does."""
        digest = hashlib.sha256(credential.encode()).digest()
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and now < min(known.checked_at + REMEMBERED_SECONDS, known.expires_at):
            return known.caller
        try:
            checked = await self._checked(credential, now)
        except UnavailableError as error:
            if known is not None and now < min(known.checked_at + GRACE_SECONDS, known.expires_at):
                return known.caller
            raise refused(
                "access_unavailable",
                "PostgreSQL does not answer, so the API key cannot be checked; public counts need none",
                {"Retry-After": "2"},
            ) from error
        except ProblemError:
            self._known.pop(digest, None)
            raise
        self._known[digest] = checked
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return checked.caller

    async def _checked(self, credential: str, now: float) -> _Known:
        if not credential.startswith(PREFIX):
            caller, expires_at = await self._tokens.caller(credential)
            return _Known(caller, now, expires_at)
        key_id, secret = parsed(credential)
        key = await self._find_key(key_id)
        caller = caller_of_key(key, secret, datetime.fromtimestamp(now, UTC))
        return _Known(caller, now, key.expires_at.timestamp() if key is not None else now)
