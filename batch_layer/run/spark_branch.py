"""Read and change the tables of a run's branch; what a run changed is read back from what was written."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.archive.removals import Removals
from batch_layer.judging.spark_accepted import filed_under_own_day
from batch_layer.judging.spark_aggregates import CellChanges
from batch_layer.judging.spark_decode import PERSON
from batch_layer.lake.content import Content
from batch_layer.lake.iceberg_tables import IcebergTables, branch_of
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, POSITION, days_of, matching
from batch_layer.lake.tables import VIEWERS

FILE_ROWS = 500_000
"""About as many rows of a run go to one file of each day."""
_FILE_ORDER = ("event_day", "id_hash", "video_id")
"""By these columns rows are sorted within a file, as far as a table has them."""


@dataclass
class WrittenParts:
    """What the parts of a run have changed so far, one entry for each part."""

    events: list[TableChanges] = field(default_factory=list)
    totals: list[CellChanges] = field(default_factory=list)
    viewers: list[TableChanges] = field(default_factory=list)
    """The rows of viewers that came and went; see `changed_viewers`."""


@dataclass(frozen=True)
class ArchivedRows:
    """The rows of an archived part, read back, and the content of what Kafka sent."""

    raw: DataFrame
    sent: Content


@dataclass(frozen=True)
class JudgedRows:
    """The rows of a judged part."""

    raw: DataFrame
    sent: Content
    new: DataFrame | None
    """The newly decoded events, with those that a decision accepts as candidates; None where none can be."""
    rejected_count: int
    moved: Kept
    """Stored late events that a decision moves to another day, as they were."""
    changes: Mapping[str, TableChanges]
    removals: Removals = field(default_factory=Removals)
    """Of the events of a version that is written again: what of them is no longer among the raw events."""


@dataclass(frozen=True)
class BranchTables:
    """The tables as a run's branch has them now."""

    tables: IcebergTables
    run_id: str

    def read(self, name: str) -> DataFrame:
        """Return the rows of a table, pinned to its newest snapshot."""
        return self.tables.at(name, self.head(name))

    def head(self, name: str) -> int:
        """Return the newest snapshot of a table."""
        return self.tables.head(name, branch_of(self.run_id))

    def replace(
        self, name: str, removed: Kept | None, added: Kept, *, days: Collection[date] | None = None
    ) -> TableChanges:
        """Delete stored rows, given with their position, and append others, computed while they are written.

        `days`: the former are on these event days.
        """
        if removed is not None and removed.count:
            self.tables.delete_rows(name, branch_of(self.run_id), removed.rows, removed.count, days=days)
        before = self.head(name)
        if added.count:
            order = [column for column in _FILE_ORDER if column in added.rows.columns]
            file_rows = added.rows.coalesce(added.count // FILE_ROWS + 1)
            in_order = file_rows.sortWithinPartitions(*order) if order else file_rows
            self.tables.append(name, branch_of(self.run_id), in_order)
        return TableChanges(removed or self._nothing(name, before), self.appended(name, before))

    def unchanged(self, name: str) -> TableChanges:
        """Return no changes of a table."""
        head = self.head(name)
        return TableChanges(self._nothing(name, head), self.appended(name, head))

    def appended(self, name: str, before: int) -> DataFrame:
        """Return the rows that were appended after a snapshot."""
        head = self.head(name)
        if head == before:
            return self.tables.at(name, head).where(F.lit(False))
        return self.tables.between(name, before, head)

    def _nothing(self, name: str, snapshot: int) -> Kept:
        return Kept(self.tables.at(name, snapshot).select("*", *POSITION).where(F.lit(False)), 0)


def replaced_viewers(on: BranchTables, new: DataFrame, moved: Kept, row_count: int) -> TableChanges:
    """Append the personal columns of new events; those of moved ones go to their own day."""
    added = _viewers(new)
    if not moved.count:
        return on.replace(VIEWERS, None, Kept(added, row_count))
    found = matching(on.read(VIEWERS), "id_hash", kept(moved.rows.select("id_hash").distinct()))
    old = kept(found.join(moved.joinable(*PLACE), PLACE, "left_semi"))
    added = added.unionByName(_viewers(filed_under_own_day(moved.rows)))
    return on.replace(VIEWERS, old, Kept(added, row_count + moved.count), days=days_of(old))


def _viewers(events: DataFrame) -> DataFrame:
    return events.where("viewer_hash IS NOT NULL").select(*PLACE, "event_day", "id_hash", *PERSON)
