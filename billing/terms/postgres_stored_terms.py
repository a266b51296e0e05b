"""Compare the catalogues, contracts and policies in PostgreSQL with the hashes that were stored with them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from billing.postgres_session import Connect, one_transaction
from billing.terms.catalogue import Payee, Video, content_hash_of, titles_hash_of
from billing.terms.ownership import OwnerShare
from billing.terms.policies import document_hash

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

ROWS_READ = 10_000
"""The number of rows that are read together, which bounds the memory."""

_CATALOGUES = """
    SELECT catalogue_version, content_hash, titles_hash FROM billing.catalogue_versions ORDER BY catalogue_version"""
_CONTRACTS = "SELECT contract_version, content_hash, document FROM billing.rate_cards ORDER BY contract_version"
_POLICIES = "SELECT kind, policy_version, content_hash, document FROM billing.policies ORDER BY kind, policy_version"
# By code points, as the hash sorts: the server's own collation may differ.
_PAYEES = """
    SELECT payee_id, name, user_id, country FROM billing.payees WHERE catalogue_version = %s
    ORDER BY payee_id COLLATE "C" """
_VIDEOS = """
    SELECT video_id, length_seconds FROM billing.videos WHERE catalogue_version = %s
    ORDER BY video_id COLLATE "C" """
_TITLED = """
    SELECT video_id, length_seconds, title FROM billing.videos WHERE catalogue_version = %s AND title IS NOT NULL
    ORDER BY video_id COLLATE "C" """
_OWNERS = """
    SELECT video_id, from_on, to_on, payee_id, share_ppm FROM billing.owners WHERE catalogue_version = %s
    ORDER BY video_id COLLATE "C", from_on, to_on, payee_id COLLATE "C" """


def problems_of_stored_terms(connect: Connect) -> Iterator[str]:
    """Yield a sentence for each version whose rows are not those that were imported. Memory stays flat."""
    with one_transaction(connect) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(_CATALOGUES)
        for version, on_record, titles_on_record in cursor.fetchall():
            found = content_hash_of(
                (Payee(*row) for row in _rows(cursor, "payees", _PAYEES, version)),
                (Video(*row) for row in _rows(cursor, "videos", _VIDEOS, version)),
                (OwnerShare(*row) for row in _rows(cursor, "owners", _OWNERS, version)),
            )
            if found != on_record:
                yield _differs(f"a row of the payees, videos or owners of catalogue {version}", found, on_record)
            titles = titles_hash_of(Video(*row) for row in _rows(cursor, "titles", _TITLED, version))
            if titles != titles_on_record:
                yield _differs(f"a title of the videos of catalogue {version}", titles, titles_on_record)
        cursor.execute(_POLICIES)
        for kind, version, on_record, document in cursor.fetchall():
            if (found := document_hash(document)) != on_record:
                yield _differs(f"the document of {kind} policy {version}", found, on_record)
        cursor.execute(_CONTRACTS)
        for version, on_record, document in cursor:
            if (found := document_hash(document)) != on_record:
                yield _differs(f"the document of contract {version}", found, on_record)


def _rows(cursor: "Cursor", name: str, query: str, version: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query through a server-side cursor."""
    with cursor.connection.cursor(name) as rows:
        rows.itersize = ROWS_READ
        rows.execute(query, (version,))
        yield from rows


def _differs(what: str, found: str | None, on_record: str | None) -> str:
    return f"{what} was changed, added or removed: the hash is {found}, and {on_record} is on record"
