"""`./viewledger traffic appeals …`: what payees object to in their invalid traffic, and the answers."""

from collections.abc import Mapping
from typing import Any

from billing.books.postgres_traffic_appeals import PostgresTrafficAppeals
from billing.books.traffic_appeals import TrafficAppeal
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import REVIEWER_ROLE, billing_connector, show
from jobs.wiring.billing_work import billing_work


@billing_work
def list_appeals(environ: Mapping[str, str], *, payee: str | None, only_open: bool, as_json: bool) -> ExitCode:
    """Print the appeals, newest first."""
    found = [each for each in _appeals(environ).appeals(payee) if not only_open or each.answer is None]
    rows = [
        (each.appeal_id, each.payee_id, each.day.isoformat(), each.invalid_class.value, each.state, each.objection,
         each.answer or "-")
        for each in found
    ]  # fmt: skip
    header = ("appeal", "payee", "day", "class", "state", "objection", "answer")
    document = {"appeals": [_document(each) for each in found]}
    show(document, lambda: aligned(header, rows, left=7) if rows else "there are no appeals", as_json=as_json)
    return ExitCode.OK


@billing_work
def answer_appeal(environ: Mapping[str, str], *, appeal: str, answer: str, actor: str, as_json: bool) -> ExitCode:
    """Answer an appeal in words that the payee reads."""
    _appeals(environ).answer(appeal, answer, actor)
    document = {"appeal_id": appeal, "state": "answered"}
    show(document, lambda: f"appeal {appeal} answered", as_json=as_json)
    return ExitCode.OK


def _appeals(environ: Mapping[str, str]) -> PostgresTrafficAppeals:
    return PostgresTrafficAppeals(billing_connector(environ, REVIEWER_ROLE))


def _document(each: TrafficAppeal) -> dict[str, Any]:
    return {
        "appeal_id": each.appeal_id,
        "payee_id": each.payee_id,
        "day": each.day.isoformat(),
        "class": each.invalid_class.value,
        "state": each.state,
        "objection": each.objection,
        "actor": each.actor,
        "received_at": each.received_at.isoformat(),
        "answer": each.answer,
        "answered_by": each.answered_by,
        "answered_at": each.answered_at.isoformat() if each.answered_at else None,
    }
