"""`./viewledger billing limits …`: the most that a statement may earn without approval, and who set it."""

from collections.abc import Mapping

from billing.books.postgres_limits import PostgresLimits
from billing.money import amount_text
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    APPROVER_ROLE,
    approval_limits,
    billing_connector,
    show,
)
from jobs.wiring.billing_work import billing_work


@billing_work
def set_limits(environ: Mapping[str, str], *, limits: str, reason: str, actor: str, as_json: bool) -> ExitCode:
    """Set limits, then show every limit in force."""
    wanted = approval_limits(limits, "LIMITS")
    stored = PostgresLimits(billing_connector(environ, APPROVER_ROLE))
    for currency, limit_micros in wanted.items():
        stored.set(currency, limit_micros, actor, reason)
    return _show(stored, as_json=as_json)


@billing_work
def show_limits(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Show every limit in force."""
    return _show(PostgresLimits(billing_connector(environ, APPROVER_ROLE)), as_json=as_json)


def _show(limits: PostgresLimits, *, as_json: bool) -> ExitCode:
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
    show(document, lambda: aligned(header, rows, left=6), as_json=as_json)
    return ExitCode.OK
