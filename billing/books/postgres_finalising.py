"""Post approved and self-approving statements of a run, in one database transaction of PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from billing.books.book_ports import Finalised
from billing.books.postgres_periods import rests_on
from billing.books.postgres_statement_rows import (
    STATE_OF_S,
    STATEMENT_OF_S,
    copy_transactions,
    copy_transitions,
    statement_of,
)
from billing.books.posting import CarryHead, Finalising, finalise
from billing.books.statements import Statement
from billing.books.states import RUN
from billing.errors import PostingConflictError
from billing.postgres_session import Cell, copy_rows
from ingestion.contract.periods import Period

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

Ready = tuple[Statement, Sequence[Any]]
"""A statement with its state and the index of its newest step, and the end of its payee's chain."""
_ROWS = f"""
    SELECT {STATEMENT_OF_S}, stands.state, stands.transition_index, head.payee_sequence, head.carried_nanomicros_after
    FROM billing.statements s JOIN billing.runs r USING (run_id)
    CROSS JOIN LATERAL (
        SELECT to_state AS state, transition_index FROM billing.transitions t
        WHERE t.subject_kind = 'statement' AND t.subject_id = s.statement_id
        ORDER BY transition_index DESC LIMIT 1) AS stands
    LEFT JOIN LATERAL (
        SELECT payee_sequence, carried_nanomicros_after FROM billing.transactions t
        WHERE t.payee_id = s.payee_id AND t.currency = s.currency AND payee_sequence IS NOT NULL
        ORDER BY payee_sequence DESC LIMIT 1) AS head ON true
    WHERE s.payee_id COLLATE "C" > %(after)s"""
_READY = f"""{_ROWS} AND s.run_id = %(run)s AND stands.state IN ('calculated', 'approved')
    ORDER BY s.payee_id COLLATE "C" LIMIT %(most)s"""
_RESTATED = """ r.kind = 'restatement' AND (r.period_start_on, r.period_end_on) IN (
        SELECT period_start_on, period_end_on FROM billing.runs WHERE run_id = %(run)s)"""
_READY_RESTATED = f"""{_ROWS} AND {_RESTATED} AND stands.state = 'approved'
    ORDER BY s.payee_id COLLATE "C" LIMIT %(most)s"""
_WAITING = f"""
    SELECT 1 FROM billing.runs r JOIN billing.statements s USING (run_id)
    WHERE {_RESTATED} AND {STATE_OF_S} IN ('calculated', 'in_review', 'held') LIMIT 1"""
_VOIDED = f"""
    SELECT s.payee_id, r.restatement_number FROM billing.runs r JOIN billing.statements s USING (run_id)
    WHERE {_RESTATED} AND {STATE_OF_S} = 'voided'
      AND (r.catalogue_version, r.contract_version) <> (%(catalogue)s, %(contract)s)
      AND EXISTS (SELECT 1 FROM billing.statements o JOIN billing.current_states c ON c.subject_id = o.statement_id
                  WHERE o.run_id = r.run_id AND c.subject_kind = 'statement' AND c.state = 'approved')
      AND NOT EXISTS (SELECT 1 FROM billing.statements n WHERE n.supersedes = s.statement_id)
    ORDER BY s.payee_id COLLATE "C" LIMIT 1"""
_PERIOD = "SELECT period_start_on, period_end_on FROM billing.runs WHERE run_id = %s"
_KIND = "SELECT kind FROM billing.runs WHERE run_id = %s"
_BEYOND = "SELECT statement_id, video_id, day, share_ppm FROM billing.statements_beyond_whole(%s)"
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
    cursor.execute(_KIND, (run_id,))
    if cursor.fetchone() == ("restatement",):
        return _finalise_restated(cursor, run_id, count_max)
    cursor.execute(_READY, {"run": run_id, "after": after, "most": count_max})
    ready = [statement_of(row) for row in cursor]
    held = _hold_what_is_paid_already(cursor, ready)
    reasons = tuple(
        (statement.payee_id, held[statement.statement_id]) for statement, _ in ready if _is_in(statement, held)
    )
    posted = _post(cursor, [each for each in ready if not _is_in(each[0], held)])
    return Finalised(posted.statement_count, posted.earned_micros, ready[-1][0].payee_id if ready else None, reasons)


def _finalise_restated(cursor: "Cursor", run_id: str, count_max: int) -> Finalised:
    """Post every approved statement of the period's restatements together, unless one of them still waits."""
    cursor.execute(_WAITING, {"run": run_id})
    if cursor.fetchone():
        return Finalised()
    _refuse_half_of_other_terms(cursor, run_id)
    total, after = Finalised(), ""
    while True:
        cursor.execute(_READY_RESTATED, {"run": run_id, "after": after, "most": count_max})
        ready = [statement_of(row) for row in cursor]
        if not ready:
            return total
        posted, after = _post(cursor, ready), ready[-1][0].payee_id
        total = Finalised(total.statement_count + posted.statement_count, total.earned_micros + posted.earned_micros)


def _refuse_half_of_other_terms(cursor: "Cursor", run_id: str) -> None:
    """Refuse to post a part of a restatement by other terms than the period's: all its payees change, or none."""
    cursor.execute(_PERIOD, (run_id,))
    known = rests_on(cursor, Period(*(cursor.fetchone() or ())))
    if known is None:
        return
    wanted = {"run": run_id, "catalogue": known.catalogue_version, "contract": known.contract_version}
    cursor.execute(_VOIDED, wanted)
    if voided := cursor.fetchone():
        raise PostingConflictError([voided_sentence(*voided)])


def voided_sentence(payee_id: str, number: int) -> str:
    """Return why a restatement by other terms cannot be posted in part."""
    return (
        f"restatement {number} goes by another catalogue or contract than the period, and the statement of payee "
        f"{payee_id} in it is voided: it is posted for everybody or for nobody; void the others too, or restate again"
    )


def _is_in(statement: Statement, held: Mapping[str, str]) -> bool:
    return statement.statement_id in held


def _hold_what_is_paid_already(cursor: "Cursor", ready: Sequence[Ready]) -> dict[str, str]:
    """Hold the statements that would pay a share that others are paid for; return the reason of each.

    The database would refuse them, and with them the whole group.
    """
    cursor.execute(_BEYOND, ([statement.statement_id for statement, _ in ready],))
    held: dict[str, str] = {}
    for statement_id, video_id, day, share_ppm in cursor.fetchall():
        held.setdefault(statement_id, paid_already_reason(video_id, day, share_ppm))
    steps = [
        ("statement", statement.statement_id, index + 1, state, "held", RUN, held[statement.statement_id])
        for statement, (state, index, *_) in ready
        if _is_in(statement, held)
    ]
    copy_transitions(cursor, steps)
    return held


def paid_already_reason(video_id: str, day: date, share_ppm: int) -> str:
    """Return why a statement is held that would pay for views that are already paid."""
    return (
        f"with it {share_ppm} parts per million of the views of video {video_id} on {day} would be paid, more than the "
        "whole of 1000000: other payees are paid for them; a restatement moves a share from one payee to another"
    )


def _post(cursor: "Cursor", ready: Sequence[Ready]) -> Finalised:
    if not ready:
        return Finalised()
    # 1. read the transactions that the statements replace
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
    # 2. write; the commit makes it visible together
    copy_transactions(cursor, transactions)
    copy_transitions(cursor, steps)
    copy_rows(cursor, "billing.notices", "payee_id, statement_id, delta_micros", notices)
    earned_micros = sum(statement.earned_micros for statement, _ in ready)
    return Finalised(len(ready), earned_micros)
