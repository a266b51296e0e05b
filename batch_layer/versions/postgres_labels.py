"""The names that people give to published versions, in PostgreSQL."""

from contextlib import closing

import psycopg2

from batch_layer.errors import RefusedError
from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated
from batch_layer.lake.postgres_rows import read_rows

_LABEL = "INSERT INTO published.version_labels (version, label, actor) VALUES (%s, %s, %s)"
_LABELS = "SELECT version, label FROM published.current_labels"


def label_version(url: str, version: int, label: str, *, actor: str) -> None:
    """Give a version a name, in the place of the one it had; raise RefusedError if it is not published."""
    with translated(), closing(connected(url)) as connection, connection, connection.cursor() as cursor:
        try:
            cursor.execute(_LABEL, (version, label, actor))
        except psycopg2.errors.ForeignKeyViolation as error:
            raise RefusedError(
                f"version {version} is not published; ./viewledger batch versions lists those that are"
            ) from error


def labels(url: str) -> dict[int, str]:
    """Return version → its name, of those that have one."""
    return dict(read_rows(url, _LABELS))
