"""PostgreSQL for billing: a connection that fails fast with a clear error, and rows sent by COPY."""

import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar

import psycopg2
from psycopg2 import errors
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from billing.errors import DatabaseRefusedError, RoleRefusedError, SchemaMissingError
from ingestion.contract.backoff import Backoff
from ingestion.contract.postgres_transactions import own_settings
from ingestion.contract.refusals import is_refusal
from ingestion.contract.unavailable import Part, UnavailableError, does_not_answer

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

Connect = Callable[[], "Connection"]
Answer = TypeVar("Answer")
RETRY = Backoff(0.5, 5.0)
ATTEMPTS = 4
Cell = str | int | date | datetime | None

_CONNECT_TIMEOUT_S = 5
_LOCK_TIMEOUT_MS = 600_000
_ANSWER_TIMEOUT_MS = 30_000
_STATEMENT_TIMEOUT_MS = 1_800_000
_TO_ESCAPE = re.compile(r"[\\\t\n\r]").search
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def connector(url: str, role: str | None = None) -> Connect:
    """Return a function that connects, and begins a transaction in UTC with bounded waits: for locks, for a dead peer.

    `role` is a role of the ledger that the login is a member of; the transaction has its rights and no others.
    """
    settings = own_settings(role=role, statement_ms=_STATEMENT_TIMEOUT_MS, lock_ms=_LOCK_TIMEOUT_MS)

    def connect() -> "Connection":
        connection = psycopg2.connect(
            url,
            application_name="viewledger-billing",
            connect_timeout=_CONNECT_TIMEOUT_S,
            tcp_user_timeout=_ANSWER_TIMEOUT_MS,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(settings)
        except errors.InsufficientPrivilege as error:
            connection.close()
            raise RoleRefusedError(f"this login of PostgreSQL may not act as {role}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


@contextmanager
def one_transaction(connect: Connect) -> Iterator["Cursor"]:
    """Yield a cursor inside one new database transaction that is committed at the end, or rolled back by any error.

    READ COMMITTED on purpose: after waiting for the ledger's lock the next statement must see what its previous
    holder committed; a snapshot taken with the lock statement would be older.

    Raises:
        UnavailableError: no answer; the outcome of a COMMIT is then unknown, and posting again finds it out.
        SchemaMissingError: the tables do not exist.
        RoleRefusedError: the login is not a member of the role, or the role may not do this.
        DatabaseRefusedError: a rule of the database refuses it.
    """
    try:
        connection = connect()
    except errors.InvalidParameterValue as error:
        raise SchemaMissingError("PostgreSQL does not have the roles of the ledger") from error
    except psycopg2.OperationalError as error:
        raise does_not_answer(Part.POSTGRES, error) from error
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise does_not_answer(Part.POSTGRES, error) from error
    except errors.InsufficientPrivilege as error:
        raise RoleRefusedError(f"PostgreSQL refuses it to this login: {error.diag.message_primary}") from error
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedFunction) as error:
        raise SchemaMissingError("PostgreSQL has no billing tables (or older ones) in this database") from error
    except psycopg2.DatabaseError as error:
        if not is_refusal(error.pgcode):
            raise
        raise DatabaseRefusedError(str(error.diag.message_primary), error.pgcode) from error
    finally:
        connection.close()


def alone(connect: Connect, work: "Callable[[Cursor], Answer]", sleep: Callable[[float], None]) -> Answer:
    """Do a piece of work in one database transaction under the ledger's lock; repeat it if the connection is lost.

    A connection lost during COMMIT leaves the outcome open; the work done again finds it out: the lock waits until the
    old database transaction is over, and its rows are then either there (nothing to do) or not (done now).
    """

    def once() -> Answer:
        with one_transaction(connect) as cursor:
            cursor.execute("SELECT billing.lock_ledger()")
            return work(cursor)

    retrying = Retrying(
        retry=retry_if_exception(_may_come_back),
        stop=stop_after_attempt(ATTEMPTS),
        wait=lambda state: RETRY.seconds(state.attempt_number, random.random),
        sleep=sleep,
        reraise=True,
    )
    return retrying(once)


def _may_come_back(error: BaseException) -> bool:
    return isinstance(error, UnavailableError) and not isinstance(error, SchemaMissingError)


def copy_rows(cursor: "Cursor", table: str, columns: str, rows: Iterable[tuple[Cell, ...]]) -> None:
    """Send rows by COPY without holding them all; `table` and `columns` are constants of this package."""
    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", _RowStream(rows))


class _RowStream:
    """The stream that COPY reads: rows in PostgreSQL's text format, made on demand."""

    def __init__(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        self._lines = map(_line, rows)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, empty at the end; COPY always gives a size."""
        parts, length = [self._rest], len(self._rest)
        while length < size and (line := next(self._lines, None)) is not None:
            parts.append(line)
            length += len(line)
        joined = b"".join(parts)
        self._rest = joined[size:]
        return joined[:size]

    def readline(self, _size: int = -1, /) -> bytes:
        """Return one row; only the type needs it, COPY never calls it."""
        return next(self._lines, b"")


def _line(row: tuple[Cell, ...]) -> bytes:
    return "\t".join(map(_cell, row)).encode() + b"\n"


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPED) if _TO_ESCAPE(value) else value
    if value is None:
        return "\\N"
    return str(value) if isinstance(value, int) else value.isoformat()
