"""The batch tables in Iceberg: the branches, tags and snapshots through which a run writes them.

Nothing here moves `main` except `move_main`, which publication calls after the pointer has moved.
"""

import json
import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from batch_layer.errors import DifferenceError
from batch_layer.lake.spark_kept import Kept
from batch_layer.lake.tables import CLOSED_TABLES, TABLES, TALLY, VIEWERS, is_todays_layout

NAMESPACE = "ledger.views"
_READING = {"read.split.open-file-cost": str(512 << 10)}
"""A task reads about 32 of a run's small files; by Iceberg's default four, which makes dozens of tasks of nothing."""


def path_of(name: str) -> str:
    """Return a file's path without scheme and host, in any notation."""
    return re.sub(r"^[a-z]+:(//[^/]*)?", "", name)


class IcebergTables:
    """The batch tables in one catalog."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._loaded: dict[str, Any] = {}

    def create_missing(self) -> None:
        """Create missing tables, and close the folders of the closed tables; otherwise change nothing."""
        self._loaded.clear()
        self._spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {NAMESPACE}")
        there = {row.tableName for row in self._spark.sql(f"SHOW TABLES IN {NAMESPACE}").collect()}
        for name, table in TABLES.items():
            if name not in there:
                options = {
                    "format-version": "2",
                    "write.parquet.compression-codec": "snappy",
                    **_READING,
                    **table.properties,
                }
                listed = ", ".join(f"'{key}'='{value}'" for key, value in options.items())
                columns = ", ".join(
                    f"{each.name} {each.type} COMMENT {_quoted(each.comment)}" for each in table.columns
                )
                self._spark.sql(
                    f"CREATE TABLE {NAMESPACE}.{name} ({columns}) USING iceberg PARTITIONED BY ({table.partitioning}) "
                    f"COMMENT {_quoted(table.comment)} TBLPROPERTIES ({listed})"
                )

        for name in CLOSED_TABLES:
            self._close(name)

    def has_todays_layout(self, snapshots: Mapping[str, int]) -> bool:
        """Return whether the tables of a version, by their snapshots, are those of this release."""
        return snapshots.keys() == TABLES.keys() and is_todays_layout(
            {name: self._columns(name, snapshot) for name, snapshot in snapshots.items()}
        )

    def _columns(self, name: str, snapshot: int) -> dict[str, str]:
        """Return the columns that a table had when a snapshot was written, and their types."""
        java: Any = self._spark._jvm
        table = self.table(name)
        found = table.snapshot(snapshot)
        # no version keeps a snapshot of personal columns: the newest one is all there is
        schema = table.schema() if found is None else table.schemas().get(found.schemaId())
        kind = StructType.fromJson(json.loads(java.org.apache.iceberg.spark.SparkSchemaUtil.convert(schema).json()))
        return {each.name: each.dataType.simpleString() for each in kind}

    def renew_layout(self) -> None:
        """Give tables of an earlier release today's columns and properties; earlier snapshots keep their own.

        A column of another type is dropped and added again, so that its former values are read by time travel alone.
        """
        for name, table in TABLES.items():
            there = dict(self._spark.table(f"{NAMESPACE}.{name}").dtypes)
            wanted = {each.name: each for each in table.columns}
            changed = [
                column for column, kind in there.items() if column in wanted and kind != wanted[column].type_name
            ]
            for column in [each for each in there if each not in wanted] + changed:
                self._spark.sql(f"ALTER TABLE {NAMESPACE}.{name} DROP COLUMN {column}")
                del there[column]
            for each in wanted.values():
                if each.name not in there:
                    self._spark.sql(
                        f"ALTER TABLE {NAMESPACE}.{name} ADD COLUMN {each.name} {each.type} "
                        f"COMMENT {_quoted(each.comment)}"
                    )
            for key, value in (_READING | dict(table.properties)).items():
                self._spark.sql(f"ALTER TABLE {NAMESPACE}.{name} SET TBLPROPERTIES ('{key}'='{value}')")

    def _close(self, name: str) -> None:
        """Restrict a table's folder to its owner, before any file is in it, and for existing tables.

        Further rights that an administrator granted by an access control list remain.
        """
        java: Any = self._spark._jvm
        folder = java.org.apache.hadoop.fs.Path(self.table(name).location())
        files = folder.getFileSystem(self._spark._jsc.hadoopConfiguration())
        status = files.getFileStatus(folder)
        if not status.hasAcl() and status.getPermission().toShort() & 0o077:
            files.setPermission(folder, java.org.apache.hadoop.fs.permission.FsPermission(0o700))

    def open_branch(self, branch: str, base: Mapping[str, int]) -> None:
        """Create `branch` from the base snapshots in every table; an absent base is the empty table."""
        for name in TABLES:
            table = self.table(name)
            self._drop_branch(table, branch)
            changes = table.manageSnapshots()
            # without a snapshot Iceberg makes an empty one; main of an unpublished table is never moved, so it has none
            (changes.createBranch(branch, base[name]) if name in base else changes.createBranch(branch)).commit()

    def heads(self, branch: str) -> dict[str, int]:
        """Return the newest snapshot of a branch in every table."""
        return {name: self.head(name, branch) for name in TABLES}

    def append(self, name: str, branch: str, rows: DataFrame) -> None:
        """Append rows to a table's branch."""
        rows.select(*[each.name for each in TABLES[name].columns]).writeTo(branch_target(name, branch)).append()

    def overwrite(self, name: str, branch: str, rows: DataFrame, where: Column) -> None:
        """Replace what `where` selects, which must be whole files, by rows; the deletes of these files go, too."""
        rows.select(*[each.name for each in TABLES[name].columns]).writeTo(branch_target(name, branch)).overwrite(where)

    def delete_rows(
        self, name: str, branch: str, rows: DataFrame, row_count: int, *, days: Collection[date] | None = None
    ) -> None:
        """Delete rows of a table's branch by their `_file` and `_pos`; no data file is rewritten.

        `days`: they are on these event days, and files of others are not opened.

        Raises:
            DifferenceError: another number of rows than `row_count` was deleted.
        """
        before = self._position_deletes(name, branch)
        is_deleted = (F.col("_file") == F.col("deleted_file")) & (F.col("_pos") == F.col("deleted_pos"))
        if days:
            is_deleted &= F.col("event_day").isin(sorted(days))
        positions = rows.select(F.col("_file").alias("deleted_file"), F.col("_pos").alias("deleted_pos"))
        # Spark knows no size of computed rows, and would send all stored ones to them
        deleted_rows = Kept(positions, row_count).joinable()
        deleted_rows.mergeInto(branch_target(name, branch), is_deleted).whenMatched().delete().merge()
        deleted = self._position_deletes(name, branch) - before
        if deleted != row_count:
            raise DifferenceError(
                f"{deleted} rows of {name} were replaced instead of {row_count}; nothing was published"
            )

    def _position_deletes(self, name: str, branch: str) -> int:
        return int(self.table(name).snapshot(branch).summary().get("total-position-deletes") or 0)

    def tag(self, label: str, snapshots: Mapping[str, int]) -> None:
        """Tag the snapshots; a tag that a crashed run left is moved. Personal columns are not kept by tags."""
        for name, snapshot in snapshots.items():
            if name == VIEWERS:
                continue
            table = self.table(name)
            changes = table.manageSnapshots()
            there = table.refs().containsKey(label)
            (changes.replaceTag(label, snapshot) if there else changes.createTag(label, snapshot)).commit()

    def move_main(self, snapshots: Mapping[str, int]) -> list[str]:
        """Make `main` show exactly these snapshots; return the tables whose `main` was another."""
        moved = []
        for name, snapshot in snapshots.items():
            table = self.table(name)
            changes = table.manageSnapshots()
            if _show(table, changes, snapshot):
                changes.commit()
                moved.append(name)
        return moved

    def finish(self, branch: str, snapshots: Mapping[str, int]) -> None:
        """Make `main` show these snapshots and remove the branch, in one commit for each table."""
        for name, snapshot in snapshots.items():
            table = self.table(name)
            changes = table.manageSnapshots()
            if _show(table, changes, snapshot) | _remove(table, changes, branch):
                changes.commit()

    def drop_branch(self, branch: str) -> None:
        """Remove a branch from every table; its files stay until snapshots are expired."""
        for name in TABLES:
            self._drop_branch(self.table(name), branch)

    def drop_branches(self, prefix: str, keep: Collection[str], of: Collection[str] = tuple(TABLES)) -> None:
        """Remove every branch whose name begins with `prefix`, except those to keep, from tables."""
        for name in of:
            table = self.table(name)
            # an array: the end of an iterator would be an exception of Java's, which takes a dozen calls to translate
            for branch in map(str, table.refs().keySet().toArray()):
                if branch.startswith(prefix) and branch not in keep:
                    self._drop_branch(table, branch)

    def at(self, name: str, snapshot: int) -> DataFrame:
        """Read a table as of a snapshot."""
        return self._spark.read.option("versionAsOf", snapshot).table(f"{NAMESPACE}.{name}")

    def newest(self, name: str) -> DataFrame:
        """Read what `main` of a table shows."""
        return self._spark.table(f"{NAMESPACE}.{name}")

    def between(self, name: str, start: int, end: int) -> DataFrame:
        """Read the rows appended after snapshot `start` up to snapshot `end`."""
        reader = self._spark.read.format("iceberg").option("start-snapshot-id", start).option("end-snapshot-id", end)
        return reader.load(f"{NAMESPACE}.{name}")

    def on_branch(self, name: str, branch: str) -> DataFrame:
        """Read a table's branch."""
        return self.at(name, self.head(name, branch))

    def files(self, name: str, snapshot: int) -> list[str]:
        """Return the paths of a table's data files as of a snapshot, in their order, without scheme and host."""
        rows = self._spark.read.option("versionAsOf", snapshot).table(f"{NAMESPACE}.{name}.files")
        return sorted(path_of(row.file_path) for row in rows.select("file_path").collect())

    def partitions(self, name: str, snapshot: int) -> DataFrame:
        """Return the partitions of a table as of a snapshot, each with its numbers of rows, files and bytes."""
        return self._spark.read.option("versionAsOf", snapshot).table(f"{NAMESPACE}.{name}.partitions")

    def totals(self, name: str, snapshot: int) -> tuple[int, int]:
        """Return the number of data files and of rows that a snapshot counts."""
        summary = self.table(name).snapshot(snapshot).summary()
        return int(summary.get("total-data-files")), int(summary.get("total-records"))

    def main(self, name: str) -> int | None:
        """Return the snapshot that `main` shows."""
        current = self.table(name).currentSnapshot()
        return None if current is None else int(current.snapshotId())

    def folder(self, name: str) -> str:
        """Return the folder of a table's data files, in full."""
        return f"{self.table(name).location()}/data"

    def exists(self) -> bool:
        """Return whether the tables exist."""
        return bool(self._spark.catalog.tableExists(f"{NAMESPACE}.{TALLY}"))

    def table(self, name: str) -> Any:
        """Return a table as it is now; loaded once, its metadata is read again only if it changed."""
        if name in self._loaded:
            self._loaded[name].refresh()
        else:
            java: Any = self._spark._jvm
            loader = java.org.apache.iceberg.spark.Spark3Util
            self._loaded[name] = loader.loadIcebergTable(self._spark._jsparkSession, f"{NAMESPACE}.{name}")
        return self._loaded[name]

    def head(self, name: str, branch: str) -> int:
        """Return the newest snapshot of a table's branch."""
        return int(self.table(name).snapshot(branch).snapshotId())

    @staticmethod
    def _drop_branch(table: Any, branch: str) -> None:
        changes = table.manageSnapshots()
        if _remove(table, changes, branch):
            changes.commit()


def _show(table: Any, changes: Any, snapshot: int) -> bool:
    """Let `main` show a snapshot; return whether that changes anything."""
    current = table.snapshot("main")
    if current is not None and current.snapshotId() == snapshot:
        return False
    _ = changes.createBranch("main", snapshot) if current is None else changes.replaceBranch("main", snapshot)
    return True


def _remove(table: Any, changes: Any, branch: str) -> bool:
    """Remove a branch; return whether there is one."""
    if not table.refs().containsKey(branch):
        return False
    changes.removeBranch(branch)
    return True


def branch_of(run_id: str) -> str:
    """Return the name of a run's branch."""
    return "run_" + run_id.lower().replace("-", "_")


def branch_target(name: str, branch: str) -> str:
    """Return the identifier by which Spark writes to a table's branch."""
    return f"{NAMESPACE}.{name}.branch_{branch}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
