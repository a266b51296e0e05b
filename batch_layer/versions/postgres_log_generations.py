"""The generations of the topic's log, recorded in PostgreSQL."""

from batch_layer.errors import RefusedError
from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated
from ingestion.contract.offsets import LogGeneration, other_log

_INSERT = """
    INSERT INTO published.log_generations (topic, generation, log_id, actor, reason) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING"""


class PostgresLogGenerations:
    """Keeps the generations of one topic's log. Connects in the constructor; raise UnavailableError."""

    def __init__(self, url: str, topic: str) -> None:
        self._topic = topic
        with translated():
            self._connection = connected(url)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def newest(self) -> LogGeneration | None:
        """Return the log that is counted; None if none is recorded yet."""
        query = (
            "SELECT generation, log_id FROM published.log_generations WHERE topic = %s ORDER BY generation DESC LIMIT 1"
        )
        with translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(query, (self._topic,))
            row = cursor.fetchone()
        return LogGeneration(*row) if row else None

    def checked(self, log_id: str) -> LogGeneration:
        """Return the generation of the broker's log; the first log ever seen is recorded as number 0.

        Raises:
            RefusedError: another log is on record.
        """
        known = self.newest()
        if known is None:
            self._store(LogGeneration(0, log_id), "batch run", "the first log that was counted")
            return self.checked(log_id)
        if known.log_id != log_id:
            raise RefusedError(other_log(self._topic, known, log_id))
        return known

    def begin(self, log_id: str, actor: str, reason: str) -> LogGeneration:
        """Record the next generation, with its author and the reason."""
        known = self.newest()
        begun = LogGeneration(known.number + 1 if known else 1, log_id)
        self._store(begun, actor, reason)
        if self.newest() != begun:
            raise RefusedError("somebody else began a generation at the same time; look with ./viewledger doctor")
        return begun

    def _store(self, generation: LogGeneration, actor: str, reason: str) -> None:
        with translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(_INSERT, (self._topic, generation.number, generation.log_id, actor, reason))
