"""Estimates of open periods in PostgreSQL: not money, replaced every night."""

from collections.abc import Sequence
from datetime import datetime

from billing.books.book_ports import Estimate
from billing.postgres_session import Connect, copy_rows, one_transaction
from ingestion.contract.periods import Period

_REMOVE = "DELETE FROM billing.estimates WHERE period_start_on = %s AND period_end_on = %s"
_COLUMNS = (
    "period_start_on, period_end_on, payee_id, currency, earned_micros, billable_views, batch_version, estimated_at"
)
# estimates go in the night; until then a run that began to bill any of their days hides them
_OF_PAYEE = """
    SELECT period_start_on, period_end_on, payee_id, currency, earned_micros, billable_views, estimated_at
    FROM billing.estimates e WHERE payee_id = %s AND NOT EXISTS (
        SELECT FROM billing.runs r
        WHERE r.period_start_on < e.period_end_on AND e.period_start_on < r.period_end_on)
    ORDER BY period_start_on DESC"""


class PostgresEstimates:
    """Implements `billing.books.book_ports.Estimates`; every call is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def replace(
        self, period: Period, estimates: Sequence[Estimate], batch_version: int, estimated_at: datetime
    ) -> None:
        """Store a period's estimates in place of the former ones; two concurrent calls run one after the other."""
        days = (period.start_on, period.end_on)
        rows = (
            (*days, each.payee_id, each.currency, each.earned_micros, each.billable_views, batch_version, estimated_at)
            for each in estimates
        )
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT billing.lock_ledger()")
            cursor.execute(_REMOVE, days)
            copy_rows(cursor, "billing.estimates", _COLUMNS, rows)

    def drop(self, billed: Sequence[Period]) -> None:
        """Remove the estimates of periods that are now billed."""
        with one_transaction(self._connect) as cursor:
            for period in billed:
                cursor.execute(_REMOVE, (period.start_on, period.end_on))

    def of_payee(self, payee_id: str) -> list[tuple[Period, Estimate, datetime]]:
        """Return a payee's estimates of periods that no run has begun to bill, newest first, and their instants."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_OF_PAYEE, (payee_id,))
            return [(Period(*row[:2]), Estimate(*row[2:6]), row[6]) for row in cursor]
