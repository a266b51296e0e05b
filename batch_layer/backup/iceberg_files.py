"""The files that the batch tables need: of every snapshot that their metadata names, and no others."""

from collections.abc import Mapping

from pyspark.sql import SparkSession

from batch_layer.lake.iceberg_tables import NAMESPACE, IcebergTables, path_of
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.tables import TABLES

_NAMES = (("file_path", "all_files"), ("path", "all_manifests"), ("manifest_list", "snapshots"))
"""Column and table of Iceberg that name files: of rows and deletes, their manifests, the lists of these."""


class IcebergFiles:
    """Names files by their paths without scheme and host. Nothing may write the tables meanwhile."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._tables = IcebergTables(spark)

    @translated
    def metadata(self) -> Mapping[str, str]:
        """Return table → its metadata file, the one that all its other files follow from; empty before the first run.

        A batch run removes old metadata files, so that they are to be copied before the next one.
        """
        if not self._tables.exists():
            return {}
        tables = {name: self._tables.table(name) for name in TABLES}
        return {
            name: path_of(str(table.operations().current().metadataFileLocation())) for name, table in tables.items()
        }

    @translated
    def of(self, table: str) -> list[str]:
        """Return all other files that a table needs, sorted; only maintenance removes them."""
        selects = [f"SELECT {column} AS path FROM {NAMESPACE}.{table}.{files}" for column, files in _NAMES]  # noqa: S608
        found = {path_of(row.path) for row in self._spark.sql(" UNION ".join(selects)).collect() if row.path}
        stored = self._tables.table(table)
        for files in (stored.statisticsFiles(), stored.partitionStatisticsFiles()):
            found |= {path_of(str(each.path())) for each in files}
        return sorted(found)

    def folder(self, table: str) -> str:
        """Return a table's folder."""
        return path_of(str(self._tables.table(table).location()))
