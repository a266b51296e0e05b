"""Statements and ledger transactions as rows of PostgreSQL, both ways."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from billing.books.posting import LedgerTransaction
from billing.books.runs import BillingRun
from billing.books.statements import Planned, Statement
from billing.books.states import Move
from billing.postgres_session import Cell, copy_rows
from ingestion.contract.periods import Period

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

STATEMENT = (
    "{s}statement_id, {s}run_id, {s}payee_id, {s}period_start_on, {s}period_end_on, {s}restatement_number, "
    "{s}supersedes, {s}currency, {s}inputs_hash, {s}carried_nanomicros_before, {s}carried_nanomicros_after, "
    "{s}over_cap_micros, {s}tax_country, {s}tax_micros, {s}payable_micros, {s}billable_views, {s}line_count, "
    "{s}outcomes, {s}causes"
)
STATEMENT_COLUMNS = STATEMENT.format(s="")
STATEMENT_OF_S = STATEMENT.format(s="s.")


def state_of(kind: str, subject: str) -> str:
    """Return SQL for a subject's state: read from its own steps, where `current_states` reads those of its kind."""
    return (
        f"(SELECT to_state FROM billing.transitions t WHERE t.subject_kind = '{kind}' "
        f"AND t.subject_id = {subject} ORDER BY transition_index DESC LIMIT 1)"
    )


STATE_OF_S = state_of("statement", "s.statement_id")
IS_PENDING_HOLD = f"h.expires_at > now() AND {state_of('hold', 'h.hold_id')} = 'pending'"
"""SQL of whether the hold `h` keeps its amount out of payouts now."""
_WIDTH = STATEMENT_COLUMNS.count(",") + 1

_AUDIT_COLUMNS = (
    "statement_id, line_index, video_id, owned_from_on, owned_to_on, share_ppm, effective_from_on, country, kind, "
    "tier_index, event_start, event_end, quantity, rate_per_thousand_micros, amount_micros, carried_nanomicros, "
    "currency, period_start_on, period_end_on, calculated_at, batch_version, policy_version, "
    "catalogue_version, contract_version, settled_views, provisional_views, evidence_root"
)
_TRANSITION_COLUMNS = "subject_kind, subject_id, transition_index, from_state, to_state, actor, reason"
_TRANSACTION_COLUMNS = (
    "transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency, reverses, entry_count, effective_at, "
    "statement_id, payee_sequence, carried_nanomicros_before, carried_nanomicros_after, remainder_micros"
)


def statement_of(row: Sequence[Any]) -> tuple[Statement, Sequence[Any]]:
    """Return the statement whose columns a row begins with, and the rest of the row."""
    cells: list[Any] = [*row[:3], Period(*row[3:5]), *row[5:_WIDTH]]
    return Statement(*cells), row[_WIDTH:]


def copy_statements(cursor: "Cursor", run: BillingRun, planned: Iterable[Planned]) -> None:
    """Store new statements with their lines."""
    new = list(planned)
    copy_rows(cursor, "billing.statements", STATEMENT_COLUMNS, (_statement_row(each.statement) for each in new))
    copy_rows(cursor, "billing.payment_audit", _AUDIT_COLUMNS, (row for each in new for row in _audit_rows(run, each)))


def copy_transitions(cursor: "Cursor", rows: Iterable[tuple[Cell, ...]]) -> None:
    """Append steps: kind, subject, index, from, to, actor, reason."""
    copy_rows(cursor, "billing.transitions", _TRANSITION_COLUMNS, rows)


def append_steps(cursor: "Cursor", statement_ids: Sequence[str], move: Move) -> None:
    """Append the same step to several statements, each from its own state."""
    if statement_ids:
        cursor.execute(
            "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor, "
            "reason) SELECT subject_kind, subject_id, transition_index + 1, state, %s, %s, %s "
            "FROM billing.current_states WHERE subject_kind = 'statement' AND subject_id = ANY (%s)",
            (move.to_state, move.actor, move.reason, list(statement_ids)),
        )


def copy_transactions(cursor: "Cursor", transactions: Sequence[LedgerTransaction]) -> None:
    """Post transactions with their entries."""
    copy_rows(cursor, "billing.transactions", _TRANSACTION_COLUMNS, map(_transaction_row, transactions))
    entries = (
        (each.transaction_id, index, entry.account, entry.amount_micros)
        for each in transactions
        for index, entry in enumerate(each.entries)
    )
    copy_rows(cursor, "billing.entries", "transaction_id, entry_index, account, amount_micros", entries)


def _statement_row(each: Statement) -> tuple[Cell, ...]:
    return (
        each.statement_id,
        each.run_id,
        each.payee_id,
        each.period.start_on,
        each.period.end_on,
        each.restatement_number,
        each.supersedes,
        each.currency,
        each.inputs_hash,
        each.carried_nanomicros_before,
        each.carried_nanomicros_after,
        each.over_cap_micros,
        each.tax_country,
        each.tax_micros,
        each.payable_micros,
        each.billable_views,
        each.line_count,
        json.dumps(dict(each.outcomes)),
        None if each.causes is None else json.dumps(dict(each.causes)),
    )


def _audit_rows(run: BillingRun, planned: Planned) -> Iterator[tuple[Cell, ...]]:
    statement = planned.statement
    for index, settled in enumerate(planned.lines):
        line = settled.line
        yield (
            statement.statement_id,
            index,
            line.video_id,
            line.owned_from_on,
            line.owned_to_on,
            line.share_ppm,
            line.effective_from_on,
            line.country,
            line.kind,
            line.tier_index,
            line.event_start,
            line.event_end,
            line.quantity,
            line.rate_per_thousand_micros,
            settled.amount_micros,
            settled.carried_nanomicros,
            statement.currency,
            run.period.start_on,
            run.period.end_on,
            run.calculated_at,
            run.batch_version,
            line.policy_version,
            run.catalogue_version,
            run.contract_version,
            line.settled_views,
            0,  # provisional views: money never rests on them
            line.evidence_root,
        )


def _transaction_row(each: LedgerTransaction) -> tuple[Cell, ...]:
    chained = each.chained
    return (
        each.transaction_id,
        each.idempotency_key,
        each.inputs_hash,
        each.kind,
        each.payee_id,
        each.currency,
        each.reverses,
        len(each.entries),
        each.effective_at,
        chained.statement_id if chained else None,
        chained.payee_sequence if chained else None,
        chained.carried_nanomicros_before if chained else None,
        chained.carried_nanomicros_after if chained else None,
        chained.remainder_micros if chained else 0,
    )
