"""The numbers that the gate compares: pairs counted in two ways, and numbers that never decrease."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.ports import Archived
from batch_layer.archive.removals import Removals
from batch_layer.gate.ports import GateReport
from batch_layer.lake.aggregates import AGGREGATES, OF_EVENTS
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import in_tasks
from batch_layer.lake.tables import (
    EVENTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    TALLY,
    TRAFFIC_OUTCOMES,
    VIEWERS,
)
from ingestion.contract.offsets import OffsetVector

_OF_VIEWS = tuple(each for each in OF_EVENTS if each.counted_only)
"""The aggregates whose sums are compared with the counted events, by day where they are by day."""


@dataclass(frozen=True)
class Subject:
    """The gate's input: what a part of a run changed."""

    changes: Mapping[str, TableChanges]
    """By table. What is not named here is as it was."""
    moved: DataFrame | None
    """The late events that a decision moved out of their former day, as they were stored there; None without any."""
    former_offsets: OffsetVector
    offsets: OffsetVector
    archived: Archived
    removals: Removals = field(default_factory=Removals)
    """What of the archived events is no longer among the raw ones, and so in no table of what persons sent."""

    def has(self, table: str) -> bool:
        """Return whether the part could change a table."""
        return table in self.changes

    @property
    def row_count(self) -> int:
        """Return about how many rows were added or removed."""
        return self.archived.row_count + sum(each.removed.count for each in self.changes.values())

    def added(self, table: str) -> DataFrame:
        """Return the rows that a table gained."""
        return self.changes[table].added

    def removed(self, table: str) -> DataFrame:
        """Return the rows that a table lost."""
        return self.changes[table].removed.rows


class Gate(Protocol):
    """Checks a branch; see `gx_gate.judge`."""

    def __call__(self, spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
        """Check every expectation and write the report into `folder`."""


def sums(spark: SparkSession, subject: Subject) -> DataFrame:
    """Return `(what, found, expected)`, one row for every number that is counted in two ways.

    All tables are sums over the events, so what each gained is the sum over what the events gained.
    """
    hour = _Sum("tally: events", ("partition", "event_hour"))
    rejected = _Sum("rejected_events: rows")
    of_partition = _Sum("tally: events of all hours", ("partition",))
    viewers = _Sum("viewers: rows", ("partition",))
    of_views = {
        (each.table, name): _Sum(f"{each.table}: {name.replace('_', ' ')}", ("event_day",) if each.is_by_day else ())
        for each in _OF_VIEWS
        for name in each.measures
    }
    of_events = [
        hour.expected("1"),
        *[
            of_views[each.table, name].expected(f"if(verdict = 'counted', {value}, 0)")
            for each in _OF_VIEWS
            for name, value in each.measures.items()
        ],
        viewers.expected("int(verdict <> 'rejected')"),
    ]
    tally = [
        hour.found("event_count"),
        of_partition.found("event_count"),
        rejected.expected("if(verdict = 'rejected', event_count, 0)"),
    ]
    parts = [
        *_gains(subject, EVENTS, of_events),
        *_gains(subject, VIEWERS, [viewers.found("1")]),
        *_gains(subject, TALLY, tally),
        *[
            gain
            for each in _OF_VIEWS
            for gain in _gains(subject, each.table, [of_views[each.table, name].found(name) for name in each.measures])
        ],
        _parts(_rows(spark, subject.archived.rows_by_partition.items()), of_partition.expected("number")),
        *_of_removed(spark, subject.removals, viewers, rejected),
        # keys that appear twice
        _distinct(subject.added(EVENTS), "events", "partition", "offset"),
        _distinct(subject.added(EVENTS).where("verdict = 'counted'"), "counted ids", "event_id", "event_day"),
        *[_distinct(subject.added(each.table), each.table, *each.keys) for each in AGGREGATES],
    ]
    if subject.has(REJECTED_EVENTS):
        with_reasons = subject.added(REJECTED_EVENTS).where("topic IS NOT NULL AND size(reasons) > 0")
        parts.append(_parts(with_reasons, rejected.found("1")))
    if subject.has(TRAFFIC_OUTCOMES):
        parts.append(_distinct(subject.added(TRAFFIC_OUTCOMES), "traffic outcomes", "partition", "offset"))
    return _summed(parts, subject).unionAll(_monotony(spark, subject))


def _of_removed(spark: SparkSession, removals: Removals, viewers: "_Sum", rejected: "_Sum") -> list[DataFrame]:
    """Return the rows that events without raw values would have in the tables of what persons sent."""
    of_rejected = Counter(removals.by_partition(REJECTED_EVENTS))
    well_formed = Counter(removals.by_partition(RAW_EVENTS))
    well_formed.subtract(of_rejected)
    return [
        _parts(_rows(spark, counts.items()), part)
        for counts, part in ((well_formed, viewers.found("number")), (of_rejected, rejected.found("number")))
        if counts
    ]


def _monotony(spark: SparkSession, subject: Subject) -> DataFrame:
    """Return the same for numbers that never decrease: the smaller of now and before must be the one before."""
    received = [_Sum("tally: events received until now", (key,)) for key in ("partition", "event_day")]
    reach = _Sum("cut: offset_end", ("partition",))
    parts = [
        _parts(_rows(spark, enumerate(subject.offsets.ends)), reach.found("number")),
        _parts(_rows(spark, enumerate(subject.former_offsets.ends)), reach.expected("number")),
        _parts(subject.added(TALLY), *[each.found("event_count") for each in received]),
        _parts(subject.removed(TALLY), *[each.expected("event_count") for each in received]),
    ]
    if subject.moved is not None:
        parts.append(_parts(subject.moved, received[1].expected("-1")))
    return _summed(parts, subject).withColumn("found", F.least("found", "expected"))


def _gains(subject: Subject, table: str, parts: "Sequence[_Part]") -> list[DataFrame]:
    """Return the contributions of the rows that a table gained, and, negative, of those it lost."""
    if not subject.has(table):
        return []
    lost = [each._replace(found=f"-({each.found})", expected=f"-({each.expected})") for each in parts]
    return [_parts(subject.added(table), *parts), _parts(subject.removed(table), *lost)]


class _Sum(NamedTuple):
    """A number that is counted in two ways, for each value of its keys."""

    what: str
    keys: tuple[str, ...] = ()

    def found(self, value: str) -> "_Part":
        """Return the contribution of a row to the number found; SQL."""
        return _Part(self.what, self.keys, found=value)

    def expected(self, value: str) -> "_Part":
        """Return the contribution of a row to the number expected; SQL."""
        return _Part(self.what, self.keys, expected=value)


class _Part(NamedTuple):
    """The contribution of each row to the found or expected sum of `what` and its keys; SQL expressions."""

    what: str
    keys: tuple[str, ...] = ()
    found: str = "0"
    expected: str = "0"


def _named(key: str) -> str:
    return f"concat('{key} ', {key})"


def _distinct(rows: DataFrame, what: str, *keys: str) -> DataFrame:
    """Expect each key on exactly one row."""
    counted = rows.select(*keys).groupBy(*keys).agg(F.count("*").alias("row_count"))
    return _parts(counted, _Part(f"{what}: rows, each key once", found="row_count", expected="1"))


def _parts(rows: DataFrame, *parts: _Part) -> DataFrame:
    """Return `(what, left, right)` for each row and part; the rows are read once."""
    shares = ", ".join(
        f"struct(concat_ws(', ', {', '.join([repr(each.what), *map(_named, each.keys)])}) AS what, "
        f"cast({each.found} AS bigint) AS left, cast({each.expected} AS bigint) AS right)"
        for each in parts
    )
    return rows.selectExpr(f"inline(array({shares}))")


def _summed(parts: Iterable[DataFrame], subject: Subject) -> DataFrame:
    grouped = in_tasks(reduce(DataFrame.unionAll, parts), subject.row_count).groupBy("what")
    return grouped.agg(F.sum("left").alias("found"), F.sum("right").alias("expected"))


def _rows(spark: SparkSession, numbers: Iterable[tuple[int, int]]) -> DataFrame:
    pairs = list(numbers)
    table = pa.table(
        {
            "partition": pa.array([partition for partition, _ in pairs], pa.int32()),
            "number": pa.array([number for _, number in pairs], pa.int64()),
        }
    )
    return spark.createDataFrame(table)
