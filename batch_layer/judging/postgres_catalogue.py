"""Read from PostgreSQL which of billing's catalogues is in force."""

import psycopg2

from batch_layer.lake.postgres_connection import connected
from ingestion.contract.unavailable import Part, does_not_answer


def latest_catalogue_version(url: str) -> int:
    """Return the newest catalogue version; 0 if there is none."""
    try:
        connection = connected(url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT coalesce(max(catalogue_version), 0) FROM billing.catalogues_in_force")
                found = cursor.fetchone()
                return int(found[0]) if found else 0
        finally:
            connection.close()
    except psycopg2.OperationalError as error:
        raise does_not_answer(Part.POSTGRES, error) from error
