"""The declared aggregates in Spark: what a run adds to each, and the whole of each for a rebuild."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.aggregates import BY_VIDEO, Aggregate
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept, kept
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
    events: TableChanges, days: Collection[date], stored: Callable[[str], DataFrame], *, aggregates: Sequence[Aggregate]
) -> Iterator[CellChanges]:
    """Yield the changes of every aggregate: old + (events added − events removed). Later ones come from earlier ones.

    `events` are the changes of the events table, on these event days; `stored` returns a table as it is.
    """
    done: list[tuple[Aggregate, DataFrame]] = []
    for aggregate in aggregates:
        source = next((pair for pair in reversed(done) if _is_finer(pair[0], aggregate)), None)
        signed = source[1] if source else _signed(events, aggregate)
        cells = kept(_summed(signed, aggregate).where(" OR ".join(f"{name} <> 0" for name in aggregate.measures)))
        done.append((aggregate, cells.rows))
        rows = stored(aggregate.table)
        yield _changes(aggregate, cells, on_days(rows, days) if aggregate.is_by_day else rows)


def whole(events: DataFrame, aggregate: Aggregate) -> DataFrame:
    """Return all rows of an aggregate of these events."""
    return _summed(_cells(events, aggregate, 1), aggregate)


def verdict_counts(tally_rows: DataFrame) -> dict[str, int]:
    """Return how many events of a tally got which verdict."""
    rows = tally_rows.groupBy("verdict").agg(F.sum("event_count").alias("event_count")).collect()
    return {row.verdict: row.event_count for row in rows}


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


def _changes(aggregate: Aggregate, cells: Kept, stored: DataFrame) -> CellChanges:
    keys, measures = list(aggregate.keys), list(aggregate.measures)
    removed = kept(with_position(stored).join(cells.joinable(*keys), keys, "left_semi"))
    before = removed.joinable(*aggregate.columns).withColumnsRenamed({name: f"former_{name}" for name in measures})
    sums = [(F.coalesce(f"former_{name}", F.lit(0)) + F.col(name)).alias(name) for name in measures]
    now = cells.rows.join(before, keys, "left").select(*keys, *sums)
    is_left = f"{measures[0]} <> 0"
    return CellChanges(aggregate, removed, Kept(now.where(is_left), cells.count), now.where(f"NOT ({is_left})"))


def last_totals(parts: Sequence[CellChanges]) -> DataFrame:
    """Return the totals of all videos that the parts of a run changed; zeros where no view is left."""
    found = None
    for number, cells in enumerate(parts):
        rows = cells.added.rows.select(*BY_VIDEO.columns).unionByName(cells.gone).withColumn("part", F.lit(number))
        found = rows if found is None else found.unionByName(rows)
    if found is None:
        raise RuntimeError("derive comes first")
    last = F.max_by(F.struct("views", "billable_views"), "part").alias("counts")
    return found.groupBy("video_id").agg(last).select("video_id", "counts.*")
