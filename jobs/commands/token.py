"""`./viewledger token`: a token for development, signed by the local stack's own key."""

import argparse
import json
from datetime import UTC, datetime, timedelta

from jobs import settings
from jobs.commands.flags import whole_number
from jobs.commands.payee_flag import check_payee
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.access_settings import local_issuer
from serving_layer.access.access import GRANTS, Role
from serving_layer.access.jwt_local_issuer import LIFETIME_MAX

MINUTES_MAX = int(LIFETIME_MAX.total_seconds() // 60)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--role", required=True, choices=sorted(role.value for role in GRANTS), help="what the holder may do"
    )
    parser.add_argument("--payee", help="the payee the token is bound to; creators need one")
    parser.add_argument("--subject", default="developer", help="who the holder is, for logs (default developer)")
    parser.add_argument(
        "--minutes", type=whole_number, default=60, help=f"how long it holds (1 to {MINUTES_MAX}, default 60)"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON with its end")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the token. Refused unless the local issuer is configured."""
    role = Role(arguments.role)
    if not 1 <= arguments.minutes <= MINUTES_MAX:
        raise CommandError(f"--minutes must be from 1 to {MINUTES_MAX}", ExitCode.BAD_INPUT)
    if role is Role.CREATOR and not arguments.payee:
        raise CommandError("--role creator needs --payee: a creator sees only their own channel", ExitCode.BAD_INPUT)
    if arguments.payee is not None and not 1 <= len(arguments.payee) <= 128:
        raise CommandError("--payee must have 1 to 128 characters", ExitCode.BAD_INPUT)
    issuer = local_issuer(settings.environment())
    if issuer is None:
        raise CommandError(
            "no local issuer is configured: start the local stack (./viewledger up), or get a token from the identity "
            "provider",
            ExitCode.REFUSED,
        )
    check_payee(arguments.payee)
    now, lifetime = datetime.now(UTC), timedelta(minutes=arguments.minutes)
    token = issuer.token(subject=arguments.subject, role=role, payee_id=arguments.payee, now=now, lifetime=lifetime)
    if arguments.json:
        print(json.dumps({"token": token, "expires_at": (now + lifetime).isoformat(timespec="seconds")}))
    else:
        print(token)
    return ExitCode.OK
