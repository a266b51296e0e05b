"""The declared aggregates in Spark: what a run adds to each, and the whole of each for a rebuild."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.aggregates import BY_VIDEO, Aggregate
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept, kept_together
from batch_layer.lake.spark_stored import on_days, with_position


@dataclass(frozen=True)
class CellChanges:
    """The rows of an aggregate that change: `removed` as stored, with their position, and `added` in their place."""

    aggregate: Aggregate
    removed: Kept
    added: Kept
    """Computed while they are written; the count is that of the changed rows."""
    gone: DataFrame
    """The keys of rows that leave the table, for all their events left: the aggregate's columns, with zeros."""


def changed_cells(
    changes: Sequence[tuple[Aggregate, TableChanges]], days: Collection[date], stored: Callable[[str], DataFrame]
) -> list[CellChanges]:
    """Return the changes of aggregates: old + (added − removed). Later ones come from earlier ones.

    `changes` has, for each aggregate, those of the rows that it sums, on these event days; `stored` returns a table as
    it is.
    """
    gains: list[tuple[Aggregate, DataFrame]] = []
    for aggregate, summed in changes:
        finer = next((rows for source, rows in reversed(gains) if _is_finer(source, aggregate)), None)
        gain = _summed(_signed(summed, aggregate) if finer is None else finer, aggregate)
        gains.append((aggregate, gain.where(" OR ".join(f"{name} <> 0" for name in aggregate.measures))))
    cells = kept_together({aggregate.table: rows for aggregate, rows in gains})
    removed = kept_together({each.table: _of_cells(each, cells[each.table], stored, days) for each, _ in gains})
    return [_changes(each, cells[each.table], removed[each.table]) for each, _ in gains]


def whole(events: DataFrame, aggregate: Aggregate) -> DataFrame:
    """Return all rows of an aggregate of these events."""
    return _summed(_cells(events, aggregate, 1), aggregate)


def rejected_events(decoded: DataFrame, raw: DataFrame) -> DataFrame:
    """Return the rejected among newly decoded events, with their untouched bytes."""
    rejected = decoded.where("verdict = 'rejected'").select("partition", "offset", "event_id", "reasons")
    columns = ("topic", "partition", "offset", "appended_at", "event_id", "reasons", "value")
    return raw.join(rejected, ["partition", "offset"]).select(*columns)


def _is_finer(source: Aggregate, aggregate: Aggregate) -> bool:
    """Return whether an aggregate is a sum of another's rows."""
    return (
        aggregate.keys.items() <= source.keys.items()
        and aggregate.measures == source.measures
        and aggregate.counted_only == source.counted_only
    )


def _signed(events: TableChanges, aggregate: Aggregate) -> DataFrame:
    added = _cells(events.added, aggregate, 1)
    return added.unionByName(_cells(events.removed.rows, aggregate, -1)) if events.removed.count else added


def _cells(events: DataFrame, aggregate: Aggregate, sign: int) -> DataFrame:
    rows = events.where("verdict = 'counted'") if aggregate.counted_only else events
    keys = [F.expr(value).alias(name) for name, value in aggregate.keys.items()]
    measures = [(F.expr(value) * sign).cast("bigint").alias(name) for name, value in aggregate.measures.items()]
    return _summed(rows.select(*keys, *measures), aggregate)


def _summed(cells: DataFrame, aggregate: Aggregate) -> DataFrame:
    sums = [F.sum(name).alias(name) for name in aggregate.measures]
    return cells.groupBy(*aggregate.keys).agg(*sums)


def _of_cells(
    aggregate: Aggregate, cells: Kept, stored: Callable[[str], DataFrame], days: Collection[date]
) -> DataFrame:
    """Return the stored rows of these cells, with their position."""
    keys, rows = list(aggregate.keys), stored(aggregate.table)
    near = on_days(rows, days) if aggregate.is_by_day else rows
    return with_position(near).join(cells.joinable(*keys), keys, "left_semi")


def _changes(aggregate: Aggregate, cells: Kept, removed: Kept) -> CellChanges:
    now = _summed(cells.rows.unionByName(removed.rows.select(*aggregate.columns)), aggregate)
    is_left = f"{next(iter(aggregate.measures))} <> 0"
    return CellChanges(aggregate, removed, Kept(now.where(is_left), cells.count), now.where(f"NOT ({is_left})"))


def last_totals(parts: Sequence[CellChanges]) -> DataFrame:
    """Return the totals of all videos that the parts of a run changed; zeros where no view is left."""
    found = None
    for number, cells in enumerate(parts):
        rows = cells.added.rows.select(*BY_VIDEO.columns).unionByName(cells.gone).withColumn("part", F.lit(number))
        found = rows if found is None else found.unionByName(rows)
    if found is None:
        raise RuntimeError("derive comes first")
    last = F.max_by(F.struct(*BY_VIDEO.measures), "part").alias("counts")
    return found.groupBy("video_id").agg(last).select("video_id", "counts.*")
