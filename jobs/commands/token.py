"""`./viewledger token`: issue a token for development, signed by the local stack's own key."""

import json
from datetime import UTC, datetime, timedelta

from jobs import settings
from jobs.commands.payee_flag import check_payee
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.access_settings import local_issuer
from serving_layer.access.access import Role


def run(*, role: str, payee: str | None, subject: str, minutes: int, as_json: bool) -> ExitCode:
    """Print the token. Refused unless the local issuer is configured."""
    if role == Role.CREATOR and payee is None:
        raise CommandError("--role creator needs --payee: a creator sees only their own channel", ExitCode.BAD_INPUT)
    issuer = local_issuer(settings.environment())
    if issuer is None:
        raise CommandError(
            "no local issuer is configured: start the local stack (./viewledger up), or get a token from the identity "
            "provider",
            ExitCode.REFUSED,
        )
    check_payee(payee)
    now, lifetime = datetime.now(UTC), timedelta(minutes=minutes)
    token = issuer.token(subject=subject, role=Role(role), payee_id=payee, now=now, lifetime=lifetime)
    if as_json:
        print(json.dumps({"token": token, "expires_at": (now + lifetime).isoformat(timespec="seconds")}))
    else:
        print(token)
    return ExitCode.OK
