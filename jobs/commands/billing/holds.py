"""`./viewledger billing hold… | appeal…`: what is kept back, and what payees object to."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.books.postgres_holds import PostgresHolds
from billing.books.states import Move
from billing.money import amount_text, written_amount
from billing.terms.postgres_payees import check_payees
from ingestion.contract.printable import is_text
from jobs.commands.billing.tables import aligned
from jobs.commands.flags import whole_number
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    Actions,
    actor_of,
    add_action,
    add_actor,
    add_currency,
    add_reason,
    billing_connector,
    currency_of,
    payees_of,
    reason_of,
    show,
)

DAYS_MAX = 366


def add_actions(actions: Actions) -> None:
    """Declare the actions on holds and appeals."""
    hold = add_action(actions, "hold", place_hold, "keep an amount that is owed from being paid, for a time")
    hold.add_argument("--payee", required=True, metavar="ID")
    add_currency(hold)
    hold.add_argument("--amount", required=True, metavar="NUMBER", help="in whole units, like 12.50")
    hold.add_argument(
        "--days", type=whole_number, default=30, metavar="N", help=f"1 to {DAYS_MAX}, then it expires (30)"
    )
    add_reason(hold)
    add_actor(hold, "who keeps it back")
    decide = add_action(actions, "hold-decide", decide_hold, "release a hold, or void it: then it is no longer owed")
    decide.add_argument("--hold", required=True, metavar="ID")
    decide.add_argument("--as", dest="decision", required=True, choices=("released", "voided"))
    appeal = add_action(actions, "appeal", receive_appeal, "record a payee's objection to a statement")
    appeal.add_argument("--statement", required=True, metavar="ID")
    appeal.add_argument("--objection", required=True, metavar="TEXT")
    add_actor(appeal, "who objects, or who records the objection")
    decide_appeals = add_action(actions, "appeal-decide", decide_appeal, "decide an appeal")
    decide_appeals.add_argument("--appeal", required=True, metavar="ID")
    decide_appeals.add_argument("--as", dest="decision", required=True, choices=("accepted", "rejected", "withdrawn"))
    for action in (decide, decide_appeals):
        add_reason(action)
        add_actor(action, "who decides")
    for name, work in (("holds", list_holds), ("appeals", list_appeals)):
        listing = add_action(actions, name, work, f"all {name} and what became of them")
        listing.add_argument("--payee", metavar="ID", help="default: of all payees")


def place_hold(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Places a hold and prints its id."""
    currency = currency_of(arguments)
    if not 1 <= arguments.days <= DAYS_MAX:
        raise CommandError(f"--days is {arguments.days}; it must be from 1 to {DAYS_MAX}", ExitCode.BAD_INPUT)
    amount_micros, expires_at = _amount(arguments.amount, currency), datetime.now(UTC) + timedelta(days=arguments.days)
    move = Move("pending", actor_of(arguments), reason_of(arguments))
    check_payees(billing_connector(environ), [arguments.payee], "--payee")
    holds = PostgresHolds(billing_connector(environ))
    hold_id = holds.place(arguments.payee, currency, amount_micros, expires_at, move)
    document = {"hold_id": hold_id, "expires_at": expires_at.isoformat(), "amount_micros": amount_micros}
    text = f"hold {hold_id}: {amount_text(amount_micros, currency)} of payee {arguments.payee}"
    show(arguments, document, lambda: f"{text} until {expires_at:%Y-%m-%d %H:%M} UTC")
    return ExitCode.OK


def _amount(text: str, currency: str) -> int:
    try:
        return written_amount(text, currency)
    except ValueError as error:
        raise CommandError(f"--amount: {error}", ExitCode.BAD_INPUT) from error


def decide_hold(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Releases or voids a hold."""
    move = Move(arguments.decision, actor_of(arguments), reason_of(arguments))
    PostgresHolds(billing_connector(environ)).decide(arguments.hold, move, datetime.now(UTC))
    document = {"hold_id": arguments.hold, "state": move.to_state}
    show(arguments, document, lambda: f"hold {arguments.hold} {move.to_state}")
    return ExitCode.OK


def list_holds(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print the holds."""
    check_payees(billing_connector(environ), payees_of(arguments), "--payee")
    found = PostgresHolds(billing_connector(environ)).holds(arguments.payee)
    rows = [
        (*row, amount_text(each.amount_micros, each.currency))
        for each in found
        for row in [(each.hold_id, each.payee_id, each.state, f"{each.expires_at:%Y-%m-%d}", each.actor, each.reason)]
    ]
    header = ("hold", "payee", "state", "expires", "by", "reason", "amount")
    document = {"holds": [_document(each) for each in found]}
    show(arguments, document, lambda: aligned(header, rows, left=6) if rows else "there are no holds")
    return ExitCode.OK


def receive_appeal(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Store an appeal and prints its id."""
    objection = arguments.objection.strip()
    if not is_text(objection, most=2000):
        raise CommandError("--objection must be 1 to 2000 printable characters", ExitCode.BAD_INPUT)
    holds = PostgresHolds(billing_connector(environ))
    appeal_id = holds.appeal(arguments.statement, objection, actor_of(arguments)).appeal_id
    show(arguments, {"appeal_id": appeal_id}, lambda: f"appeal {appeal_id} received")
    return ExitCode.OK


def decide_appeal(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Accept, rejects or withdraws an appeal."""
    move = Move(arguments.decision, actor_of(arguments), reason_of(arguments))
    PostgresHolds(billing_connector(environ)).decide_appeal(arguments.appeal, move)
    document = {"appeal_id": arguments.appeal, "state": move.to_state}
    show(arguments, document, lambda: f"appeal {arguments.appeal} {move.to_state}")
    return ExitCode.OK


def list_appeals(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print the appeals."""
    check_payees(billing_connector(environ), payees_of(arguments), "--payee")
    found = PostgresHolds(billing_connector(environ)).appeals(arguments.payee)
    rows = [
        (each.appeal_id, each.payee_id, each.statement_id, each.state, each.objection, each.reason) for each in found
    ]
    header = ("appeal", "payee", "statement", "state", "objection", "reason")
    document = {"appeals": [_document(each) for each in found]}
    show(arguments, document, lambda: aligned(header, rows, left=6) if rows else "there are no appeals")
    return ExitCode.OK


def _document(record: Any) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(record).items()}
