"""Read from the books what a period's bundle needs: the versions of its statements, and its records."""

from collections.abc import Callable

from billing.books.postgres_periods import rests_on
from billing.postgres_session import Connect, one_transaction
from billing.proof.file_bundle import BundleReader, BundleVersions
from billing.proof.journal import Record
from ingestion.contract.periods import Period
from ingestion.contract.traffic_policy import TRAFFIC

_RUNS = """
    SELECT run_id, batch_version, catalogue_version, contract_version FROM billing.runs
    WHERE period_start_on = %s AND period_end_on = %s ORDER BY started_at"""
_STATEMENTS = "SELECT statement_id FROM billing.statements WHERE period_start_on = %s AND period_end_on = %s"
_NOTICES = """
    SELECT n.notice_id FROM billing.notices n JOIN billing.statements s USING (statement_id)
    WHERE s.period_start_on = %s AND s.period_end_on = %s"""
_DECISIONS = "SELECT decision_id FROM billing.traffic_decisions WHERE event_day >= %s AND event_day < %s"
_WHOLE = ("transaction", "hold", "payout_batch", "bank_entry", "policy")
_WHOLE_SUBJECTS = ("hold", "payout_batch", "payout", "policy")
"""Kinds of records, and of subjects of transitions, of which a bundle holds all: its reader can check that."""


def newest_versions(connect: Connect, period: Period) -> BundleVersions | None:
    """Return the versions of the period's statements in the ledger, or else of its newest run; None before any run."""
    with one_transaction(connect) as cursor:
        if (known := rests_on(cursor, period)) is not None:
            return BundleVersions(known.batch_version, known.catalogue_version, known.contract_version)
        cursor.execute(_RUNS, (period.start_on, period.end_on))
        runs = cursor.fetchall()
    return BundleVersions(*runs[-1][1:]) if runs else None


def records_of_period(connect: Connect, period: Period, reader: BundleReader) -> Callable[[Record], bool]:
    """Return whether a record is one of the period, one that those rest on, or one of the ledger or of the policies.

    A payee does not get the policies of traffic; an auditor gets the decisions on traffic of the period's days, too.
    Holds one id per statement of the period.
    """
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
        cursor.execute(_NOTICES, days)
        wanted |= {("notice", str(notice_id)) for (notice_id,) in cursor}
        if reader is BundleReader.AUDITOR:
            cursor.execute(_DECISIONS, days)
            wanted |= {("traffic_decision", str(decision_id)) for (decision_id,) in cursor}

    def is_wanted(record: Record) -> bool:
        if record.kind == "statement":
            return record.key in statements
        if record.kind == "transition":
            kind, _, rest = record.key.partition(" ")
            return kind in _WHOLE_SUBJECTS or (kind == "statement" and rest.rpartition(" ")[0] in statements)
        if record.kind == "policy" and record.key.startswith(f"{TRAFFIC} "):
            return reader is BundleReader.AUDITOR
        return record.kind in _WHOLE or (record.kind, record.key) in wanted

    return is_wanted
