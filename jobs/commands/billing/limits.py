"""`./viewledger billing limits`: what a statement may earn without anybody's approval, and who set it."""

import argparse
from collections.abc import Mapping

from billing.books.postgres_limits import PostgresLimits
from billing.money import amount_text
from jobs.commands.billing.tables import aligned
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    APPROVER_ROLE,
    Actions,
    actor_of,
    add_action,
    add_actor,
    add_reason,
    approval_limits,
    billing_connector,
    reason_of,
    show,
)


def add_actions(actions: Actions) -> None:
    """Declare `limits`."""
    limits = add_action(actions, "limits", work_on_limits, "what a statement may earn without anybody's approval")
    text = "in whole units, `*` for all other currencies; by a login that approves and does not bill"
    limits.add_argument("--set", metavar="EUR=5000,*=1000", help=text)
    add_reason(limits, required=False)
    add_actor(limits, "who sets them")


def work_on_limits(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Set what --set says, then prints every limit in force."""
    reason = reason_of(arguments)
    if arguments.set is not None and not reason:
        raise CommandError("--set needs --reason, which says why", ExitCode.BAD_INPUT)
    limits = PostgresLimits(billing_connector(environ, APPROVER_ROLE))
    if arguments.set is not None:
        for currency, limit_micros in approval_limits(arguments.set, "--set").items():
            limits.set(currency, limit_micros, actor_of(arguments), reason)
    found = limits.in_force()
    rows = [
        (
            each.currency,
            amount_text(each.limit_micros, "" if each.currency == "*" else each.currency).strip(),
            f"{each.set_at:%Y-%m-%d %H:%M:%S}",
            each.actor,
            each.login or "-",
            each.reason,
        )
        for each in found
    ]
    document = {"limits": [vars(each) | {"set_at": each.set_at.isoformat()} for each in found]}
    header = ("currency", "limit", "set at (UTC)", "by", "login", "reason")
    show(arguments, document, lambda: aligned(header, rows, left=6))
    return ExitCode.OK
