"""`./viewledger keys create|list|revoke`: API keys for machines."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs import settings
from jobs.commands.payee_flag import check_payee
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from serving_layer.access.access import Scope
from serving_layer.access.api_keys import OWNER_ALLOWED, OWNER_PATTERN, ApiKey
from serving_layer.access.postgres_api_keys import ApiKeyRefusedError, PostgresKeyRing


@contextmanager
def _ring() -> Iterator[PostgresKeyRing]:
    """Open the keys; exit code 5: the owner has two live keys or there is no such key."""
    url = settings.PostgresConnection.from_environ(settings.environment("KEYS")).url
    try:
        with closing(PostgresKeyRing(url)) as ring:
            yield ring
    except ApiKeyRefusedError as error:
        raise CommandError(str(error), ExitCode.REFUSED) from error


def create(*, owner: str, scope: Sequence[str], payee: str | None, days: int, as_json: bool) -> ExitCode:
    """Make a key and print it, only this once."""
    if not re.fullmatch(OWNER_PATTERN, owner):
        raise CommandError(f"--owner is {owner[:64]!r}; give {OWNER_ALLOWED}", ExitCode.BAD_INPUT)
    check_payee(payee)
    now = datetime.now(UTC)
    with _ring() as ring:
        key, text = ring.create(
            owner, {Scope(each) for each in scope}, payee, now=now, expires_at=now + timedelta(days=days)
        )
    if as_json:
        print(json.dumps(_shown(key, now) | {"key": text}))
    else:
        print(text)
        print(f"key {key.key_id} of {key.owner} until {key.expires_at:%Y-%m-%d}; it is shown this once")
    return ExitCode.OK


def list_keys(*, as_json: bool) -> ExitCode:
    """Print all keys without their secrets."""
    with _ring() as ring:
        now, keys = datetime.now(UTC), ring.keys()
    if as_json:
        print(json.dumps([_shown(key, now) for key in keys]))
        return ExitCode.OK
    for key in keys:
        shown = _shown(key, now)
        bound = f"payee {key.payee_id}" if key.payee_id else "every payee"
        print(
            f"{key.key_id}  {shown['state']:<8} {key.owner:<24} until {key.expires_at:%Y-%m-%d}  "
            f"{' '.join(shown['scopes'])}  {bound}"
        )
    if not keys:
        print("there are no keys; ./viewledger keys create makes one")
    return ExitCode.OK


def revoke(*, key_id: str, as_json: bool) -> ExitCode:
    """Revoke a key."""
    with _ring() as ring:
        ring.revoke(key_id, datetime.now(UTC))
    print(json.dumps({"revoked": key_id}) if as_json else f"key {key_id} is revoked")
    return ExitCode.OK


def _shown(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "owner": key.owner,
        "scopes": sorted(key.scopes),
        "payee": key.payee_id,
        "state": "live" if key.is_live(now) else "revoked" if key.revoked_at else "expired",
        "created_at": key.created_at.isoformat(timespec="seconds"),
        "expires_at": key.expires_at.isoformat(timespec="seconds"),
    }
