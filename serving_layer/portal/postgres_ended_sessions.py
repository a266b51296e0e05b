"""Sessions of the portal that were ended early, in PostgreSQL: the same for every API process."""

from datetime import datetime

from serving_layer.access.postgres_reads import PostgresReads

_END = """
WITH over AS (DELETE FROM access.ended_sessions WHERE ends_at < now() - interval '1 day')
INSERT INTO access.ended_sessions (session_sha256, ends_at) VALUES (%s, %s)
ON CONFLICT (session_sha256) DO NOTHING RETURNING 1"""


class PostgresEndedSessions:
    """Blocking, thread-safe, bounded in time; both calls raise UnavailableError."""

    def __init__(self, url: str) -> None:
        self._queries = PostgresReads(url, read_only=False)

    def was_ended(self, digest: str) -> bool:
        """Return whether the session was signed out."""
        return bool(self._queries.query("SELECT 1 FROM access.ended_sessions WHERE session_sha256 = %s", (digest,)))

    def end(self, digest: str, ends_at: datetime) -> None:
        """Store until its expiry that the session was signed out; a repetition changes nothing."""
        self._queries.query(_END, (digest, ends_at))

    def close(self) -> None:
        """Disconnect."""
        self._queries.close()
