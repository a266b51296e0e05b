"""Rows that are computed once and used several times within one run."""

from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

BROADCAST_ROWS_MAX = 1_000_000
"""For more rows a join shuffles both sides instead of copying the smaller one to every executor."""


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
    return Kept(found, int(seen.get["row_count"]))
