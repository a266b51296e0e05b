"""API keys in PostgreSQL."""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from ingestion.contract.refusals import is_refusal
from ingestion.contract.unavailable import Part, does_not_answer
from serving_layer.access.access import Scope
from serving_layer.access.api_keys import ApiKey, hashed, key_text
from serving_layer.access.postgres_reads import PostgresReads

_SELECT = """
SELECT key_id, owner, secret_sha256, scopes, payee_id, created_at, expires_at, revoked_at FROM access.api_keys"""


class ApiKeyRefusedError(Exception):
    """A key cannot be made or revoked; the message gives the reason."""


class PostgresApiKeys:
    """Looks keys up; blocking, thread-safe, bounded in time."""

    def __init__(self, url: str) -> None:
        self._reads = PostgresReads(url)

    def find(self, key_id: str) -> ApiKey | None:
        """Return a key by its id; raise UnavailableError."""
        rows = self._reads.query(f"{_SELECT} WHERE key_id = %s", (key_id,))
        return _key(rows[0]) if rows else None

    def close(self) -> None:
        """Disconnect."""
        self._reads.close()


class PostgresKeyRing:
    """Makes, lists and revokes keys. Connects in the constructor.

    Raises:
        UnavailableError: PostgreSQL does not answer.
    """

    def __init__(self, url: str) -> None:
        with _translated():
            self._connection: Connection = psycopg2.connect(url, connect_timeout=5, application_name="viewledger-keys")

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def create(
        self, owner: str, scopes: Collection[Scope], payee_id: str | None, *, now: datetime, expires_at: datetime
    ) -> tuple[ApiKey, str]:
        """Store a new key; return it and its text, which cannot be shown again.

        Raises:
            KeyRefusedError: the owner has two live keys.
        """
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        key = ApiKey(key_id, owner, hashed(secret), frozenset(scopes), payee_id, now, expires_at)
        with _translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO access.api_keys (key_id, owner, secret_sha256, scopes, payee_id, created_at, expires_at) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (key_id, owner, key.secret_sha256, sorted(scopes), payee_id, now, expires_at),
            )
        return key, key_text(key_id, secret)

    def keys(self) -> list[ApiKey]:
        """Return all keys, newest first."""
        with _translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(f"{_SELECT} ORDER BY created_at DESC, key_id")
            return [_key(row) for row in cursor.fetchall()]

    def revoke(self, key_id: str, now: datetime) -> None:
        """Revoke a key; a revoked key is not changed.

        Raises:
            KeyRefusedError: there is no such key.
        """
        with _translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(
                "UPDATE access.api_keys SET revoked_at = %s WHERE key_id = %s AND revoked_at IS NULL", (now, key_id)
            )
            cursor.execute("SELECT 1 FROM access.api_keys WHERE key_id = %s", (key_id,))
            if cursor.fetchone() is None:
                raise ApiKeyRefusedError(f"there is no key {key_id!r}; ./viewledger keys list shows the keys there are")


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, owner, secret_sha256, scopes, payee_id, created_at, expires_at, revoked_at = row
    known = frozenset(Scope(each) for each in scopes if each in set(Scope))
    return ApiKey(key_id, owner, secret_sha256, known, payee_id, created_at, expires_at, revoked_at)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise does_not_answer(Part.POSTGRES, error) from error
    except psycopg2.errors.UndefinedTable as error:
        raise ApiKeyRefusedError("the PostgreSQL schema is missing; run ./viewledger migrate") from error
    except psycopg2.DatabaseError as error:
        if not is_refusal(error.pgcode):
            raise
        raise ApiKeyRefusedError(f"{error.diag.message_primary} ({error.pgcode})") from error
