"""Compaction of the batch tables in Iceberg: the same rows in few files, on a branch, compared before it is published.

Iceberg's procedures are of no use here: the removal of deletes without a file works on `main` alone, which nothing but
publication moves. An overwrite of whole days on the branch replaces the files and their deletes in one commit.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.archive_files import GONE
from batch_layer.lake.iceberg_tables import IcebergTables, branch_of
from batch_layer.lake.spark_content_hash import BY_FILE, contents
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.tables import RAW_EVENTS, TABLES
from batch_layer.maintaining.compaction import PartFiles
from batch_layer.maintaining.ports import Compacted
from batch_layer.run.spark_contents import archived_files
from ingestion.contract.version import PublishedVersion

_DAY = {"event_day": ("event_day", "event_day"), "days(appended_at)": ("to_date(appended_at)", "appended_at_day")}
"""Partitioning → the day of a row, and of a partition; the files of other tables are not divided by days."""
_ORDER = ("id_hash", "video_id", "partition", "offset")
"""By these columns rows are sorted within a day, as far as a table has them."""


class IcebergCompaction:
    """See the port `Compaction`."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._tables = IcebergTables(spark)

    @translated
    def files(self, snapshots: Mapping[str, int]) -> list[PartFiles]:
        """See the port. Reads Iceberg's lists of files, and no rows."""
        return [each for name in TABLES for each in self._parts(name, snapshots[name])]

    @translated
    def rewrite(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> None:
        """See the port. Executors sort the rows; one commit for each table."""
        branch = branch_of(run_id)
        self._tables.open_branch(branch, base.snapshots)
        for name, of_table in _by_table(parts).items():
            where = _within(name, of_table)
            day = [F.expr(_DAY[TABLES[name].partitioning][0])] if where is not None else []
            rows = self._rows(name, base.snapshots[name], where)
            order = [*day, *[F.col(column) for column in _ORDER if column in rows.columns]]
            file_count = sum(each.needed_count for each in of_table)
            arranged = rows.repartitionByRange(file_count, *order).sortWithinPartitions(*order)
            self._tables.overwrite(name, branch, arranged, F.lit(True) if where is None else where)

    @translated
    def compare(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> Compacted:
        """See the port."""
        heads, differences = self._tables.heads(branch_of(run_id)), list[str]()
        sides: dict[str, DataFrame] = {}
        compacted = _by_table(parts)
        for name, of_table in compacted.items():
            where = _within(name, of_table)
            sides[f"-{name}"] = self._rows(name, base.snapshots[name], where)
            sides[f"+{name}"] = self._rows(name, heads[name], where)
        by_file: dict[str, DataFrame] = {}
        if RAW_EVENTS in compacted:
            by_file[RAW_EVENTS] = sides[f"+{RAW_EVENTS}"].select("*", "_file")
        found = contents(sides | by_file, dict.fromkeys(by_file, BY_FILE))
        for name in compacted:
            before, now = found[f"-{name}", None], found[f"+{name}", None]
            if before != now:
                differences.append(f"{name} had {before}, and has {now} after compaction")
        after = self.files(heads)
        differences += _others_changed(self.files(base.snapshots), after, parts)
        by_name = {str(part): content for (name, part), content in found.items() if name == RAW_EVENTS}
        archived, gone = archived_files(self._spark, by_name)
        differences += [f"file {path} of {RAW_EVENTS} {GONE}" for path in gone]
        replaced = self._gone(RAW_EVENTS, base.snapshots[RAW_EVENTS], heads[RAW_EVENTS]) if by_file else ()
        return Compacted(heads, archived, replaced, after, tuple(differences))

    @translated
    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """See the port."""
        self._tables.tag(f"v{version}", snapshots)

    @translated
    def finish(self, version: PublishedVersion) -> None:
        """See the port."""
        self._tables.move_main(version.snapshots)
        self._tables.drop_branch(branch_of(version.run_id))

    def _rows(self, name: str, snapshot: int, where: Column | None) -> DataFrame:
        rows = self._tables.at(name, snapshot)
        return rows if where is None else rows.where(where)

    def _gone(self, name: str, before: int, now: int) -> Collection[str]:
        return sorted(set(self._tables.files(name, before)) - set(self._tables.files(name, now)))

    def _parts(self, name: str, snapshot: int) -> Iterable[PartFiles]:
        _, day_of_partition = _DAY.get(TABLES[name].partitioning, ("", ""))
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


def _by_table(parts: Sequence[PartFiles]) -> dict[str, list[PartFiles]]:
    return {name: found for name in TABLES if (found := [each for each in parts if each.table == name])}


def _within(name: str, parts: Sequence[PartFiles]) -> Column | None:
    """Return a condition for the rows of parts of a table, which holds for whole files; None for the whole table."""
    days = sorted(each.day for each in parts if each.day is not None)
    if not days:
        return None
    if TABLES[name].partitioning == "event_day":
        return F.col("event_day").isin(days)
    appended_at, starts = F.col("appended_at"), [datetime.combine(day, time(), UTC) for day in days]
    ranges = [(appended_at >= F.lit(start)) & (appended_at < F.lit(start + timedelta(days=1))) for start in starts]
    return reduce(Column.__or__, ranges)


def _others_changed(before: Sequence[PartFiles], after: Sequence[PartFiles], parts: Sequence[PartFiles]) -> list[str]:
    """Return a sentence for every part that was not to be compacted and has other files."""
    compacted = {(each.table, each.day) for each in parts}
    others = {(each.table, each.day): each for each in before if (each.table, each.day) not in compacted}
    now = {(each.table, each.day): each for each in after if (each.table, each.day) not in compacted}
    return [
        f"{others.get(key) or now[key]} has other files after the compaction of other days"
        for key in sorted({*others, *now}, key=str)
        if others.get(key) != now.get(key)
    ]
