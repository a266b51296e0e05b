"""Order-free content hashes of tables: equal rows give an equal hash, and each changed row changes it."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from batch_layer.lake.content import Content
from batch_layer.lake.spark_kept import in_tasks

_MODULUS = 1 << 64
_NOT_CONTENT = frozenset({"run_id", "appended_on", "whole", "_file", "_pos"})
"""Columns that tell who archived a row, its file or how rows are compared; they are not content."""

BY_PLACE = """concat(coalesce(partition, -1), ' ',
    coalesce(date_format(appended_at, 'yyyy-MM-dd HH'), '1970-01-01 00'))"""
"""Groups rows of the log by their `Place`; a row without a place is filed under partition -1 or 1970."""
BY_FILE = f"concat(_file, '|', {BY_PLACE})"
"""Groups rows that have the column `_file` by it and their `Place`."""


_HALVES = [
    (f"{half}{index}", f"sum({value})")
    for index in (1, 2)
    # halves of 32 bits cannot overflow their sum
    for half, value in (("low", f"hash{index} & 4294967295"), ("high", f"shiftrightunsigned(hash{index}, 32)"))
]


def contents(
    parts: Mapping[str, DataFrame], by: Mapping[str, str] | None = None, *, row_count: int | None = None
) -> dict[tuple[str, object], Content]:
    """Return the content of each named part, in one Spark job.

    `by` gives some parts a column or SQL expression: these have a content for each of its values, as text. `row_count`
    is about the number of all rows, if it is known.
    """
    by = by or {}
    hashed = reduce(DataFrame.unionByName, [_hashed(name, rows, by.get(name)) for name, rows in parts.items()])
    if row_count is not None:
        hashed = in_tasks(hashed, row_count)
    sums = [F.expr(value).alias(name) for name, value in _HALVES]
    found: dict[tuple[str, object], Content] = {(name, None): Content() for name in parts if name not in by}
    for row in hashed.groupBy("name", "part").agg(F.count("*").alias("row_count"), *sums).collect():
        found[row.name, row.part] = _content(row.asDict())
    return found


def observed(rows: DataFrame) -> tuple[DataFrame, Callable[[], Content]]:
    """Return the same rows, and a function that returns their content after they were written."""
    seen = Observation()
    sums = [F.expr(value).alias(name) for name, value in _HALVES]
    hashed = rows.selectExpr("*", *_row_hashes(rows)).observe(seen, F.count(F.lit(1)).alias("row_count"), *sums)
    return hashed.drop("hash1", "hash2"), lambda: _content(seen.get)


def _content(row: Mapping[str, Any]) -> Content:
    low1, high1, low2, high2 = (row[name] or 0 for name, _ in _HALVES)
    return Content(row["row_count"], (((high1 << 32) + low1) % _MODULUS, ((high2 << 32) + low2) % _MODULUS))


def _hashed(name: str, rows: DataFrame, by: str | None) -> DataFrame:
    return rows.selectExpr(f"'{name}' AS name", f"cast({by or 'NULL'} AS string) AS part", *_row_hashes(rows))


def _row_hashes(rows: DataFrame) -> tuple[str, str]:
    columns = [f"`{column}`" for column in sorted(set(rows.columns) - _NOT_CONTENT)]
    # xxhash64 skips nulls, so the pattern of nulls is hashed too
    nulls = "concat(" + ", ".join(f"if({column} IS NULL, '1', '0')" for column in columns) + ")"
    return (
        f"xxhash64({nulls}, {', '.join(columns)}) AS hash1",
        f"xxhash64('second', {', '.join(reversed(columns))}, {nulls}) AS hash2",
    )
