"""A fault run's own queries of PostgreSQL, independent of the product."""

from typing import Any

import psycopg2


def administer(url: str, statement: str) -> None:
    """Run one statement outside a transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def queries(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()
