"""Connect batch runs to PostgreSQL; every wait is bounded."""

import psycopg2
from psycopg2.extensions import STATUS_READY
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ingestion.contract.postgres_transactions import own_settings

CONNECT_SECONDS_MAX = 5
STATEMENT_SECONDS_MAX = 600
"""Publishing a first version may write a million counts."""
SILENCE_SECONDS_MAX = 30
"""The time after which a dead server is noticed, in the middle of a statement or between two."""
_SETTINGS = own_settings(statement_ms=STATEMENT_SECONDS_MAX * 1000)


class _Bounded(Connection):
    """Bounds the statements of each transaction; one begins with the first cursor after another's end."""

    def cursor(self) -> Cursor:  # type: ignore[override]
        if self.status == STATUS_READY:
            with super().cursor() as first:
                first.execute(_SETTINGS)
        return super().cursor()


def connected(url: str) -> Connection:
    """Return a new connection; raise psycopg2.OperationalError."""
    return psycopg2.connect(
        url,
        connection_factory=_Bounded,
        application_name="viewledger-batch",
        connect_timeout=CONNECT_SECONDS_MAX,
        tcp_user_timeout=SILENCE_SECONDS_MAX * 1000,
        keepalives_idle=SILENCE_SECONDS_MAX // 2,
        keepalives_interval=5,
        keepalives_count=3,
    )
