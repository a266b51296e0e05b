"""The upkeep of the batch tables in Iceberg: tags, snapshots and files that no version needs any more."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from batch_layer.errors import EarlierLayoutError
from batch_layer.lake.iceberg_tables import NAMESPACE, IcebergTables, branch_of
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.tables import ERASABLE_TABLES, TABLES
from ingestion.contract.version import PublishedVersion

CATALOG = NAMESPACE.partition(".")[0]
PROPERTIES = {"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "20"}
"""Every commit writes a metadata file; the older ones are removed with the next commits."""


class IcebergUpkeep:
    """See the port `TableUpkeep`."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._tables = IcebergTables(spark)

    @translated
    def repair(self, current: PublishedVersion, kept_runs: Collection[str]) -> list[str]:
        """See the port."""
        if not self._tables.has_todays_layout(current.snapshots):
            raise EarlierLayoutError(current.version)
        for name in TABLES:
            table, wanted = self._tables.table(name), {**PROPERTIES, **TABLES[name].properties}
            if any(table.properties().get(key) != value for key, value in wanted.items()):
                change = table.updateProperties()
                for key, value in wanted.items():
                    change = change.set(key, value)
                change.commit()
        self._tables.drop_branches("run_", keep={branch_of(run_id) for run_id in kept_runs})
        return self._tables.move_main(current.snapshots)

    @translated
    def drop_tags(self, versions: Collection[int], superseded_by: int) -> int:
        """See the port. One commit for each table, however many tags."""
        count = 0
        for name in TABLES:
            table = self._tables.table(name)
            before = superseded_by if name in ERASABLE_TABLES else 0
            found = [match for ref in table.refs().keySet() if (match := re.fullmatch(r"v(\d+)", str(ref)))]
            tags = sorted(each[0] for each in found if int(each[1]) in versions or int(each[1]) < before)
            if tags:
                change = table.manageSnapshots()
                for tag in tags:
                    change = change.removeTag(tag)
                change.commit()
                count += len(tags)
        return count

    @translated
    def expire_snapshots(self, before: datetime) -> int:
        """See the port. Executors find the files that no remaining snapshot needs."""
        count = 0
        for name in TABLES:
            (row,) = self._spark.sql(
                f"CALL {CATALOG}.system.expire_snapshots(table => '{_short(name)}', older_than => {_instant(before)}, "
                "retain_last => 1, clean_expired_metadata => true)"
            ).collect()
            count += sum(value for key, value in row.asDict().items() if re.fullmatch(r"deleted_\w+_count", key))
        return count

    @translated
    def remove_orphans(self, before: datetime) -> int:
        """See the port. Iceberg refuses an instant that is less than a day ago."""
        arguments = f"older_than => {_instant(before)}"
        return sum(
            self._spark.sql(
                f"CALL {CATALOG}.system.remove_orphan_files(table => '{_short(name)}', {arguments})"
            ).count()
            for name in TABLES
        )

    @translated
    def snapshot_counts(self) -> Mapping[str, int]:
        """See the port."""
        return {name: sum(1 for _ in self._tables.table(name).snapshots()) for name in TABLES}


def _short(name: str) -> str:
    return f"{NAMESPACE.partition('.')[2]}.{name}"


def _instant(instant: datetime) -> str:
    return f"TIMESTAMP '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
