"""Which parts of the tables are written again because they lie in too many files. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

FILE_BYTES = 128 << 20
"""The rows of a compacted part are written to files of about this size."""


@dataclass(frozen=True)
class PartFiles:
    """The files of a part of a table: of one day, or of the whole table if its files are not divided by days."""

    table: str
    day: date | None
    data_file_count: int
    delete_file_count: int
    byte_count: int
    """Of the data files."""

    @property
    def needed_count(self) -> int:
        """Return how many files the rows need."""
        return max(1, -(-self.byte_count // FILE_BYTES))

    @property
    def debt(self) -> int:
        """Return how many files there are beyond those needed."""
        return max(0, self.data_file_count + self.delete_file_count - self.needed_count)

    def __str__(self) -> str:
        return self.table if self.day is None else f"{self.table} of {self.day}"


@dataclass(frozen=True)
class CompactionLimits:
    """What a maintenance compacts."""

    debt_max: int
    """A part with more files than this beyond those needed is compacted."""
    byte_count_max: int
    """As many bytes are written again at most; a part that is larger is compacted alone."""


@dataclass(frozen=True)
class TableFiles:
    """The files of a table."""

    data_file_count: int
    delete_file_count: int
    byte_count: int
    """Of the data files."""
    debt: int
    """Files beyond those that the rows of each part need."""
    due_count: int
    """Parts that are to be compacted."""


def chosen(parts: Iterable[PartFiles], limits: CompactionLimits) -> tuple[PartFiles, ...]:
    """Return the parts to compact now, those with the most needless files first."""
    taken: list[PartFiles] = []
    left = limits.byte_count_max
    for each in sorted(_due(parts, limits), key=lambda part: (-part.debt, str(part))):
        left -= each.byte_count
        if left < 0 and taken:
            break
        taken.append(each)
    return tuple(taken)


def by_table(parts: Collection[PartFiles], limits: CompactionLimits) -> Mapping[str, TableFiles]:
    """Return the files of each table."""
    found = {}
    for name in sorted({each.table for each in parts}):
        of_table = [each for each in parts if each.table == name]
        found[name] = TableFiles(
            data_file_count=sum(each.data_file_count for each in of_table),
            delete_file_count=sum(each.delete_file_count for each in of_table),
            byte_count=sum(each.byte_count for each in of_table),
            debt=sum(each.debt for each in of_table),
            due_count=len(_due(of_table, limits)),
        )
    return found


def oldest_day(parts: Iterable[PartFiles], table: str) -> date | None:
    """Return the oldest day of a table's files; None if it has none."""
    return min((each.day for each in parts if each.table == table and each.day is not None), default=None)


def _due(parts: Iterable[PartFiles], limits: CompactionLimits) -> Sequence[PartFiles]:
    return [each for each in parts if each.debt > limits.debt_max]
