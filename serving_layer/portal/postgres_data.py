"""The data page's questions, asked as they are shown, on the reporting schema in PostgreSQL."""

from collections.abc import Mapping

from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.access.postgres_reads import PostgresReads
from serving_layer.portal.data_ports import DataAnswers, DataVersion

TRIES = 3
_VERSION = "SELECT version, settled_until, label FROM reporting.versions WHERE is_current"


class PostgresData:
    """See the port `DataReads`. Each question is a transaction; they are asked again if a version came between."""

    def __init__(self, url: str) -> None:
        self._reads = PostgresReads(url)

    def answers(self, questions: Mapping[str, str]) -> DataAnswers:
        """See the port."""
        version = self._version()
        for _ in range(TRIES):
            rows = {name: self._reads.query(sql.replace("%", "%%"), ()) for name, sql in questions.items()}
            if (after := self._version()) == version:
                return DataAnswers(version, rows)
            version = after
        raise UnavailableError(Part.POSTGRES, f"versions followed one another {TRIES} times while the page was read")

    def close(self) -> None:
        """Disconnect."""
        self._reads.close()

    def _version(self) -> DataVersion | None:
        return next((DataVersion(*row) for row in self._reads.query(_VERSION, ())), None)
