"""`./viewledger billing appeals …`: the objections of payees, and the decisions about them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from billing.books.postgres_holds import PostgresHolds
from billing.books.states import Move
from billing.terms.postgres_payees import check_payees
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work


@billing_work
def record_appeal(environ: Mapping[str, str], *, statement: str, objection: str, actor: str, as_json: bool) -> ExitCode:
    """Store an appeal and print its id."""
    holds = PostgresHolds(billing_connector(environ))
    appeal_id = holds.appeal(statement, objection, actor).appeal_id
    show({"appeal_id": appeal_id}, lambda: f"appeal {appeal_id} received", as_json=as_json)
    return ExitCode.OK


@billing_work
def decide_appeal(
    environ: Mapping[str, str], *, appeal: str, decision: str, reason: str, actor: str, as_json: bool
) -> ExitCode:
    """Accept, reject or withdraw an appeal."""
    move = Move(decision, actor, reason)
    PostgresHolds(billing_connector(environ)).decide_appeal(appeal, move)
    document = {"appeal_id": appeal, "state": move.to_state}
    show(document, lambda: f"appeal {appeal} {move.to_state}", as_json=as_json)
    return ExitCode.OK


@billing_work
def list_appeals(environ: Mapping[str, str], *, payee: str | None, as_json: bool) -> ExitCode:
    """Print the appeals."""
    check_payees(billing_connector(environ), [] if payee is None else [payee], "--payee")
    found = PostgresHolds(billing_connector(environ)).appeals(payee)
    rows = [
        (each.appeal_id, each.payee_id, each.statement_id, each.state, each.objection, each.reason) for each in found
    ]
    header = ("appeal", "payee", "statement", "state", "objection", "reason")
    document = {"appeals": [_document(each) for each in found]}
    show(document, lambda: aligned(header, rows, left=6) if rows else "there are no appeals", as_json=as_json)
    return ExitCode.OK


def _document(record: Any) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(record).items()}
