"""A database of their own for billing's tests on a real PostgreSQL."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import sql

from billing.books.postgres_states import PostgresStates
from billing.books.states import Move
from billing.postgres_session import connector
from billing.terms.catalogue import content_hash_of
from billing.terms.postgres_proposals import PostgresProposals
from jobs.wiring.migrations import migrate
from tests.postgres_people import second_person

EMPTY = content_hash_of([], [], [])

PREREQUISITES = f"""
INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
SELECT version, 'batch-' || version, '{{}}', '[]', '{{}}', '{{}}', '{{}}', '{{}}' FROM generate_series(1, 9) AS version;
INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source)
VALUES (1, '{EMPTY}', 'test'), (2, '{EMPTY}', 'test');
INSERT INTO billing.rate_cards (contract_version, content_hash, document)
VALUES (1, encode(sha256('{{}}'), 'hex'), '{{}}'), (2, encode(sha256('{{}}'), 'hex'), '{{}}');
"""


@contextmanager
def own_database(server_url: str, *, with_versions: bool = True) -> Iterator[str]:
    """Yield the URL of a new database with the project's schema, dropped at the end.

    With the batch, catalogue and contract versions that ledger rows point to, unless told otherwise.
    """
    with empty_database(server_url) as url:
        migrate(url)
        if with_versions:
            connection = psycopg2.connect(url)
            with connection, connection.cursor() as cursor:
                cursor.execute(PREREQUISITES)
            connection.close()
        yield url


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Yield the URL of a new database without anything, dropped at the end."""
    name = f"test_billing_{secrets.token_hex(6)}"
    _outside(server_url, "CREATE DATABASE {}", name)
    try:
        yield server_url.rpartition("/")[0] + "/" + name
    finally:
        _outside(server_url, "DROP DATABASE {} WITH (FORCE)", name)


def in_database(login_url: str, database_url: str) -> str:
    """Return the URL by which another login reaches a database."""
    return login_url.rpartition("/")[0] + "/" + database_url.rpartition("/")[2]


def _outside(server_url: str, statement: str, name: str) -> None:
    connection = psycopg2.connect(server_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
    finally:
        connection.close()


def put_in_force(database_url: str) -> list[str]:
    """Let a second person, with a login of their own, approve all that waits; return what it was."""
    waiting = PostgresProposals(connector(database_url)).waiting()
    states = PostgresStates(connector(second_person(database_url), "viewledger_approver"))
    for each in waiting:
        states.move(each.kind, each.subject_id, Move("in_force", "second person"))
    return [each.proposal_id for each in waiting]
