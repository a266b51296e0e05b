"""The journal and the chain of checkpoints in PostgreSQL (schema `billing`, migration `proof`)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from billing.errors import CheckpointRefusedError
from billing.postgres_session import Connect, one_transaction
from billing.proof.checkpoint import Link
from billing.proof.journal import Record, Row, record_of

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

POSITIONS_READ = 2_000
"""The number of positions that are read together, which bounds the memory."""


@dataclass(frozen=True)
class Children:
    """Rows of another table that belong to a record: `parent` holds the record's key, `order` sorts them."""

    name: str
    table: str
    parent: str
    order: str


@dataclass(frozen=True)
class Noted:
    """A table whose rows the journal notes under a key."""

    kind: str
    table: str
    key: str
    """The key as an expression over the row `t`."""
    finds: str
    """The row `t` of a journal row `j`, in a form that uses the table's primary key."""
    children: tuple[Children, ...] = ()


def _by_text(column: str) -> tuple[str, str]:
    return f"t.{column}", f"t.{column} = j.key"


def _by_number(column: str) -> tuple[str, str]:
    # null if the key is not a number
    return f"t.{column}::text", f"t.{column} = CASE WHEN j.key ~ '^[0-9]{{1,18}}$' THEN j.key::bigint END"


_ACCOUNT_KEY = "concat_ws(' ', t.account_version, t.payee_id)"
_FINDS_ACCOUNT = f"t.payee_id = substr(j.key, strpos(j.key, ' ') + 1) AND {_ACCOUNT_KEY} = j.key"
_POLICY_KEY = "concat_ws(' ', t.kind, t.policy_version)"
_TRANSITION_KEY = "concat_ws(' ', t.subject_kind, t.subject_id, t.transition_index)"
_FINDS_TRANSITION = (
    "t.subject_kind = split_part(j.key, ' ', 1) AND t.subject_id = split_part(j.key, ' ', 2) "
    f"AND {_TRANSITION_KEY} = j.key"
)

NOTED = (
    Noted("version", "published.versions", *_by_number("version")),
    Noted("expired_version", "published.expired_versions", *_by_number("version")),
    Noted("removal", "published.removals", *_by_number("version")),
    Noted("catalogue", "billing.catalogue_versions", *_by_number("catalogue_version")),
    Noted("contract", "billing.rate_cards", *_by_number("contract_version")),
    Noted("policy", "billing.policies", _POLICY_KEY, f"t.kind = split_part(j.key, ' ', 1) AND {_POLICY_KEY} = j.key"),
    Noted("traffic_decision", "billing.traffic_decisions", *_by_number("decision_id")),
    Noted("traffic_finding", "billing.traffic_findings", *_by_number("finding_id")),
    Noted("traffic_appeal", "billing.traffic_appeals", *_by_text("appeal_id")),
    Noted("traffic_appeal_answer", "billing.traffic_appeal_answers", *_by_text("appeal_id")),
    Noted("run", "billing.runs", *_by_text("run_id")),
    Noted(
        "statement",
        "billing.statements",
        *_by_text("statement_id"),
        children=(Children("lines", "billing.payment_audit", "statement_id", "line_index"),),
    ),
    Noted("transition", "billing.transitions", _TRANSITION_KEY, _FINDS_TRANSITION),
    Noted(
        "transaction",
        "billing.transactions",
        *_by_text("transaction_id"),
        children=(Children("entries", "billing.entries", "transaction_id", "entry_index"),),
    ),
    Noted("bank_account", "billing.bank_accounts", _ACCOUNT_KEY, _FINDS_ACCOUNT),
    Noted(
        "payout_batch",
        "billing.payout_batches",
        *_by_text("batch_id"),
        children=(Children("items", "billing.payout_items", "batch_id", 'item_id COLLATE "C"'),),
    ),
    Noted("bank_entry", "billing.bank_entries", *_by_text("entry_id")),
    Noted("hold", "billing.holds", *_by_text("hold_id")),
    Noted("appeal", "billing.appeals", *_by_text("appeal_id")),
    Noted("notice", "billing.notices", *_by_number("notice_id")),
    Noted("approval_limit", "billing.approval_limits", *_by_number("limit_id")),
    Noted("restore", "billing.restores", *_by_number("restore_id")),
    Noted("api_key", "access.made_keys", *_by_text("key_id")),
    Noted("revoked_api_key", "access.revoked_keys", *_by_text("key_id")),
)
"""Every table that the migrations attach to the journal; a test compares the two."""

_JOURNAL = """
    SELECT position, kind, key, recorded_at FROM billing.journal
    WHERE position >= %s AND position < %s ORDER BY position"""
_ROWS = """
    SELECT j.position, to_jsonb(t)::text FROM billing.journal j JOIN {table} t ON {finds}
    WHERE j.position >= %s AND j.position < %s AND j.kind = %s"""
_CHILDREN = """
    SELECT j.position, jsonb_agg(to_jsonb(c) ORDER BY c.{order})::text
    FROM billing.journal j JOIN {table} c ON c.{parent} = j.key
    WHERE j.position >= %s AND j.position < %s AND j.kind = %s GROUP BY j.position"""
_UNNOTED = """
    SELECT {key} FROM {table} t
    WHERE NOT EXISTS (SELECT 1 FROM billing.journal j WHERE j.kind = %s AND j.key = {key}) ORDER BY 1 LIMIT 100"""
_FATHERLESS = """
    SELECT DISTINCT c.{parent} FROM {child} c WHERE NOT EXISTS (
        SELECT 1 FROM {table} t WHERE {key} = c.{parent}) ORDER BY 1 LIMIT 100"""


class PostgresJournal:
    """Implements `billing.proof.journal.Journal`; every method is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def close(self) -> tuple[int, datetime]:
        """Return the end of the journal; wait until the current writers have finished."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT position_end, cut_at FROM billing.close_journal()")
            (row,) = cursor.fetchall()
        return row[0], row[1]

    def records(self, position_start: int, position_end: int) -> Iterator[Record]:
        """Yield the records of [position_start, position_end) as they are now; one snapshot for all of them."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            for start in range(position_start, position_end, POSITIONS_READ):
                yield from records_at(cursor, start, min(start + POSITIONS_READ, position_end))

    def unnoted(self) -> list[str]:
        """Return rows that are not in the journal, and rows that belong to no record; at most 100 of each table."""
        found = []
        with one_transaction(self._connect) as cursor:
            for noted in NOTED:
                cursor.execute(_UNNOTED.format(table=noted.table, key=noted.key), (noted.kind,))
                found += [f"{noted.kind} {key}" for (key,) in cursor]
                for child in noted.children:
                    cursor.execute(
                        _FATHERLESS.format(parent=child.parent, child=child.table, table=noted.table, key=noted.key)
                    )
                    found += [f"{child.name} of {noted.kind} {key}" for (key,) in cursor]
        return found

    def chain(self) -> Sequence[Link]:
        """Return all links, from the first on.

        Raises:
            CheckpointRefusedError: one cannot be read.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT sequence, body, signature FROM billing.checkpoints ORDER BY sequence")
            rows = cursor.fetchall()
        links = []
        for sequence, body, signature in rows:
            links.append(Link(body.encode(), signature))
            try:
                links[-1].refuse_unreadable()
            except ValueError as error:
                raise CheckpointRefusedError(f"link {sequence} in the database is {error}: it was changed") from error
        return links

    def append(self, link: Link) -> None:
        """Store a link at the end of the chain, once."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(
                "INSERT INTO billing.checkpoints (sequence, body, signature) VALUES (%s, %s, %s) "
                "ON CONFLICT (sequence) DO NOTHING",
                (link.sequence, link.body.decode(), link.signature),
            )
            cursor.execute("SELECT body FROM billing.checkpoints WHERE sequence = %s", (link.sequence,))
            (row,) = cursor.fetchall()
        if row[0].encode() != link.body:
            raise CheckpointRefusedError(
                f"another checkpoint {link.sequence} was made meanwhile; run the command again"
            )


def records_at(cursor: "Cursor", start: int, end: int) -> Iterator[Record]:
    """Yield the records at positions [start, end), as the cursor's transaction sees them."""
    cursor.execute(_JOURNAL, (start, end))
    journal = cursor.fetchall()
    rows: dict[int, Row] = {}
    children: dict[int, dict[str, Sequence[Row]]] = {}
    kinds = {kind for _, kind, _, _ in journal}
    for noted in NOTED:
        if noted.kind not in kinds:
            continue
        cursor.execute(_ROWS.format(table=noted.table, finds=noted.finds), (start, end, noted.kind))
        rows |= {position: _values(text) for position, text in cursor}
        for child in noted.children:
            sql = _CHILDREN.format(table=child.table, parent=child.parent, order=child.order)
            cursor.execute(sql, (start, end, noted.kind))
            for position, text in cursor:
                children.setdefault(position, {})[child.name] = _values(text)
    for position, kind, key, recorded_at in journal:
        yield record_of(
            position, kind, key, recorded_at=recorded_at, row=rows.get(position), children=children.get(position, {})
        )


def _values(text: str) -> Any:
    # a number that is not an integer becomes its text: canonical values have integers only
    return json.loads(text, parse_float=str)
