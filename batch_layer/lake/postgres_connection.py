"""Connect batch runs to PostgreSQL; every wait is bounded."""

import psycopg2
from psycopg2.extensions import connection as Connection

CONNECT_SECONDS_MAX = 5
STATEMENT_SECONDS_MAX = 600
"""Publishing a first version may write a million counts."""
SILENCE_SECONDS_MAX = 30
"""The time after which a dead server is noticed, in the middle of a statement or between two."""


def connected(url: str) -> Connection:
    """Return a new connection; raise psycopg2.OperationalError."""
    return psycopg2.connect(
        url,
        application_name="viewledger-batch",
        connect_timeout=CONNECT_SECONDS_MAX,
        tcp_user_timeout=SILENCE_SECONDS_MAX * 1000,
        keepalives_idle=SILENCE_SECONDS_MAX // 2,
        keepalives_interval=5,
        keepalives_count=3,
        options=f"-c statement_timeout={STATEMENT_SECONDS_MAX * 1000}",
    )
