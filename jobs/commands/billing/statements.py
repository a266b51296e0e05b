"""`./viewledger billing statements | notices`: the calculated statements, and the decisions about them."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run
from billing.books.statements import Statement
from billing.books.states import POSTED, Move
from billing.errors import RoleRefusedError
from billing.money import amount_text
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_payees import check_payees
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted
from jobs.commands.billing.statement_tables import statement_json, statement_text
from jobs.commands.billing.tables import aligned
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    APPROVER_ROLE,
    billing_connector,
    show,
)
from jobs.wiring.billing_work import billing_work


@billing_work
def show_statement(
    environ: Mapping[str, str], *, payee: str, period: Period, restatement: int | None, as_json: bool
) -> ExitCode:
    """Print a statement with its steps."""
    connect = billing_connector(environ)
    check_payees(connect, [payee], "--payee")
    reader = PostgresStatements(connect)
    posted = reader.statement(payee, period, restatement)
    if posted is None:
        raise CommandError(
            f"there is no statement for payee {payee!r} and period {period}; `billing run` makes them",
            ExitCode.REFUSED,
        )
    steps = reader.transitions("statement", posted.statement.statement_id)
    name = PostgresCatalogueStore(connect).payee_name(payee) or ""
    document = statement_json(posted) | {
        "transitions": [
            {"to": each.to_state, "at": each.moved_at.isoformat(), "actor": each.actor, "reason": each.reason}
            for each in steps
        ]
    }
    rows = [(f"{each.moved_at:%Y-%m-%d %H:%M:%S}", each.to_state, each.actor, each.reason) for each in steps]
    text = "\n\n" + aligned(("at (UTC)", "step", "by", "reason"), rows, left=4)
    show(document, lambda: statement_text(posted, name) + text, as_json=as_json)
    return ExitCode.OK


@billing_work
def list_statements(environ: Mapping[str, str], *, state: str, period: Period | None, as_json: bool) -> ExitCode:
    """Print the statements in one state."""
    found = PostgresStatements(billing_connector(environ)).in_state(state, period)
    rows = [
        (str(each.period), each.payee_id, str(each.restatement_number), amount_text(each.earned_micros, each.currency))
        for each, _ in found
    ]
    document = {"state": state, "statements": [_row_json(each) for each, _ in found]}
    header = ("period", "payee", "restatement", "earned")
    show(document, lambda: aligned(header, rows, left=2) if rows else f"no statement is {state}", as_json=as_json)
    return ExitCode.OK


def _row_json(statement: Statement) -> dict[str, Any]:
    return {
        "statement_id": statement.statement_id,
        "period": str(statement.period),
        "payee_id": statement.payee_id,
        "restatement_number": statement.restatement_number,
        "currency": statement.currency,
        "earned_micros": statement.earned_micros,
    }


@billing_work
def approve(
    environ: Mapping[str, str], *, period: Period, payee: Sequence[str], actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Approve in the role of the approver, then post in the role of billing."""
    approved = _move(environ, period, payee, "in_review", Move("approved", actor, reason))
    books = PostgresBooks(billing_connector(environ))
    try:
        posted = [finalise_run(run_id, books) for run_id in sorted({each.run_id for each in approved})]
    except RoleRefusedError:
        posted = []  # who approves need not have the right to post; `billing nightly` posts what was approved
    count = sum(each.statement_count for each in posted)
    document = {
        "approved_count": len(approved),
        "posted_count": count,
        "earned_micros": sum(each.earned_micros for each in posted),
    }
    later = "" if posted else "; the next billing run posts them, at the latest `billing nightly`"
    if posted and count < len(approved):
        later = "; a restatement is posted as a whole, when none of its statements waits"
    show(document, lambda: f"{counted(len(approved), 'statement')} approved, {count} posted{later}", as_json=as_json)
    return ExitCode.OK


@billing_work
def void(
    environ: Mapping[str, str], *, period: Period, payee: Sequence[str], actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Void waiting statements: in review or held."""
    voided = [
        each
        for state in ("in_review", "held")
        for each in _move(environ, period, payee, state, Move("voided", actor, reason), least=0)
    ]
    if not voided and (posted := _posted(environ, period, payee)):
        many = "1 is in the ledger and never changes" if posted == 1 else f"{posted} are in the ledger and never change"
        raise CommandError(
            f"no statement{_of(payee)} in period {period} is in review or held; {many}: "
            f"`billing restate --period {period} --cause TEXT` replaces what was wrong",
            ExitCode.REFUSED,
        )
    _refuse_nothing(voided, period, payee, "in review or held")
    show({"voided_count": len(voided)}, lambda: f"{counted(len(voided), 'statement')} voided", as_json=as_json)
    return ExitCode.OK


@billing_work
def review(
    environ: Mapping[str, str], *, period: Period, payee: Sequence[str], actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Put held statements into review, from where they can be approved."""
    moved = _move(environ, period, payee, "held", Move("in_review", actor, reason))
    show({"in_review_count": len(moved)}, lambda: f"{counted(len(moved), 'statement')} in review now", as_json=as_json)
    return ExitCode.OK


def _move(
    environ: Mapping[str, str], period: Period, payees: Sequence[str], from_state: str, move: Move, *, least: int = 1
) -> list[Statement]:
    """Move the period's statements (of the named payees) that are in a state."""
    connect = billing_connector(environ, APPROVER_ROLE)
    check_payees(connect, payees, "--payee")
    states = PostgresStates(connect)
    found = [
        statement
        for statement, _ in PostgresStatements(connect).in_state(from_state, period)
        if not payees or statement.payee_id in payees
    ]
    if len(found) < least:
        _refuse_nothing(found, period, payees, from_state)
    for statement in found:
        states.move("statement", statement.statement_id, move)
    return found


def _posted(environ: Mapping[str, str], period: Period, payees: Sequence[str]) -> int:
    """Return how many statements of the period (of the named payees) the ledger holds."""
    reader = PostgresStatements(billing_connector(environ, APPROVER_ROLE))
    found = [statement for state in sorted(POSTED) for statement, _ in reader.in_state(state, period)]
    return sum(not payees or statement.payee_id in payees for statement in found)


def _of(payees: Sequence[str]) -> str:
    return f" of {', '.join(payees)}" if payees else ""


def _refuse_nothing(found: list[Statement], period: Period, payees: Sequence[str], state: str) -> None:
    if not found:
        raise CommandError(
            f"no statement{_of(payees)} in period {period} is {state}; `billing statements list` lists them",
            ExitCode.REFUSED,
        )


@billing_work
def list_notices(environ: Mapping[str, str], *, payee: str | None, as_json: bool) -> ExitCode:
    """Print the notices."""
    check_payees(billing_connector(environ), [] if payee is None else [payee], "--payee")
    found = PostgresStatements(billing_connector(environ)).notices(payee)
    rows = [
        (
            f"{each.noticed_at:%Y-%m-%d}",
            each.payee_id,
            str(each.period),
            each.cause,
            ", ".join(f"{name} {amount_text(part, '').rstrip()}" for name, part in (each.causes or {}).items()),
            amount_text(each.delta_micros, each.currency),
        )
        for each in found
    ]
    document = {
        "notices": [
            vars(each) | {"period": str(each.period), "noticed_at": each.noticed_at.isoformat()} for each in found
        ]
    }
    header = ("day", "payee", "period", "cause", "of it by", "difference")
    show(document, lambda: aligned(header, rows, left=5) if rows else "there are no notices", as_json=as_json)
    return ExitCode.OK
