"""What of the books a period's bundle needs: the versions of its newest run, and which records."""

from collections.abc import Callable

from billing.postgres_session import Connect, one_transaction
from billing.proof.file_bundle import BundleVersions
from billing.proof.journal import Record
from ingestion.contract.periods import Period

_RUNS = """
    SELECT run_id, batch_version, catalogue_version, contract_version FROM billing.runs
    WHERE period_start_on = %s AND period_end_on = %s ORDER BY started_at"""
_STATEMENTS = "SELECT statement_id FROM billing.statements WHERE period_start_on = %s AND period_end_on = %s"
_NOTICES = """
    SELECT n.notice_id FROM billing.notices n JOIN billing.statements s USING (statement_id)
    WHERE s.period_start_on = %s AND s.period_end_on = %s"""
# with the transaction that each one's remainder came from
_TRANSACTIONS = """
    WITH own AS (
        SELECT t.transaction_id, t.payee_id, t.currency, t.payee_sequence
        FROM billing.transactions t JOIN billing.statements s USING (statement_id)
        WHERE s.period_start_on = %s AND s.period_end_on = %s)
    SELECT transaction_id FROM own
    UNION
    SELECT b.transaction_id FROM own JOIN billing.transactions b ON b.payee_id = own.payee_id
        AND b.currency = own.currency AND b.payee_sequence = own.payee_sequence - 1"""


def newest_versions(connect: Connect, period: Period) -> BundleVersions | None:
    """Return what the period's newest run rests on; None when no run was made of it."""
    with one_transaction(connect) as cursor:
        cursor.execute(_RUNS, (period.start_on, period.end_on))
        runs = cursor.fetchall()
    return BundleVersions(*runs[-1][1:]) if runs else None


def records_of_period(connect: Connect, period: Period) -> Callable[[Record], bool]:
    """Return whether a record is one of the period's, or one that those rest on. Holds one id per statement."""
    days = (period.start_on, period.end_on)
    with one_transaction(connect) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(_RUNS, days)
        wanted: set[tuple[str, str]] = set()
        for run_id, batch_version, catalogue_version, contract_version in cursor:
            wanted |= {
                ("run", run_id),
                ("version", str(batch_version)),
                ("catalogue", str(catalogue_version)),
                ("contract", str(contract_version)),
            }
        cursor.execute(_STATEMENTS, days)
        statements = {statement_id for (statement_id,) in cursor}
        cursor.execute(_TRANSACTIONS, days)
        wanted |= {("transaction", transaction_id) for (transaction_id,) in cursor}
        cursor.execute(_NOTICES, days)
        wanted |= {("notice", str(notice_id)) for (notice_id,) in cursor}

    def is_wanted(record: Record) -> bool:
        if record.kind == "statement":
            return record.key in statements
        if record.kind == "transition":
            kind, _, rest = record.key.partition(" ")
            return kind == "statement" and rest.rpartition(" ")[0] in statements
        return (record.kind, record.key) in wanted

    return is_wanted
