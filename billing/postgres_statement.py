"""Reads one posted transaction back from PostgreSQL, line by line."""

from typing import TYPE_CHECKING, Any

from billing.posting import Entry, LedgerTransaction, Statement
from billing.rated_lines import RatedLine, SettledLine
from ingestion.contract.periods import Period

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_HEADER = """
    SELECT t.transaction_id, t.idempotency_key, t.inputs_hash, t.run_id, t.payee_id, t.payee_sequence, t.currency,
           t.carried_nanomicros_before, t.carried_nanomicros_after, t.over_cap_micros, t.outcomes, t.effective_at,
           r.batch_version, r.catalogue_version, r.contract_version, r.calculated_at, t.posted_at
    FROM billing.transactions t JOIN billing.runs r USING (run_id)
    WHERE t.payee_id = %s AND r.period_start_on = %s AND r.period_end_on = %s"""
_ENTRIES = "SELECT account, amount_micros FROM billing.entries WHERE transaction_id = %s ORDER BY entry_index"
_LINES = """
    SELECT video_id, owned_from_on, owned_to_on, share_ppm, effective_from_on, country, policy_version, kind,
           tier_index, event_start, event_end, quantity, rate_per_thousand_micros, settled_views, evidence_root,
           amount_micros, carried_nanomicros
    FROM billing.payment_audit WHERE transaction_id = %s ORDER BY line_index"""


def read_statement(cursor: "Cursor", payee_id: str, period: Period) -> Statement | None:
    """Return what was posted for a payee and period; None when nothing was."""
    cursor.execute(_HEADER, (payee_id, period.start_on, period.end_on))
    header = cursor.fetchone()
    if header is None:
        return None
    cursor.execute(_ENTRIES, header[:1])
    entries = tuple(Entry(*row) for row in cursor)
    cursor.execute(_LINES, header[:1])
    lines = tuple(SettledLine(RatedLine(*row[:15]), *row[15:]) for row in cursor)
    fields: list[Any] = [*header[:12], entries, lines]
    return Statement(period, LedgerTransaction(*fields), *header[12:])
