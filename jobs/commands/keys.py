"""`./viewledger keys create|list|revoke`: API keys for machines."""

import argparse
import json
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs import settings
from jobs.commands.flags import whole_number
from jobs.commands.payee_flag import check_payee
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from serving_layer.access.access import Scope
from serving_layer.access.api_keys import LIVE_MAX, OWNER_PATTERN, ApiKey
from serving_layer.access.postgres_api_keys import KeyRefusedError, PostgresKeyRing

DAYS_MAX = 730


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|revoke")
    create_parser = actions.add_parser("create", help=f"make a key; an owner has at most {LIVE_MAX} live ones")
    create_parser.add_argument("--owner", required=True, help="the program that will use it, such as nightly-export")
    create_parser.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=sorted(scope.value for scope in Scope),
        help="what it may do; may be repeated",
    )
    create_parser.add_argument("--payee", help="bind it to one payee; without it, it sees every payee")
    create_parser.add_argument(
        "--days", type=whole_number, default=90, help=f"how long it holds (1 to {DAYS_MAX}, default 90)"
    )
    list_parser = actions.add_parser("list", help="show all keys; secrets cannot be shown")
    revoke_parser = actions.add_parser("revoke", help="revoke a key permanently; takes effect within seconds")
    revoke_parser.add_argument("key_id", metavar="KEY-ID", help="the 16 digits between `vlk_` and the secret")
    for each in (create_parser, list_parser, revoke_parser):
        each.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit codes: 2 wrong input, 4 PostgreSQL is away, 5 the owner has two live keys or there is no such key."""
    try:
        with closing(
            PostgresKeyRing(settings.PostgresConnection.from_environ(settings.environment("KEYS")).url)
        ) as ring:
            return ACTIONS[arguments.action](ring, arguments)
    except KeyRefusedError as error:
        raise CommandError(str(error), ExitCode.REFUSED) from error


def create(ring: PostgresKeyRing, arguments: argparse.Namespace) -> ExitCode:
    """`keys create`: prints the key, this once."""
    if not re.fullmatch(OWNER_PATTERN, arguments.owner):
        raise CommandError(f"--owner is {arguments.owner!r}; it must match {OWNER_PATTERN}", ExitCode.BAD_INPUT)
    if not 1 <= arguments.days <= DAYS_MAX:
        raise CommandError(f"--days must be from 1 to {DAYS_MAX}", ExitCode.BAD_INPUT)
    if arguments.payee is not None and not 1 <= len(arguments.payee) <= 128:
        raise CommandError("--payee must have 1 to 128 characters", ExitCode.BAD_INPUT)
    check_payee(arguments.payee)
    now = datetime.now(UTC)
    key, text = ring.create(
        arguments.owner,
        {Scope(each) for each in arguments.scope},
        arguments.payee,
        now=now,
        expires_at=now + timedelta(days=arguments.days),
    )
    if arguments.json:
        print(json.dumps(_shown(key, now) | {"key": text}))
    else:
        print(text)
        print(f"key {key.key_id} of {key.owner} until {key.expires_at:%Y-%m-%d}; it is shown this once")
    return ExitCode.OK


def show(ring: PostgresKeyRing, arguments: argparse.Namespace) -> ExitCode:
    """`keys list`."""
    now, keys = datetime.now(UTC), ring.keys()
    if arguments.json:
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


def revoke(ring: PostgresKeyRing, arguments: argparse.Namespace) -> ExitCode:
    """`keys revoke`."""
    ring.revoke(arguments.key_id, datetime.now(UTC))
    print(json.dumps({"revoked": arguments.key_id}) if arguments.json else f"key {arguments.key_id} is revoked")
    return ExitCode.OK


ACTIONS: dict[str, Callable[[PostgresKeyRing, argparse.Namespace], ExitCode]] = {
    "create": create,
    "list": show,
    "revoke": revoke,
}


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
