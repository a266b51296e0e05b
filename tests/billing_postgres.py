"""A database of their own for billing's tests on a real PostgreSQL."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2

from billing.books.postgres_states import PostgresStates
from billing.books.states import Move
from billing.postgres_session import connector
from billing.terms.catalogue import content_hash_of
from billing.terms.postgres_proposals import PostgresProposals
from faults.postgres_database import administer
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

    By default with the batch, catalogue and contract versions that ledger rows point to.
    """
    with _database(server_url, template=migrated_template(server_url)) as url:
        # what one may do with a database as a whole is not copied with what is in it
        administer(url, f"REVOKE TEMPORARY, CREATE ON DATABASE {database_of(url)} FROM PUBLIC")
        if with_versions:
            connection = psycopg2.connect(url)
            with connection, connection.cursor() as cursor:
                cursor.execute(PREREQUISITES)
            connection.close()
        yield url


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Yield the URL of a new database without anything, dropped at the end."""
    with _database(server_url, template="template1") as url:
        yield url


def migrated_template(server_url: str) -> str:
    """Return the name of the server's database with the project's schema; made once, because migrating takes long.

    Nobody connects to it, or it could not be copied.
    """
    name, being_made = "test_billing_template", "test_billing_template_being_made"
    with closing(psycopg2.connect(server_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_lock(7)")  # other test processes wait for the first one
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is None:
            cursor.execute(f"DROP DATABASE IF EXISTS {being_made}")
            cursor.execute(f"CREATE DATABASE {being_made}")
            migrate(url := in_database(server_url, f"/{being_made}"))
            # A sequence in use has reserved numbers by a record in the log of this database alone: after a crash a copy
            # would give them a second time. One that was just set has reserved none.
            administer(url, "SELECT setval(format('%I.%I', schemaname, sequencename), last_value) FROM pg_sequences")
            cursor.execute(f"ALTER DATABASE {being_made} RENAME TO {name}")
    return name


@contextmanager
def _database(server_url: str, *, template: str) -> Iterator[str]:
    name = f"test_billing_{secrets.token_hex(6)}"
    administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield in_database(server_url, f"/{name}")
    finally:
        administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def in_database(login_url: str, database_url: str) -> str:
    """Return the URL by which another login reaches a database."""
    return login_url.rpartition("/")[0] + "/" + database_of(database_url)


def database_of(url: str) -> str:
    """Return the name of the database that a URL names."""
    return url.rpartition("/")[2]


def put_in_force(database_url: str) -> list[str]:
    """Let a second person, with a login of their own, approve all that waits; return what it was."""
    waiting = PostgresProposals(connector(database_url)).waiting()
    states = PostgresStates(connector(second_person(database_url), "viewledger_approver"))
    for each in waiting:
        states.move(each.kind, each.subject_id, Move("in_force", "second person"))
    return [each.proposal_id for each in waiting]
