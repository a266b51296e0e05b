"""Posts statements of a run that approve themselves or were approved, in one database transaction of PostgreSQL."""

from typing import TYPE_CHECKING

from billing.books.book_ports import Finalised
from billing.books.postgres_statement_rows import (
    STATE_OF_S,
    STATEMENT_OF_S,
    copy_transactions,
    copy_transitions,
    statement_of,
)
from billing.books.posting import CarryHead, Finalising, finalise
from billing.books.states import RUN
from billing.postgres_session import Cell, copy_rows

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_READY = f"""
    SELECT {STATEMENT_OF_S}, stands.state, stands.transition_index, head.payee_sequence, head.carried_nanomicros_after
    FROM billing.statements s
    CROSS JOIN LATERAL (
        SELECT to_state AS state, transition_index FROM billing.transitions t
        WHERE t.subject_kind = 'statement' AND t.subject_id = s.statement_id
        ORDER BY transition_index DESC LIMIT 1) AS stands
    LEFT JOIN LATERAL (
        SELECT payee_sequence, carried_nanomicros_after FROM billing.transactions t
        WHERE t.payee_id = s.payee_id AND t.currency = s.currency AND payee_sequence IS NOT NULL
        ORDER BY payee_sequence DESC LIMIT 1) AS head ON true
    WHERE s.run_id = %s AND s.payee_id COLLATE "C" > %s AND stands.state IN ('calculated', 'approved')
    ORDER BY s.payee_id COLLATE "C" LIMIT %s"""
_REPLACED = f"""
    SELECT {STATEMENT_OF_S}, newer.statement_id,
           (SELECT max(transition_index) FROM billing.transitions t
            WHERE t.subject_kind = 'statement' AND t.subject_id = s.statement_id), {STATE_OF_S}
    FROM billing.statements newer
    JOIN billing.statements s ON s.payee_id = newer.payee_id AND s.period_start_on = newer.period_start_on
         AND s.period_end_on = newer.period_end_on AND s.statement_id <> newer.statement_id
    WHERE newer.statement_id = ANY (%s) AND {STATE_OF_S} IN ('finalised', 'paid')"""


def finalise_group(cursor: "Cursor", run_id: str, after: str, count_max: int) -> Finalised:
    """Do one step of `billing.books.book_ports.Books.finalise`, under the ledger's lock."""
    # 1. what is ready, and the end of each payee's chain
    cursor.execute(_READY, (run_id, after, count_max))
    ready = [statement_of(row) for row in cursor]
    if not ready:
        return Finalised()
    # 2. what it replaces in the ledger
    cursor.execute(_REPLACED, ([statement.statement_id for statement, _ in ready if statement.supersedes],))
    replaced = {rest[0]: (statement, rest[1], rest[2]) for statement, rest in map(statement_of, cursor)}
    steps: list[tuple[Cell, ...]] = []
    transactions = []
    notices: list[tuple[Cell, ...]] = []
    for statement, (state, index, sequence, carried) in ready:
        old = replaced.get(statement.statement_id)
        head = CarryHead(sequence or 0, carried or 0)
        transactions += finalise(Finalising(statement, head, old[0] if old else None))
        subject = ("statement", statement.statement_id)
        if state == "calculated":
            steps.append((*subject, index + 1, state, "approved", RUN, "within the bounds and the approval limit"))
            index += 1
        steps.append((*subject, index + 1, "approved", "finalised", RUN, ""))
        if old is not None:
            reason = f"replaced by statement {statement.statement_id}"
            steps.append(("statement", old[0].statement_id, old[1] + 1, old[2], "superseded", RUN, reason))
            notices.append((statement.payee_id, statement.statement_id, statement.earned_micros - old[0].earned_micros))
    # 3. write; the commit makes it visible together
    copy_transactions(cursor, transactions)
    copy_transitions(cursor, steps)
    copy_rows(cursor, "billing.notices", "payee_id, statement_id, delta_micros", notices)
    earned_micros = sum(statement.earned_micros for statement, _ in ready)
    return Finalised(len(ready), earned_micros, ready[-1][0].payee_id)
