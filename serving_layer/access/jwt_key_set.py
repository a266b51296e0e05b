"""An identity provider's signing keys (JWKS, RFC 7517), cached, and fetched again within bounds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt

from serving_layer.problems.problems import refused

logger = logging.getLogger(__name__)

FRESH_SECONDS = 600.0
KEPT_SECONDS = 24 * 3600.0
PAUSE_SECONDS = 30.0
KEYS_MAX = 100


class FetchFailedError(Exception):
    """The key set cannot be fetched or read."""


class CachedKeySet:
    """See the port `KeySet`. `fetch` returns the JWKS document or raises FetchFailedError.

    It is fetched if it is older than ten minutes or a key id is unknown, but never twice within 30 seconds, even for
    invented ids; while the provider is away the last key set is used for a day. For one event loop.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Mapping[str, Any]]], monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """See the port."""
        found = self._found(key_id)
        if found is None or self._age() > FRESH_SECONDS:
            await self._refresh()
            found = self._found(key_id)
        if found is None and self._age() > KEPT_SECONDS:
            raise refused(
                "identity_provider_unavailable",
                "the identity provider's keys cannot be fetched, so tokens cannot be checked; API keys still work",
                {"Retry-After": str(int(PAUSE_SECONDS))},
            )
        return found

    def _found(self, key_id: str | None) -> jwt.PyJWK | None:
        if self._age() > KEPT_SECONDS:
            return None
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._monotonic() - self._fetched_at

    async def _refresh(self) -> None:
        async with self._fetching:
            if self._tried_at is not None and self._monotonic() - self._tried_at < PAUSE_SECONDS:
                return
            self._tried_at = self._monotonic()
            try:
                self._keys = signing_keys(await self._fetch())
            except FetchFailedError as error:
                logger.warning("signing keys not fetched", extra={"fields": {"reason": str(error)}})
                return
            self._fetched_at = self._monotonic()


class FixedKeySet:
    """See the port `KeySet`: one key that is known beforehand."""

    def __init__(self, key: jwt.PyJWK) -> None:
        self._key = key

    async def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """See the port."""
        return self._key if key_id in (None, self._key.key_id) else None


def signing_keys(document: Mapping[str, Any]) -> dict[str | None, jwt.PyJWK]:
    """Return the usable signing keys of a JWKS document by their id; keys of kinds that PyJWT lacks are left out.

    Raises:
        FetchFailedError: the document holds none.
    """
    listed = document.get("keys")
    found: dict[str | None, jwt.PyJWK] = {}
    for each in listed[:KEYS_MAX] if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("use", "sig") == "sig" and each.get("kty") != "oct":
            try:
                found[each.get("kid")] = jwt.PyJWK(each)
            except (jwt.PyJWTError, NotImplementedError, TypeError):  # the others: alg none, and a kid that is a list
                continue
    if not found:
        raise FetchFailedError("the document holds no usable signing key")
    return found
