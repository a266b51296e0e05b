"""`./viewledger billing statement | statements | approve | void | show | books`: what was calculated and posted."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run
from billing.books.statements import Statement
from billing.books.states import ALLOWED, Move
from billing.errors import RoleRefusedError
from billing.money import amount_text
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_payees import check_payees
from jobs.commands.billing.statement_tables import statement_json, statement_text
from jobs.commands.billing.tables import aligned, totals_json, totals_text
from jobs.commands.flags import day_of, whole_number
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    APPROVER_ROLE,
    Actions,
    actor_of,
    add_action,
    add_actor,
    add_period,
    add_reason,
    billing_connector,
    payees_of,
    period_of,
    reason_of,
    show,
)

RESTATEMENT_MAX = 2**31 - 1


def add_actions(actions: Actions) -> None:
    """Declare the actions on statements and the ledger."""
    one = add_action(actions, "statement", show_statement, "one payee's statement, line by line, and its steps")
    one.add_argument("--payee", required=True, metavar="ID")
    add_period(one)
    one.add_argument("--restatement", type=whole_number, metavar="N", help="0 is the first; default: the newest")
    states = sorted(ALLOWED["statement"].keys() - {"open"} | {"superseded"})
    many = add_action(actions, "statements", list_statements, "the statements that stand in a state")
    many.add_argument("--state", choices=states, default="in_review", help="default: in_review")
    add_period(many, required=False)
    for name, work, text in (
        ("approve", approve, "approve statements that wait in review, and post them"),
        ("void", void, "void statements that are not posted: nothing will be paid for them"),
        ("review", review, "put statements that were held into review"),
    ):
        action = add_action(actions, name, work, text)
        add_period(action)
        action.add_argument(
            "--payee", action="append", metavar="ID", help="may be repeated; default: all of the period"
        )
        add_actor(action, "who decides; above the approval limit not who ran it")
        add_reason(action, required=False)
    notices = add_action(actions, "notices", list_notices, "notices to payees about restatements")
    notices.add_argument("--payee", metavar="ID", help="default: of all payees")
    add_action(actions, "show", show_totals, "all that was ever posted, and whether it adds up")
    books = add_action(actions, "books", show_books, "every account's balance, now or as the books stood on a day")
    books.add_argument("--as-of", metavar="DAY", help="what was posted up to the end of this UTC day")
    books.add_argument("--effective", metavar="DAY", help="only what was effective up to the end of this UTC day")


def show_statement(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print a statement with its steps."""
    period, connect = period_of(arguments), billing_connector(environ)
    check_payees(connect, payees_of(arguments), "--payee")
    if arguments.restatement is not None and not 0 <= arguments.restatement <= RESTATEMENT_MAX:
        raise CommandError(f"--restatement must be from 0 to {RESTATEMENT_MAX}", ExitCode.BAD_INPUT)
    reader = PostgresStatements(connect)
    posted = reader.statement(arguments.payee, period, arguments.restatement)
    if posted is None:
        raise CommandError(
            f"there is no statement for payee {arguments.payee!r} and period {period}; `billing run` makes them",
            ExitCode.REFUSED,
        )
    steps = reader.transitions("statement", posted.statement.statement_id)
    name = PostgresCatalogueStore(connect).payee_name(arguments.payee) or ""
    document = statement_json(posted) | {
        "transitions": [
            {"to": each.to_state, "at": each.moved_at.isoformat(), "actor": each.actor, "reason": each.reason}
            for each in steps
        ]
    }
    rows = [(f"{each.moved_at:%Y-%m-%d %H:%M:%S}", each.to_state, each.actor, each.reason) for each in steps]
    text = "\n\n" + aligned(("at (UTC)", "step", "by", "reason"), rows, left=4)
    show(arguments, document, lambda: statement_text(posted, name) + text)
    return ExitCode.OK


def list_statements(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print the statements in one state."""
    period = period_of(arguments) if arguments.period else None
    found = PostgresStatements(billing_connector(environ)).in_state(arguments.state, period)
    rows = [
        (str(each.period), each.payee_id, str(each.restatement_number), amount_text(each.earned_micros, each.currency))
        for each, _ in found
    ]
    document = {"state": arguments.state, "statements": [_row_json(each) for each, _ in found]}
    header = ("period", "payee", "restatement", "amount")
    show(arguments, document, lambda: aligned(header, rows, left=2) if rows else f"no statement is {arguments.state}")
    return ExitCode.OK


def _row_json(statement: Statement) -> dict[str, Any]:
    return {
        "statement_id": statement.statement_id,
        "period": str(statement.period),
        "payee_id": statement.payee_id,
        "restatement_number": statement.restatement_number,
        "currency": statement.currency,
        "amount_micros": statement.earned_micros,
    }


def approve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Approves in the role of the approver, then posts in the role of billing."""
    approved = _move(arguments, environ, "in_review", "approved")
    books = PostgresBooks(billing_connector(environ))
    try:
        posted = [finalise_run(run_id, books) for run_id in sorted({each.run_id for each in approved})]
    except RoleRefusedError:
        posted = []  # who approves need not have the right to post; `billing nightly` posts what was approved
    count = sum(each.statement_count for each in posted)
    document = {
        "approved_count": len(approved),
        "posted_count": count,
        "amount_micros": sum(each.earned_micros for each in posted),
    }
    later = "" if posted else "; whoever bills posts them, at the latest by `billing nightly`"
    if posted and count < len(approved):
        later = "; a restatement is posted as a whole, when none of its statements waits"
    show(arguments, document, lambda: f"{len(approved)} statements approved, {count} posted{later}")
    return ExitCode.OK


def void(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Voids what waits: in review or held."""
    voided = [each for state in ("in_review", "held") for each in _move(arguments, environ, state, "voided", least=0)]
    _refuse_nothing(voided, arguments, "in review or held")
    show(arguments, {"voided_count": len(voided)}, lambda: f"{len(voided)} statements voided")
    return ExitCode.OK


def review(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Put held statements into review, from where they can be approved."""
    moved = _move(arguments, environ, "held", "in_review")
    show(arguments, {"in_review_count": len(moved)}, lambda: f"{len(moved)} statements are in review")
    return ExitCode.OK


def _move(
    arguments: argparse.Namespace, environ: Mapping[str, str], from_state: str, to_state: str, *, least: int = 1
) -> list[Statement]:
    """Move the period's statements (of the named payees) that stand in a state."""
    connect = billing_connector(environ, APPROVER_ROLE)
    check_payees(connect, payees_of(arguments), "--payee")
    states = PostgresStates(connect)
    wanted = set(arguments.payee or ())
    found = [
        statement
        for statement, _ in PostgresStatements(connect).in_state(from_state, period_of(arguments))
        if not wanted or statement.payee_id in wanted
    ]
    if len(found) < least:
        _refuse_nothing(found, arguments, from_state)
    move = Move(to_state, actor_of(arguments), reason_of(arguments))
    for statement in found:
        states.move("statement", statement.statement_id, move)
    return found


def _refuse_nothing(found: list[Statement], arguments: argparse.Namespace, state: str) -> None:
    if not found:
        of_payees = f" of {', '.join(arguments.payee)}" if arguments.payee else ""
        raise CommandError(
            f"no statement{of_payees} in period {period_of(arguments)} is {state}; `billing statements` lists them",
            ExitCode.REFUSED,
        )


def list_notices(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print the notices."""
    check_payees(billing_connector(environ), payees_of(arguments), "--payee")
    found = PostgresStatements(billing_connector(environ)).notices(arguments.payee)
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
    show(arguments, document, lambda: aligned(header, rows, left=5) if rows else "there are no notices")
    return ExitCode.OK


def show_totals(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print what was ever posted; exits DIFFERENCE when it does not add up, or when a transaction has no cause."""
    books = PostgresBooks(billing_connector(environ))
    totals, problems = books.totals(), books.problems()
    document = totals_json(totals) | ({"problems": problems} if problems else {})
    show(arguments, document, lambda: "\n".join([totals_text(totals), *problems]))
    return ExitCode.DIFFERENCE if problems or any(each.difference_nanomicros for each in totals) else ExitCode.OK


def show_books(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print the balance of every account; exits DIFFERENCE when they do not sum to zero."""
    posted_before = _after_day(arguments.as_of, "--as-of")
    effective_until = _after_day(arguments.effective, "--effective")
    balances = PostgresBooks(billing_connector(environ)).balances(
        posted_before=posted_before, effective_until=effective_until
    )
    rows = [(each.account, amount_text(each.balance_micros, each.currency)) for each in balances]
    document = {
        "as_of": arguments.as_of,
        "effective": arguments.effective,
        "balances": [vars(each) for each in balances],
    }
    show(arguments, document, lambda: aligned(("account", "balance"), rows) if rows else "the books are empty")
    sums: dict[str, int] = {}
    for each in balances:
        sums[each.currency] = sums.get(each.currency, 0) + each.balance_micros
    return ExitCode.DIFFERENCE if any(sums.values()) else ExitCode.OK


def _after_day(text: str | None, flag: str) -> datetime:
    if text is None:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(day_of(flag, text) + timedelta(days=1), time(), UTC)
