"""Read from the books what the bundle of one statement holds. Its cost does not grow with the journal."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from billing.postgres_session import Connect, one_transaction
from billing.proof.checkpoint import Link
from billing.proof.postgres_journal import records_at
from billing.proof.postgres_proofs import PostgresProofs
from billing.proof.postgres_trees import audit_path
from billing.proof.statement_bundle import Inclusion, OwnTerms, ProvenRecord, statement_bundle

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_POSITIONS = """
    SELECT j.position FROM billing.journal j JOIN (
        SELECT 'statement' AS kind, %(id)s AS key
        UNION ALL SELECT 'transition', concat_ws(' ', subject_kind, subject_id, transition_index)
                  FROM billing.transitions WHERE subject_kind = 'statement' AND subject_id = %(id)s
        UNION ALL SELECT 'transaction', transaction_id FROM billing.transactions WHERE statement_id = %(id)s
    ) AS wanted USING (kind, key) ORDER BY j.position"""
_CHAIN = "SELECT body, signature FROM billing.checkpoints ORDER BY sequence"
_CURRENCY = "SELECT currency FROM billing.statements WHERE statement_id = %s"
_BEFORE = "SELECT count(*) FROM billing.journal WHERE position >= %s AND position < %s"


def bundle_of_statement(connect: Connect, statement_id: str, made_at: datetime) -> bytes | None:
    """Return the bundle of a statement; None if there is no such statement.

    A record whose checkpoint's tree is not stored yet comes without its audit path.
    """
    proofs = PostgresProofs(connect)
    head = proofs.statement(statement_id)
    if head is None:
        return None
    contract = proofs.contract(head.contract_version, head.payee_id)
    with one_transaction(connect) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(_CURRENCY, (statement_id,))
        ((currency,),) = cursor.fetchall()
        cursor.execute(_CHAIN)
        chain = [Link(body.encode(), signature) for body, signature in cursor]
        checkpoints = [link for link in chain if link.fields["kind"] == "checkpoint"]
        cursor.execute(_POSITIONS, {"id": statement_id})
        positions = [position for (position,) in cursor]
        records = [
            ProvenRecord(record, _inclusion(cursor, checkpoints, position))
            for position in positions
            for record in records_at(cursor, position, position + 1)
        ]
    terms = OwnTerms(head.payee_id, currency, contract)
    return statement_bundle(statement_id, records, chain, terms, made_at)


def _inclusion(cursor: "Cursor", checkpoints: Sequence[Link], position: int) -> Inclusion | None:
    index = bisect_right(checkpoints, position, key=lambda link: int(link.fields["position_end"]))
    if index == len(checkpoints):
        return None
    link = checkpoints[index]
    cursor.execute(_BEFORE, (link.fields["position_start"], position))
    ((leaf_index,),) = cursor.fetchall()
    path = audit_path(cursor, link, leaf_index)
    return None if path is None else Inclusion(link.sequence, leaf_index, path)
