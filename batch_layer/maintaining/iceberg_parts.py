"""Parts of the batch tables in Iceberg: whole days, or whole tables, that are written again on a branch.

Iceberg's procedures are of no use here: the removal of deletes without a file works on `main` alone, which nothing but
publication moves. An overwrite of whole days on the branch replaces the files and their deletes in one commit.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.lake.iceberg_tables import IcebergTables, branch_of
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.tables import TABLES
from batch_layer.maintaining.compaction import PartFiles
from ingestion.contract.version import PublishedVersion

DAY = {"event_day": ("event_day", "event_day"), "days(appended_at)": ("to_date(appended_at)", "appended_at_day")}
"""Partitioning → the day of a row, and of a partition; the files of other tables are not divided by days."""
_ORDER = ("id_hash", "video_id", "partition", "offset")
"""By these columns rows are sorted within a day, as far as a table has them."""


class IcebergParts:
    """Writes parts of the tables again, and makes the branch with them a version."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._tables = IcebergTables(spark)

    @translated
    def files(self, snapshots: Mapping[str, int]) -> list[PartFiles]:
        """Return the files of every part of the tables at these snapshots, by Iceberg's lists; no row is read."""
        return [each for name in TABLES for each in self._parts(name, snapshots[name])]

    @translated
    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """Name the snapshots after the version, so that they are kept."""
        self._tables.tag(f"v{version}", snapshots)

    @translated
    def finish(self, version: PublishedVersion) -> None:
        """Make `main` show the published version and drop the run's branch."""
        self._tables.move_main(version.snapshots)
        self._tables.drop_branch(branch_of(version.run_id))

    def _rows(self, name: str, snapshot: int, where: Column | None) -> DataFrame:
        rows = self._tables.at(name, snapshot)
        return rows if where is None else rows.where(where)

    def _overwrite(self, name: str, run_id: str, rows: DataFrame, parts: Sequence[PartFiles]) -> None:
        """Replace parts of a table by rows, sorted by day and key, in one commit on the run's branch."""
        where = within(name, parts)
        day = [F.expr(DAY[TABLES[name].partitioning][0])] if where is not None else []
        order = [*day, *[F.col(column) for column in _ORDER if column in rows.columns]]
        file_count = sum(each.needed_count for each in parts)
        arranged = rows.repartitionByRange(file_count, *order).sortWithinPartitions(*order)
        self._tables.overwrite(name, branch_of(run_id), arranged, F.lit(True) if where is None else where)

    def _gone(self, name: str, before: int, now: int) -> Collection[str]:
        return sorted(set(self._tables.files(name, before)) - set(self._tables.files(name, now)))

    def _parts(self, name: str, snapshot: int) -> Iterable[PartFiles]:
        _, day_of_partition = DAY.get(TABLES[name].partitioning, ("", ""))
        sums: dict[date | None, PartFiles] = {}
        for row in self._tables.partitions(name, snapshot).collect():
            day = row.partition[day_of_partition] if day_of_partition else None
            each = PartFiles(
                name,
                day,
                row.file_count,
                row.position_delete_file_count,
                row.total_data_file_size_in_bytes,
            )
            sums[day] = _sum(sums[day], each) if day in sums else each
        return sums.values()


def _sum(one: PartFiles, other: PartFiles) -> PartFiles:
    return PartFiles(
        one.table,
        one.day,
        one.data_file_count + other.data_file_count,
        one.delete_file_count + other.delete_file_count,
        one.byte_count + other.byte_count,
    )


def by_table(parts: Sequence[PartFiles]) -> dict[str, list[PartFiles]]:
    """Return table → its parts, in the order of the tables."""
    return {name: found for name in TABLES if (found := [each for each in parts if each.table == name])}


def within(name: str, parts: Sequence[PartFiles]) -> Column | None:
    """Return a condition for the rows of parts of a table, which holds for whole files; None for the whole table."""
    days = sorted(each.day for each in parts if each.day is not None)
    if not days:
        return None
    if TABLES[name].partitioning == "event_day":
        return F.col("event_day").isin(days)
    appended_at, starts = F.col("appended_at"), [datetime.combine(day, time(), UTC) for day in days]
    ranges = [(appended_at >= F.lit(start)) & (appended_at < F.lit(start + timedelta(days=1))) for start in starts]
    return reduce(Column.__or__, ranges)


def others_changed(before: Sequence[PartFiles], after: Sequence[PartFiles], parts: Sequence[PartFiles]) -> list[str]:
    """Return a sentence for every part that was not to be written again and has other files."""
    written = {(each.table, each.day) for each in parts}
    others = {(each.table, each.day): each for each in before if (each.table, each.day) not in written}
    now = {(each.table, each.day): each for each in after if (each.table, each.day) not in written}
    return [
        f"{others.get(key) or now[key]} has other files after other days were written again"
        for key in sorted({*others, *now}, key=str)
        if others.get(key) != now.get(key)
    ]
