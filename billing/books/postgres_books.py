"""Statements and the ledger in PostgreSQL (schema `billing`). The database itself refuses what would break them; see
the migrations `statements`, `states`, `ledger` and `causes`."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from billing.books.book_ports import Balance, Finalised, LedgerTotals, PayeeRange, RestsOn, RunTotals
from billing.books.bounds import PastStatement
from billing.books.postgres_causes import posting_problems
from billing.books.postgres_finalising import finalise_group
from billing.books.postgres_periods import beyond_whole, is_unfinished, refuse_run, rests_on
from billing.books.postgres_statement_rows import (
    STATE_OF_S,
    STATEMENT_OF_S,
    append_steps,
    copy_statements,
    copy_transitions,
    statement_of,
)
from billing.books.runs import BillingRun
from billing.books.statements import PayeeState, Planned, Statement, payee_state, plan_group
from billing.books.states import OPEN, Move, Transition
from billing.errors import DatabaseRefusedError, PostingConflictError
from billing.postgres_session import Answer, Connect, alone, one_transaction
from billing.rating.rated_lines import PayeeBill
from ingestion.contract.periods import Period
from ingestion.contract.refusals import DatabaseRule

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_INSERT_RUN = """
    INSERT INTO billing.runs (run_id, kind, period_start_on, period_end_on, currency, restatement_number, cause,
        batch_version, catalogue_version, contract_version, unattributed_views, unrated_views, actor,
        approval_limit_micros, bounds, calculated_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (run_id) DO NOTHING"""
_RESTATEMENTS = """
    SELECT restatement_number, batch_version, catalogue_version, contract_version FROM billing.runs
    WHERE period_start_on = %s AND period_end_on = %s ORDER BY restatement_number DESC LIMIT 1"""
_RANGE = """payee_id COLLATE "C" > %(after)s AND (%(until)s IS NULL OR payee_id COLLATE "C" <= %(until)s)"""
_STATEMENTS = f"""
    SELECT {STATEMENT_OF_S}, {STATE_OF_S} FROM billing.statements s
    WHERE period_start_on = %(start)s AND period_end_on = %(end)s AND {_RANGE} ORDER BY restatement_number"""
_PAST = f"""
    SELECT payee_id, period_start_on, period_end_on, payable_micros + tax_micros, billable_views
    FROM billing.statements s
    WHERE currency = %(currency)s AND period_end_on <= %(start)s AND period_end_on > %(start)s - 400 AND {_RANGE}
      AND {STATE_OF_S} IN ('finalised', 'paid')
    ORDER BY period_end_on DESC"""
_CARRIED = """
    SELECT wanted.payee_id, head.carried_nanomicros_after
    FROM unnest(%s::text[]) AS wanted (payee_id) CROSS JOIN LATERAL (
        SELECT carried_nanomicros_after FROM billing.transactions
        WHERE payee_id = wanted.payee_id AND currency = %s AND payee_sequence IS NOT NULL
        ORDER BY payee_sequence DESC LIMIT 1) AS head"""
_PERIOD_EARNED = f"""
    SELECT coalesce(sum(payable_micros::numeric + tax_micros), 0) FROM billing.statements s
    WHERE period_start_on = %s AND period_end_on = %s AND {STATE_OF_S} NOT IN ('voided', 'superseded')"""
_PAST_EARNED = """
    SELECT sum(payable_micros::numeric + tax_micros)
    FROM billing.statements JOIN billing.transactions t USING (statement_id)
    WHERE t.kind IN ('statement', 'suspense') AND t.currency = %s AND period_end_on <= %s
      AND NOT EXISTS (SELECT 1 FROM billing.transactions r WHERE r.reverses = t.transaction_id)
    GROUP BY period_start_on, period_end_on ORDER BY period_end_on DESC LIMIT 6"""
_DECISIONS = """
    SELECT DISTINCT ON (subject_id) subject_id, from_state, to_state, actor, reason, moved_at
    FROM billing.transitions WHERE subject_kind = %s AND subject_id = ANY (%s)
    ORDER BY subject_id, transition_index DESC"""
_BILLED_PERIODS = "SELECT DISTINCT period_start_on, period_end_on FROM billing.runs ORDER BY period_start_on"
_RUNS_WITH_APPROVED = f"""
    SELECT DISTINCT s.run_id FROM billing.transitions a
    JOIN billing.statements s ON a.subject_kind = 'statement' AND s.statement_id = a.subject_id
    WHERE a.to_state = 'approved' AND {STATE_OF_S} = 'approved' ORDER BY s.run_id"""
_TOTALS = """
    WITH chained AS (
        SELECT *, CASE kind WHEN 'reversal' THEN -1 ELSE 1 END AS sign
        FROM billing.transactions WHERE statement_id IS NOT NULL
    ), heads AS (
        SELECT DISTINCT ON (payee_id, currency) payee_id, currency, carried_nanomicros_after
        FROM chained ORDER BY payee_id, currency, payee_sequence DESC
    ), carried AS (
        SELECT currency, count(*) AS payees, sum(carried_nanomicros_after) AS nanomicros FROM heads GROUP BY currency
    ), lines AS (
        SELECT t.currency, coalesce(sum(sign * quantity) FILTER (WHERE a.kind = 'views'), 0) AS views,
               coalesce(sum(sign * amount_micros), 0) AS micros,
               coalesce(sum(sign * rate_per_thousand_micros::numeric * quantity * share_ppm), 0) AS owed
        FROM chained t LEFT JOIN billing.payment_audit a USING (statement_id) GROUP BY t.currency
    ), counted AS (
        SELECT currency, count(*) AS transactions, sum(remainder_micros) AS remainders FROM chained GROUP BY currency
    )
    SELECT currency, payees, transactions, views, micros + remainders, nanomicros, owed
    FROM counted JOIN carried USING (currency) JOIN lines USING (currency) ORDER BY currency"""
_BALANCES = """
    SELECT account, currency, balance_micros FROM billing.balances(%s, %s) ORDER BY currency, account COLLATE "C" """


class PostgresBooks:
    """Implements `billing.books.book_ports.Books`.

    Writers exclude each other by a lock that PostgreSQL frees when the connection ends; see `postgres_session.alone`.
    """

    def __init__(self, connect: Connect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep

    def begin(self, run: BillingRun) -> BillingRun:
        """Store a run; see the port."""
        return self._alone(lambda cursor: _begin(cursor, run))

    def rests_on(self, period: Period) -> RestsOn | None:
        """Return the versions that the ledger's statements of a period rest on; see the port."""
        with one_transaction(self._connect) as cursor:
            return rests_on(cursor, period)

    def restatement_number(self, run: BillingRun) -> int:
        """Return the restatement number of a run made now."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_RESTATEMENTS, (run.period.start_on, run.period.end_on))
            newest = cursor.fetchone()
        if newest is None:
            return 0
        wanted = (run.batch_version, run.catalogue_version, run.contract_version)
        return int(newest[0]) if newest[0] and newest[1:] == wanted else int(newest[0]) + 1

    def calculate(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        """Store the statements of a group; see the port."""
        return self._alone(lambda cursor: _calculate(cursor, run, bills, payees))

    def preview(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        """Return what `calculate` would do now."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT billing.approval_limit(%s)", (run.currency,))
            (limit_micros,) = cursor.fetchone() or (0,)
            run = replace(run, approval_limit_micros=min(run.approval_limit_micros, limit_micros))
            return plan_group(run, bills, _read_states(cursor, run, bills, payees))

    def run_totals(self, run: BillingRun) -> RunTotals:
        """Return the totals of the run's period and of earlier periods."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_PERIOD_EARNED, (run.period.start_on, run.period.end_on))
            (earned_micros,) = cursor.fetchone() or (0,)
            cursor.execute(_PAST_EARNED, (run.currency, run.period.start_on))
            return RunTotals(int(earned_micros), tuple(int(row[0]) for row in cursor))

    def finalise(self, run_id: str, after: str, count_max: int) -> Finalised:
        """Post the next statements of a run; see the port."""
        try:
            return self._alone(lambda cursor: finalise_group(cursor, run_id, after, count_max))
        except DatabaseRefusedError as error:
            if not error.is_by(DatabaseRule.SHARE_PAID_ONCE):
                raise
            raise PostingConflictError([error.sentence]) from error

    def decisions(self, kind: str, places: Sequence[str]) -> Mapping[str, Transition]:
        """Return the decisions about events by their place; see the port."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_DECISIONS, (kind, list(places)))
            return {place: Transition(*step) for place, *step in cursor}

    def billed_periods(self) -> list[Period]:
        """Return every period that was ever billed, by its first day."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_BILLED_PERIODS)
            return [Period(*row) for row in cursor]

    def is_unfinished(self, period: Period) -> bool:
        """Return whether a self-approving statement was not posted, or none was posted at all."""
        with one_transaction(self._connect) as cursor:
            return is_unfinished(cursor, period)

    def runs_with_approved(self) -> list[str]:
        """Return the runs with approved statements that are not posted yet."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_RUNS_WITH_APPROVED)
            return [row[0] for row in cursor]

    def beyond_whole(self) -> list[str]:
        """Return a sentence for every video that is paid for more than once."""
        with one_transaction(self._connect) as cursor:
            return beyond_whole(cursor)

    def totals(self) -> list[LedgerTotals]:
        """Return one row per currency, in its order."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_TOTALS)
            return [LedgerTotals(row[0], *map(int, row[1:])) for row in cursor]

    def problems(self) -> list[str]:
        """Return a sentence for each transaction without a cause, and for each video that is paid more than once."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return [*posting_problems(cursor), *beyond_whole(cursor)]

    def balances(self, *, posted_before: datetime, effective_until: datetime) -> list[Balance]:
        """Return the books as they stood."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_BALANCES, (posted_before, effective_until))
            return [Balance(*row) for row in cursor]

    def _alone(self, work: "Callable[[Cursor], Answer]") -> Answer:
        return alone(self._connect, work, self._sleep)


def _begin(cursor: "Cursor", run: BillingRun) -> BillingRun:
    refuse_run(cursor, run)
    cursor.execute(
        _INSERT_RUN,
        (
            run.run_id,
            run.kind,
            run.period.start_on,
            run.period.end_on,
            run.currency,
            run.restatement_number,
            run.cause,
            run.batch_version,
            run.catalogue_version,
            run.contract_version,
            run.unknown_views,
            run.unrated_views,
            run.actor,
            run.approval_limit_micros,
            json.dumps(run.bounds.to_document()),
            run.calculated_at,
        ),
    )
    cursor.execute("SELECT approval_limit_micros FROM billing.runs WHERE run_id = %s", (run.run_id,))
    (limit_micros,) = cursor.fetchone() or (0,)
    return replace(run, approval_limit_micros=limit_micros)


def _calculate(cursor: "Cursor", run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
    # 1. read what the books hold, and plan
    planned = plan_group(run, bills, _read_states(cursor, run, bills, payees))
    new = [each for each in planned if each.is_new]
    # 2. write statements, lines and first steps; 3. the commit makes them visible together
    if new:
        copy_statements(cursor, run, new)
        copy_transitions(cursor, (row for each in new for row in _first_steps(each)))
        _supersede(cursor, [each.replaced.statement_id for each in new if each.replaced], run.run_id)
    return planned


def _first_steps(planned: Planned) -> list[tuple[str | int, ...]]:
    states = [OPEN, *(move.to_state for move in planned.moves)]
    return [
        ("statement", planned.statement.statement_id, index, states[index], move.to_state, move.actor, move.reason)
        for index, move in enumerate(planned.moves)
    ]


def _supersede(cursor: "Cursor", statement_ids: Sequence[str], run_id: str) -> None:
    append_steps(cursor, statement_ids, Move("superseded", "run", f"recalculated by run {run_id}"))


def _read_states(
    cursor: "Cursor", run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange
) -> dict[str, PayeeState]:
    """Return the state of every payee of the range that the books know."""
    wanted = {
        "start": run.period.start_on,
        "end": run.period.end_on,
        "currency": run.currency,
        "after": payees.after,
        "until": payees.until,
    }
    cursor.execute(_STATEMENTS, wanted)
    statements = defaultdict[str, list[tuple[Statement, str]]](list)
    for row in cursor:
        statement, (state,) = statement_of(row)
        statements[statement.payee_id].append((statement, state))
    cursor.execute(_PAST, wanted)
    past = defaultdict[str, list[PastStatement]](list)
    for payee_id, start_on, end_on, earned_micros, billable_views in cursor:
        past[payee_id].append(PastStatement(f"{start_on}/{end_on}", earned_micros, billable_views))
    known = statements.keys() | past.keys() | {bill.payee_id for bill in bills}
    cursor.execute(_CARRIED, (list(known), run.currency))
    carried = dict(cursor.fetchall())
    return {
        payee_id: payee_state(statements.get(payee_id, []), carried.get(payee_id, 0), past.get(payee_id, []))
        for payee_id in known
    }
