"""Order-free content hashes of tables: equal rows give an equal hash, and changed rows change it by their own share."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_MODULUS = 1 << 64
_NOT_CONTENT = frozenset({"run_id", "appended_on", "whole"})
"""Says who archived a row or how rows are compared, not what is in them."""


@dataclass(frozen=True)
class Content:
    """The number of rows of a table, or of a part of it, and two sums of 64-bit row hashes."""

    row_count: int = 0
    sums: tuple[int, int] = (0, 0)

    def __add__(self, other: "Content") -> "Content":
        return Content(self.row_count + other.row_count, self._sums(other, 1))

    def __sub__(self, other: "Content") -> "Content":
        return Content(self.row_count - other.row_count, self._sums(other, -1))

    def _sums(self, other: "Content", sign: int) -> tuple[int, int]:
        first, second = ((a + sign * b) % _MODULUS for a, b in zip(self.sums, other.sums, strict=True))
        return first, second

    @property
    def text(self) -> str:
        """Return the hash as 32 hex digits."""
        return f"{self.sums[0]:016x}{self.sums[1]:016x}"

    @classmethod
    def parse(cls, row_count: int, text: str) -> "Content":
        """Read what `text` wrote."""
        return cls(row_count, (int(text[:16], 16), int(text[16:], 16)))


def contents(parts: Mapping[str, DataFrame], by: str | None = None) -> dict[tuple[str, object], Content]:
    """Return the content of each named part, or of each of its values of the column `by`, in one Spark job."""
    hashed = reduce(DataFrame.unionByName, [_hashed(name, rows, by) for name, rows in parts.items()])
    # halves of 32 bits cannot overflow their sum
    halves = [
        F.expr(f"sum({half}) AS {alias}{index}")
        for index in (1, 2)
        for alias, half in (("low", f"hash{index} & 4294967295"), ("high", f"shiftrightunsigned(hash{index}, 32)"))
    ]
    found: dict[tuple[str, object], Content] = {(name, None): Content() for name in parts if by is None}
    for row in hashed.groupBy("name", "part").agg(F.count("*").alias("row_count"), *halves).collect():
        sums = [(high << 32) + low for high, low in ((row.high1, row.low1), (row.high2, row.low2))]
        found[row.name, row.part] = Content(row.row_count, (sums[0] % _MODULUS, sums[1] % _MODULUS))
    return found


def _hashed(name: str, rows: DataFrame, by: str | None) -> DataFrame:
    columns = [f"`{column}`" for column in sorted(set(rows.columns) - _NOT_CONTENT)]
    # xxhash64 skips nulls, so the pattern of nulls is hashed too
    nulls = "concat(" + ", ".join(f"if({column} IS NULL, '1', '0')" for column in columns) + ")"
    return rows.selectExpr(
        f"'{name}' AS name",
        f"cast({by or 'NULL'} AS string) AS part",
        f"xxhash64({nulls}, {', '.join(columns)}) AS hash1",
        f"xxhash64('second', {', '.join(reversed(columns))}, {nulls}) AS hash2",
    )
