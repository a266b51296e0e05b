"""What a run changed in a table."""

from dataclasses import dataclass

from pyspark.sql import DataFrame

from batch_layer.lake.spark_kept import Kept


@dataclass(frozen=True)
class TableChanges:
    """The rows that a part of a run took from a table, as they were stored, and those it added, read back."""

    removed: Kept
    added: DataFrame
