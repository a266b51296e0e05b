"""Rows that are computed once and used several times within one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

BROADCAST_ROWS_MAX = 1_000_000
"""For more rows a join shuffles both sides instead of copying the smaller one to every executor."""
ROWS_PER_TASK = 20_000
"""Fewer rows of a run are not worth another task."""
_PART = "_part"


@dataclass(frozen=True)
class Kept:
    """Computed rows and their number. They do not change when the tables they were read from do."""

    rows: DataFrame
    count: int

    def joinable(self, *columns: str) -> DataFrame:
        """Return the rows, or some of their columns, for a join: few of them are broadcast."""
        rows = self.rows.select(*columns) if columns else self.rows
        return F.broadcast(rows) if self.count <= BROADCAST_ROWS_MAX else rows


def kept(rows: DataFrame) -> Kept:
    """Compute `rows` now. `persist` would not do: Spark computes it again after any write to one of its tables."""
    seen = Observation()
    found = rows.observe(seen, F.count(F.lit(1)).alias("row_count")).localCheckpoint()
    return _known(found, int(seen.get["row_count"]))


def kept_together(parts: Mapping[str, DataFrame]) -> dict[str, Kept]:
    """Compute several sets of rows now, in one Spark job; columns of one name have one type in all of them."""
    seen = Observation()
    counts = [F.count_if(F.col(_PART) == name).alias(name) for name in parts]
    named = [rows.withColumn(_PART, F.lit(name)) for name, rows in parts.items()]
    union = reduce(partial(DataFrame.unionByName, allowMissingColumns=True), named)
    found = union.observe(seen, *counts).localCheckpoint()
    return {
        name: _known(found.where(F.col(_PART) == name).select(*rows.columns), int(seen.get[name]))
        for name, rows in parts.items()
    }


def _known(rows: DataFrame, count: int) -> Kept:
    # the planner leaves out what is joined or united with rows of which it sees that there are none
    return Kept(in_tasks(rows, count) if count else rows.where(F.lit(False)), count)


def in_tasks(rows: DataFrame, row_count: int) -> DataFrame:
    """Return the rows in as many tasks as their number is worth: starting one costs more than handling few rows.

    Few rows are in one task, and what is summed or joined from them needs no shuffle.
    """
    return rows.coalesce(tasks_for(row_count))


def tasks_for(row_count: int) -> int:
    """Return how many tasks about this many rows are worth."""
    return row_count // ROWS_PER_TASK + 1
