"""`./viewledger billing holds …`: amounts that are on hold for a time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.books.postgres_holds import PostgresHolds
from billing.books.states import Move
from billing.money import amount_text, written_amount
from billing.terms.postgres_payees import check_payees
from jobs.commands.billing.tables import aligned
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    billing_connector,
    show,
)
from jobs.wiring.billing_work import billing_work


@billing_work
def place_hold(
    environ: Mapping[str, str],
    *,
    payee: str,
    currency: str,
    amount: str,
    days: int,
    reason: str,
    actor: str,
    as_json: bool,
) -> ExitCode:
    """Place a hold and print its id."""
    amount_micros, expires_at = _amount(amount, currency), datetime.now(UTC) + timedelta(days=days)
    move = Move("pending", actor, reason)
    check_payees(billing_connector(environ), [payee], "--payee")
    holds = PostgresHolds(billing_connector(environ))
    hold_id = holds.place(payee, currency, amount_micros, expires_at, move)
    document = {"hold_id": hold_id, "expires_at": expires_at.isoformat(), "amount_micros": amount_micros}
    text = f"hold {hold_id}: {amount_text(amount_micros, currency)} of payee {payee}"
    show(document, lambda: f"{text} until {expires_at:%Y-%m-%d %H:%M} UTC", as_json=as_json)
    return ExitCode.OK


def _amount(text: str, currency: str) -> int:
    try:
        return written_amount(text, currency)
    except ValueError as error:
        raise CommandError(f"--amount: {error}", ExitCode.BAD_INPUT) from error


@billing_work
def decide_hold(
    environ: Mapping[str, str], *, hold: str, decision: str, reason: str, actor: str, as_json: bool
) -> ExitCode:
    """Release or void a hold."""
    move = Move(decision, actor, reason)
    PostgresHolds(billing_connector(environ)).decide(hold, move, datetime.now(UTC))
    document = {"hold_id": hold, "state": move.to_state}
    show(document, lambda: f"hold {hold} {move.to_state}", as_json=as_json)
    return ExitCode.OK


@billing_work
def list_holds(environ: Mapping[str, str], *, payee: str | None, as_json: bool) -> ExitCode:
    """Print the holds."""
    check_payees(billing_connector(environ), [] if payee is None else [payee], "--payee")
    found = PostgresHolds(billing_connector(environ)).holds(payee)
    rows = [
        (*row, amount_text(each.amount_micros, each.currency))
        for each in found
        for row in [(each.hold_id, each.payee_id, each.state, f"{each.expires_at:%Y-%m-%d}", each.actor, each.reason)]
    ]
    header = ("hold", "payee", "state", "expires", "by", "reason", "amount")
    document = {"holds": [_document(each) for each in found]}
    show(document, lambda: aligned(header, rows, left=6) if rows else "there are no holds", as_json=as_json)
    return ExitCode.OK


def _document(record: Any) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(record).items()}
