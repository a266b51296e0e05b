"""What a run changed in a table."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame

from batch_layer.lake.spark_kept import Kept


@dataclass(frozen=True)
class TableChanges:
    """The rows that a part of a run took from a table, as they were stored, and those it added, read back."""

    removed: Kept
    added: DataFrame

    def days(self) -> frozenset[date]:
        """Return the event days of both."""
        found = self.added.select("event_day").unionByName(self.removed.rows.select("event_day"))
        return frozenset(row[0] for row in found.distinct().collect())
