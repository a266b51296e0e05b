"""Look up stored rows by narrow keys, so that no more than these columns is read of the rows that do not match."""

from collections.abc import Collection, Iterable
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import Kept, kept

LITERAL_KEYS_MAX = 200
"""Up to this number keys are named in the query, so that files and row groups without any of them are skipped: Iceberg
compares no more with their bounds, and each name costs calls into Java and planning."""
PLACE = ["partition", "offset"]
"""The columns that name a message."""
POSITION = ("_file", "_pos")
"""Where a stored row is; by it the row is deleted."""


def on_days(rows: DataFrame, days: Collection[date]) -> DataFrame:
    """Return the rows of some event days."""
    return rows.where(F.col("event_day").isin(sorted(days)) if days else F.lit(False))


def days_of(found: Kept) -> frozenset[date]:
    """Return the event days of some rows."""
    if not found.count:
        return frozenset()
    return frozenset(row.event_day for row in found.rows.select("event_day").distinct().collect())


def with_measures(rows: DataFrame, measures: Iterable[str]) -> DataFrame:
    """Return rows of an aggregate with zeros in the place of measures that an earlier release did not sum."""
    return rows.withColumns({name: F.lit(0).cast("bigint") for name in measures if name not in rows.columns})


def with_position(rows: DataFrame) -> DataFrame:
    """Return stored rows with the columns of `POSITION`."""
    return rows.select("*", *POSITION)


def matching(stored: DataFrame, key: str, keys: Kept) -> DataFrame:
    """Return the stored rows whose `key` is among the first column of `keys`, whole and with their position."""
    if keys.count == 0:
        return with_position(stored).where(F.lit(False))
    column = keys.rows.columns[0]
    if keys.count <= LITERAL_KEYS_MAX:
        values = [row[0] for row in keys.rows.select(column).collect()]
        return with_position(stored).where(F.col(key).isin(values))
    return with_position(stored).join(keys.joinable(column).withColumnRenamed(column, key), key, "left_semi")


def known_keys(stored: DataFrame, key: str, wanted: Kept) -> Kept:
    """Return which of the `wanted` keys some stored row has; reads the column `key` alone."""
    found = stored.select(key).join(wanted.joinable(key), key, "left_semi")
    return kept(found.distinct())
