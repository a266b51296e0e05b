"""Read from the books what questions about single events need: one statement or video, never all of a catalogue."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from billing.postgres_session import Connect, one_transaction
from billing.proof.event_answers import StatementHead
from billing.proof.paid_events import PaidGroup, PaidLine
from billing.terms.contract_document import contracts_from
from billing.terms.contracts import Contract
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period

_STATEMENT = """
    SELECT s.statement_id, s.payee_id, s.period_start_on, s.period_end_on, r.batch_version, r.catalogue_version,
           r.contract_version, (SELECT state FROM billing.current_states c
                                WHERE c.subject_kind = 'statement' AND c.subject_id = s.statement_id)
    FROM billing.statements s JOIN billing.runs r USING (run_id)"""
_BY_ID = " WHERE s.statement_id = %s"
_ABOUT_DAY = """
    WHERE s.period_start_on <= %(day)s AND %(day)s < s.period_end_on AND s.payee_id = ANY(%(payees)s)
      AND NOT EXISTS (SELECT 1 FROM billing.statements newer WHERE newer.supersedes = s.statement_id)
    ORDER BY s.payee_id, s.period_start_on"""
_LINES = """
    SELECT line_index, video_id, owned_from_on, effective_from_on, country, policy_version, owned_to_on, kind,
           event_start, event_end, evidence_root
    FROM billing.payment_audit WHERE statement_id = %s AND (%s::text IS NULL OR video_id = %s) ORDER BY line_index"""
_OWNERS = """
    WITH terms AS (
        SELECT coalesce(
            (SELECT r.catalogue_version FROM billing.runs r
             WHERE r.period_start_on <= %(day)s AND %(day)s < r.period_end_on AND EXISTS (
                 SELECT 1 FROM billing.statements s JOIN billing.transactions t USING (statement_id)
                 WHERE s.run_id = r.run_id AND t.kind IN ('statement', 'suspense')
                   AND NOT EXISTS (SELECT 1 FROM billing.transactions u WHERE u.reverses = t.transaction_id))
             ORDER BY r.started_at DESC LIMIT 1),
            (SELECT max(catalogue_version) FROM billing.catalogues_in_force)) AS catalogue_version
    ), owned AS (
        SELECT payee_id FROM billing.owners JOIN terms USING (catalogue_version)
        WHERE video_id = %(video)s AND from_on <= %(day)s AND %(day)s < to_on
    )
    SELECT payee_id FROM owned
    UNION SELECT %(nobody)s FROM billing.videos JOIN terms USING (catalogue_version)
          WHERE video_id = %(video)s AND NOT EXISTS (SELECT 1 FROM owned)
    ORDER BY 1"""
_LENGTHS = """
    SELECT video_id, length_seconds FROM billing.videos
    WHERE catalogue_version = %s AND video_id = ANY(%s) AND length_seconds IS NOT NULL"""
_LATE_DECISION = """
    SELECT state FROM billing.current_states WHERE subject_kind = 'late_event' AND subject_id = %s"""
_CONTRACT = "SELECT document FROM billing.rate_cards WHERE contract_version = %s"


class PostgresProofs:
    """Reads for proofs; every method is one database transaction.

    Raises:
        UnavailableError: PostgreSQL does not answer.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def statement(self, statement_id: str) -> StatementHead | None:
        """Return a statement; None if it does not exist."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_STATEMENT + _BY_ID, (statement_id,))
            row = cursor.fetchone()
        return _head(row) if row else None

    def statements_about(self, payee_ids: Sequence[str], day: date) -> list[StatementHead]:
        """Return the newest statement of each payee whose period has the day."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_STATEMENT + _ABOUT_DAY, {"day": day, "payees": list(payee_ids)})
            return [_head(row) for row in cursor]

    def lines(self, statement_id: str, video_id: str | None = None) -> list[PaidLine]:
        """Return a statement's lines, all or those of one video."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_LINES, (statement_id, video_id, video_id))
            return [PaidLine(row[0], PaidGroup(*row[1:6]), *row[6:]) for row in cursor]

    def owners(self, video_id: str, day: date) -> list[str]:
        """Return the owners of a video on a day, by the catalogue that the day was billed by, or else the newest.

        For a video without an owner on that day: the suspense account.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute(_OWNERS, {"video": video_id, "day": day, "nobody": SUSPENSE})
            return [payee_id for (payee_id,) in cursor]

    def lengths(self, catalogue_version: int, video_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the lengths of videos in seconds, where they are known."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_LENGTHS, (catalogue_version, list(video_ids)))
            return dict(cursor.fetchall())

    def contract(self, contract_version: int, payee_id: str) -> Contract | None:
        """Return a payee's contract in a stored version."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_CONTRACT, (contract_version,))
            row = cursor.fetchone()
        return contracts_from(row[0]).contract_for(payee_id) if row else None

    def late_decision(self, place: str) -> str | None:
        """Return the decision about a late event; None before it."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_LATE_DECISION, (place,))
            row = cursor.fetchone()
        return row[0] if row else None


def _head(row: tuple[Any, ...]) -> StatementHead:
    statement_id, payee_id, start_on, end_on, batch_version, catalogue_version, contract_version, state = row
    period = Period(start_on, end_on)
    return StatementHead(statement_id, payee_id, period, batch_version, catalogue_version, contract_version, state)
