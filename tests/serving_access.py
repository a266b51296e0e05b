"""Callers of every kind for tests of guarded routes: tokens of a local issuer, API keys in memory."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request

from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.access.access import Caller, Role, Scope
from serving_layer.access.api_keys import ApiKey, hashed, key_text
from serving_layer.access.http_access import Guard
from serving_layer.access.identification import Access
from serving_layer.access.jwt_local_issuer import LIFETIME_MAX, LocalIssuer
from serving_layer.access.jwt_tokens import TokenVerifier
from serving_layer.access.limits_requests import RequestLimits

ISSUER = LocalIssuer(bytes(range(32)))
OWNER, OTHER = "payee-owner", "payee-other"
SECRET = "s" * 43


def bearer(
    role: Role, payee_id: str | None = None, *, lifetime: timedelta = LIFETIME_MAX, audience: str = ""
) -> dict[str, str]:
    """The header of a person: one made when tests are collected outlives their whole run."""
    token = ISSUER.token(
        subject=str(role), role=role, payee_id=payee_id, now=datetime.now(UTC), lifetime=lifetime, audience=audience
    )
    return {"Authorization": f"Bearer {token}"}


CALLERS: Mapping[str, dict[str, str]] = {
    "owner": bearer(Role.CREATOR, OWNER),
    "other creator": bearer(Role.CREATOR, OTHER),
    "finance": bearer(Role.FINANCE),
    "auditor": bearer(Role.AUDITOR),
    "operator": bearer(Role.OPERATOR),
    "reviewer": bearer(Role.REVIEWER),
    "anonymous": {},
    "expired": bearer(Role.FINANCE, lifetime=timedelta(hours=-1)),
    "wrong audience": bearer(Role.FINANCE, audience="somebody-else"),
}
"""Callers of every kind."""


@dataclass
class FakeKeys:
    """API keys in memory, which can be taken away."""

    keys: dict[str, ApiKey] = field(default_factory=dict)
    is_away: bool = False
    asked: int = 0

    def add(self, key_id: str, *scopes: Scope, payee_id: str | None = None, **changes: Any) -> dict[str, str]:
        """Add a key and return the header that sends it."""
        now = datetime.now(UTC)
        fields = {"created_at": now, "expires_at": now + timedelta(days=1), **changes}
        self.keys[key_id] = ApiKey(key_id, "test", hashed(SECRET), frozenset(scopes), payee_id, **fields)
        return {"Authorization": f"Bearer {key_text(key_id, SECRET)}"}

    async def find(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "PostgreSQL is away")
        return self.keys.get(key_id)


def access_of(keys: FakeKeys | None = None, **settings: Any) -> Access:
    settings = {"clock": time.time} | settings
    return Access(find_key=(keys or FakeKeys()).find, tokens=TokenVerifier([ISSUER.accepted()]), **settings)


def guard_of(
    keys: FakeKeys | None = None,
    *,
    anonymous: str = "1000000/minute",
    caller: str = "1000000/minute",
    refused: str = "1000000/minute",
    **settings: Any,
) -> Guard:
    """A guard as the API's, with limits that no test reaches by accident."""
    observe = settings.pop("observe", lambda route, status: None)
    access = access_of(keys, **settings)

    async def identify(request: Request) -> Caller:
        return await access.caller(request.headers.get("authorization"))

    limits = RequestLimits(time.time, anonymous=anonymous, caller=caller, refused=refused)
    return Guard(identify, limits, lambda request: "192.0.2.0/24", observe=observe)
