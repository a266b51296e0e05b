"""The ledger in PostgreSQL (schema `billing`). The database itself refuses what would break it; see 002_billing.sql."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from billing.errors import LedgerUnavailableError
from billing.ports import LedgerTotals
from billing.postgres_session import Cell, Connect, copy_rows, one_transaction
from billing.postgres_statement import read_statement
from billing.posting import (
    BillingRun,
    CarryHead,
    LedgerState,
    LedgerTransaction,
    PostedBefore,
    PostingResult,
    Statement,
    plan_posting,
)
from billing.rated_lines import PayeeBill
from ingestion.contract.periods import Period

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

RETRY_PAUSES_S = (0.5, 2.0, 5.0)

_POSTED = """
    SELECT t.transaction_id, t.run_id, t.payee_id, t.currency, t.inputs_hash,
           (SELECT sum(e.amount_micros) FROM billing.entries e
            WHERE e.transaction_id = t.transaction_id AND e.account = 'expense:creator-revenue')::bigint,
           t.carried_nanomicros_after
    FROM billing.transactions t JOIN billing.runs r USING (run_id)
    WHERE r.period_start_on = %s AND r.period_end_on = %s"""
_OVERLAPPING = """
    SELECT DISTINCT period_start_on, period_end_on FROM billing.runs
    WHERE period_start_on < %(end)s AND %(start)s < period_end_on
      AND (period_start_on, period_end_on) <> (%(start)s, %(end)s)"""
_HEADS = """
    SELECT wanted.payee_id, head.payee_sequence, head.carried_nanomicros_after
    FROM unnest(%s::text[]) AS wanted (payee_id) CROSS JOIN LATERAL (
        SELECT payee_sequence, carried_nanomicros_after FROM billing.transactions
        WHERE payee_id = wanted.payee_id AND currency = %s ORDER BY payee_sequence DESC LIMIT 1) AS head"""
_TOTALS = """
    WITH heads AS (
        SELECT DISTINCT ON (payee_id, currency) payee_id, currency, carried_nanomicros_after
        FROM billing.transactions ORDER BY payee_id, currency, payee_sequence DESC
    ), carried AS (
        SELECT currency, count(*) AS payees, sum(carried_nanomicros_after) AS nanomicros FROM heads GROUP BY currency
    ), lines AS (
        SELECT currency, coalesce(sum(quantity) FILTER (WHERE kind = 'views'), 0) AS views,
               sum(amount_micros) AS micros, sum(rate_per_thousand_micros::numeric * quantity * share_ppm) AS owed
        FROM billing.payment_audit GROUP BY currency
    ), counted AS (SELECT currency, count(*) AS transactions FROM billing.transactions GROUP BY currency)
    SELECT currency, payees, transactions, views::bigint, micros, nanomicros, owed
    FROM counted JOIN carried USING (currency) JOIN lines USING (currency) ORDER BY currency"""

_TRANSACTION_COLUMNS = (
    "transaction_id, idempotency_key, inputs_hash, run_id, payee_id, payee_sequence, currency, "
    "carried_nanomicros_before, carried_nanomicros_after, over_cap_micros, outcomes, effective_at"
)
_AUDIT_COLUMNS = (
    "transaction_id, line_index, video_id, owned_from_on, owned_to_on, share_ppm, effective_from_on, country, kind, "
    "tier_index, event_start, event_end, quantity, rate_per_thousand_micros, amount_micros, carried_nanomicros, "
    "currency, period_start_on, period_end_on, calculated_at, batch_version, policy_version, "
    "catalogue_version, contract_version, settled_views, provisional_views, evidence_root"
)


class PostgresLedger:
    """Implements `billing.ports.Ledger`.

    A whole run is ONE database transaction: a run that is killed has posted nothing, and a conflict at the last payee
    leaves nothing of the first. Runs exclude each other by a lock that PostgreSQL frees when the connection ends.
    """

    def __init__(self, connect: Connect, retry_pauses_s: Sequence[float] = RETRY_PAUSES_S) -> None:
        self._connect = connect
        self._retry_pauses_s = tuple(retry_pauses_s)

    def post(self, run: BillingRun, bills: Sequence[PayeeBill]) -> PostingResult:
        """Post what is not posted yet; see the port.

        A connection lost during COMMIT leaves the outcome open. Posting again resolves it: the lock waits until the
        old database transaction is over, and its keys are then either there (replays) or not (posted now).
        """
        for pause_s in self._retry_pauses_s:
            try:
                return self._post_once(run, bills)
            except LedgerUnavailableError:
                time.sleep(pause_s)
        return self._post_once(run, bills)

    def _post_once(self, run: BillingRun, bills: Sequence[PayeeBill]) -> PostingResult:
        with one_transaction(self._connect) as cursor:
            # 1. alone, until this database transaction ends
            cursor.execute("SELECT billing.lock_ledger()")
            # 2. look the keys up and plan
            state = _read_state(cursor, run, bills)
            result = plan_posting(run, bills, state)
            # 3. write the plan; 4. the commit makes run, transactions, entries and lines visible together
            if result.posted or not result.replayed:
                _insert_run(cursor, run)
            if result.posted:
                _insert_transactions(cursor, run, result.posted)
        return result

    def preview(self, run: BillingRun, bills: Sequence[PayeeBill]) -> PostingResult:
        """Return what `post` would do now; writes nothing and waits for nobody."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return plan_posting(run, bills, _read_state(cursor, run, bills))

    def statement(self, payee_id: str, period: Period) -> Statement | None:
        """Return what was posted for a payee and period; None when nothing was."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return read_statement(cursor, payee_id, period)

    def totals(self) -> list[LedgerTotals]:
        """Return one row per currency, in its order."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_TOTALS)
            return [LedgerTotals(row[0], *map(int, row[1:])) for row in cursor]


def _read_state(cursor: "Cursor", run: BillingRun, bills: Sequence[PayeeBill]) -> LedgerState:
    start_on, end_on = run.period.start_on, run.period.end_on
    cursor.execute(_POSTED, (start_on, end_on))
    posted = [PostedBefore(*row) for row in cursor]
    cursor.execute(_OVERLAPPING, {"start": start_on, "end": end_on})
    overlapping = [Period(*row) for row in cursor]
    before = {each.payee_id for each in posted}
    new = [bill.payee_id for bill in bills if bill.payee_id not in before]
    heads: dict[str, CarryHead] = {}
    if new:
        cursor.execute(_HEADS, (new, bills[0].currency))
        heads = {payee_id: CarryHead(sequence, carried) for payee_id, sequence, carried in cursor}
    return LedgerState(posted, overlapping, heads)


def _insert_run(cursor: "Cursor", run: BillingRun) -> None:
    # The same run again posts only what is new since (a payee can join later), or nothing at all for an empty period.
    cursor.execute(
        "INSERT INTO billing.runs (run_id, period_start_on, period_end_on, batch_version, catalogue_version, "
        "contract_version, waived, unattributed_views, calculated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (run_id) DO NOTHING",
        (
            run.run_id,
            run.period.start_on,
            run.period.end_on,
            run.batch_version,
            run.catalogue_version,
            run.contract_version,
            json.dumps(dict(run.waived)),
            run.unattributed_views,
            run.calculated_at,
        ),
    )


def _insert_transactions(cursor: "Cursor", run: BillingRun, transactions: Sequence[LedgerTransaction]) -> None:
    headers: Iterator[tuple[Cell, ...]] = (
        (
            each.transaction_id,
            each.idempotency_key,
            each.inputs_hash,
            each.run_id,
            each.payee_id,
            each.payee_sequence,
            each.currency,
            each.carried_nanomicros_before,
            each.carried_nanomicros_after,
            each.over_cap_micros,
            json.dumps(dict(each.outcomes)),
            each.effective_at,
        )
        for each in transactions
    )
    copy_rows(cursor, "billing.transactions", _TRANSACTION_COLUMNS, headers)
    entries = (
        (each.transaction_id, index, entry.account, entry.amount_micros)
        for each in transactions
        for index, entry in enumerate(each.entries)
    )
    copy_rows(cursor, "billing.entries", "transaction_id, entry_index, account, amount_micros", entries)
    copy_rows(cursor, "billing.payment_audit", _AUDIT_COLUMNS, _audit_rows(run, transactions))


def _audit_rows(run: BillingRun, transactions: Sequence[LedgerTransaction]) -> Iterator[tuple[Cell, ...]]:
    for each in transactions:
        for index, settled in enumerate(each.lines):
            line = settled.line
            yield (
                each.transaction_id,
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
                each.currency,
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
