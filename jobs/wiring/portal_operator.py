"""Wire the operator's half of the portal to PostgreSQL, Kafka and the checks of `doctor`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from batch_layer.errors import BatchError
from ingestion.contract.dead_letter import DeadLetter
from ingestion.contract.printable import escaped
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.checkup.checks import CheckRow, CheckVerdict
from jobs.checkup.kafka_access import check_answer
from jobs.checkup.pipeline import partition_progress, pipeline_rows
from jobs.checkup.servers import server_rows
from jobs.errors import CommandError
from jobs.settings.brokers import read_brokers
from jobs.wiring.dead_letters import open_replay
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.postgres_operations import PostgresOperations
from serving_layer.portal.records import PartHealth, PartitionRow, ReconciliationRow, RunRow, VersionRow
from speed_layer.kafka_dead_letter_replay import ReplayRefusedError

DEAD_LETTERS_SHOWN = 100
TEXT_SHOWN = 2_000


@contextmanager
def _kafka_as_a_part() -> Iterator[None]:
    """Let a page name Kafka as what does not answer, whether it refuses us or cannot be read."""
    try:
        yield
    except (BatchError, CommandError) as error:
        raise UnavailableError(Part.KAFKA, str(error)) from error


class OperatorServices:
    """Implements `serving_layer.portal.ports.OperatorReads`."""

    def __init__(self, operations: PostgresOperations, environ: Mapping[str, str]) -> None:
        self._operations = operations
        self._environ = environ
        self._replay = open_replay(environ)

    def runs(self) -> Sequence[RunRow]:
        """See the port."""
        return self._operations.runs()

    def run(self, run_id: str) -> RunRow | None:
        """See the port."""
        return self._operations.run(run_id)

    def versions(self) -> Sequence[VersionRow]:
        """See the port."""
        return self._operations.versions()

    def reconciliations(self) -> Sequence[ReconciliationRow]:
        """See the port."""
        return self._operations.reconciliations()

    def dead_letters(self) -> Sequence[DeadLetter]:
        """See the port."""
        with _kafka_as_a_part():
            check_answer(read_brokers(self._environ))
        newest = self._replay.newest(DEAD_LETTERS_SHOWN)
        return [
            replace(each, reasons=tuple(map(escaped, each.reasons)), text=escaped(each.text[:TEXT_SHOWN]))
            for each in newest
        ]

    def replay(self, partition: int, offset: int, actor: str) -> bool:
        """See the port."""
        try:
            self._replay.replay(partition, offset, actor)
        except ReplayRefusedError as error:
            raise RefusedActionError(f"Nothing was sent: {error}.") from error
        return True

    def partitions(self) -> Sequence[PartitionRow]:
        """See the port."""
        with _kafka_as_a_part():
            found = partition_progress(self._environ)
        return [PartitionRow(each.partition, each.lag, each.covered_ago_seconds, each.state) for each in found]

    def health(self) -> Sequence[PartHealth]:
        """See the port."""
        return healths(server_rows(self._environ) + pipeline_rows(self._environ))


_STATES = {CheckVerdict.BAD: "fails", CheckVerdict.WARN: "warning", CheckVerdict.OK: "well"}
"""Verdict of a check → state of a part, the worst first."""


def healths(rows: Sequence[CheckRow]) -> list[PartHealth]:
    """Return the rows of `doctor` as the page shows them: the worst first, otherwise in the order of the checks."""
    worst_first = sorted(rows, key=lambda row: list(_STATES).index(row.verdict))
    return [
        PartHealth(row.subject, _STATES[row.verdict], " → ".join(filter(None, (row.found, row.remedy))))
        for row in worst_first
    ]
