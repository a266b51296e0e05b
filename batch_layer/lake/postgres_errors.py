"""Translate the errors of PostgreSQL's client into the batch layer's own."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from batch_layer.errors import RefusedError
from ingestion.contract.unavailable import Part, does_not_answer


@contextmanager
def translated() -> Iterator[None]:
    """Raise UnavailableError if PostgreSQL does not answer, and RefusedError if its schema is missing or older."""
    try:
        yield
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise does_not_answer(Part.POSTGRES, error) from error
    except (
        psycopg2.errors.UndefinedTable,
        psycopg2.errors.UndefinedColumn,
        psycopg2.errors.InvalidSchemaName,
    ) as error:
        raise RefusedError("the PostgreSQL schema is missing or older; run ./viewledger migrate") from error
