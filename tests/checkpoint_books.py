"""Books on a real PostgreSQL, a key to sign them with, and a superuser who changes them secretly."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import psycopg2
from psycopg2 import sql

from billing.postgres_session import connector
from billing.proof.checkpoint import Link
from billing.proof.checkpointing import leaves_of, make_checkpoint, problems_of_books
from billing.proof.ed25519_keys import SigningKey, create_key, is_signed
from billing.proof.leaves import Leaf
from billing.proof.postgres_journal import PostgresJournal
from billing.terms.postgres_stored_terms import problems_of_stored_terms
from jobs.local_stack.stack import LocalStack
from tests.billing_postgres import own_database

TODAY = date(2026, 11, 25)


@dataclass
class Books:
    """A database of its own, with what its operator keeps outside of it."""

    url: str
    superuser_url: str
    key: SigningKey
    kept: list[tuple[Link, list[Leaf]]] = field(default_factory=list)

    @property
    def journal(self) -> PostgresJournal:
        return PostgresJournal(connector(self.url))

    def checkpoint(self, day: date = TODAY) -> Link:
        link, _ = make_checkpoint(self.journal, self.key, day=day, today=max(day, TODAY))
        self.kept.append((link, list(leaves_of(self.journal, link))))
        return link

    def problems(self, *, kept: bool = True) -> list[str]:
        links = [link for link, _ in self.kept] if kept else []
        found = list(problems_of_books(self.journal, is_signed, links, self.kept if kept else []))
        return found + list(problems_of_stored_terms(connector(self.url)))

    def tamper(self, *statements: str) -> None:
        """Change rows as a superuser whom no trigger and no foreign key stops."""
        with closing(psycopg2.connect(self.superuser_url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement)
                assert cursor.rowcount, f"changed nothing: {statement}"

    def rows(self, query: str) -> Sequence[tuple[object, ...]]:
        with closing(psycopg2.connect(self.superuser_url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()


@contextmanager
def books_of(stack: LocalStack, folder: Path) -> Iterator[Books]:
    """Yield empty books in a database of their own."""
    with own_database(stack.environment["VIEWLEDGER_POSTGRES_URL"]) as url:
        yield Books(url, f"{stack.superuser_url}/{url.rpartition('/')[2]}", create_key(folder / "books.key"))


@contextmanager
def copied(books: Books) -> Iterator[Books]:
    """Yield a copy that can be spoilt; far faster than making the same books again."""
    server, _, name = books.superuser_url.rpartition("/")
    copy = f"copy_{secrets.token_hex(6)}"
    _outside(f"{server}/postgres", "CREATE DATABASE {} TEMPLATE {}", copy, name)
    try:
        url = f"{books.url.rpartition('/')[0]}/{copy}"
        yield replace(books, url=url, superuser_url=f"{server}/{copy}", kept=list(books.kept))
    finally:
        _outside(f"{server}/postgres", "DROP DATABASE {} WITH (FORCE)", copy)


def _outside(server_url: str, statement: str, *names: str) -> None:
    with closing(psycopg2.connect(server_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
