"""Compare the files of the archive with their records: find files that are missing, changed, or added."""

from pyspark.sql import SparkSession

from batch_layer.archive.archive_files import GONE, UNLISTED, FoundFiles, Hours, file_sentence, suspects
from batch_layer.archive.spark_files import damage, full_name, hours_of, stored_files
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.spark_errors import SPARK_ERRORS, translated
from batch_layer.lake.tables import RAW_EVENTS
from batch_layer.reconciling.ports import ReconciliationStore
from ingestion.contract.version import PublishedVersion


class SparkArchiveCheck:
    """See the port `ArchiveCheck`."""

    def __init__(self, spark: SparkSession, store: ReconciliationStore) -> None:
        self._spark = spark
        self._store = store
        self._tables = IcebergTables(spark)

    @translated
    def differences(self, version: PublishedVersion) -> list[str]:
        """See the port."""
        snapshot, main, folder = version.snapshots[RAW_EVENTS], self._tables.main(RAW_EVENTS), self._folder
        on_main = [] if main in (None, snapshot) else self._tables.files(RAW_EVENTS, main)
        stored = stored_files(self._spark, [folder])
        # read last: a version published meanwhile has recorded its files before `main` shows them
        recorded = self._store.recorded_files(version.version)
        expected = [path for path, each in recorded.items() if each.belongs_to(version.version)]
        totals = (len(expected), version.row_counts[RAW_EVENTS])
        # the list of files is read only if its totals differ
        is_listed = self._tables.totals(RAW_EVENTS, snapshot) == totals
        listed = expected if is_listed else self._tables.files(RAW_EVENTS, snapshot)
        suspected = suspects(version.version, recorded, FoundFiles(listed, on_main, stored))
        on_record = self._store.recorded_hours(suspected) if suspected else {}
        sentences = (self._sentence(path, what, on_record.get(path, {})) for path, what in suspected.items())
        return [each for each in sentences if each is not None]

    @translated
    def repair(self, version: PublishedVersion) -> list[str]:
        """Make `main` of every table show the version again; return the tables that were changed."""
        return self._tables.move_main(version.snapshots)

    @property
    def _folder(self) -> str:
        return self._tables.folder(RAW_EVENTS)

    def _sentence(self, path: str, what: str, recorded: Hours) -> str | None:
        try:
            found = {} if what in (GONE, UNLISTED) else hours_of(self._spark, full_name(self._folder, path))
        except SPARK_ERRORS as error:
            return f"file {path} of raw_events {what} and cannot be read ({damage(self._spark, error)})"
        return file_sentence(path, what, recorded, found)
