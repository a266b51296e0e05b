"""The content of a table or of a part of it, as a hash that can be summed, and the places of the log's rows."""

from dataclasses import dataclass
from datetime import UTC, datetime

from ingestion.contract.printable import counted

_MODULUS = 1 << 64
_HOUR = "%Y-%m-%d %H"


@dataclass(frozen=True)
class Content:
    """The number of rows of a table, or of a part of it, and two sums of 64-bit row hashes, modulo 2^64."""

    row_count: int = 0
    sums: tuple[int, int] = (0, 0)

    def __add__(self, other: "Content") -> "Content":
        return Content(self.row_count + other.row_count, self._sums(other, 1))

    def __sub__(self, other: "Content") -> "Content":
        return Content(self.row_count - other.row_count, self._sums(other, -1))

    def __str__(self) -> str:
        return f"{counted(self.row_count, 'row')} with hash {self.text}" if self != Content() else "no rows"

    def _sums(self, other: "Content", sign: int) -> tuple[int, int]:
        first, second = ((a + sign * b) % _MODULUS for a, b in zip(self.sums, other.sums, strict=True))
        return first, second

    @property
    def text(self) -> str:
        """Return the hash as 32 hex digits."""
        return f"{self.sums[0]:016x}{self.sums[1]:016x}"

    @classmethod
    def parse(cls, row_count: int, text: str) -> "Content":
        """Parse the output of `text`."""
        return cls(row_count, (int(text[:16], 16), int(text[16:], 16)))


@dataclass(frozen=True, order=True)
class Place:
    """The place of rows: the Kafka partition and a UTC hour (for rows of the log, of the append time)."""

    partition: int
    hour: datetime

    def __str__(self) -> str:
        return f"partition {self.partition}, hour {self.hour:%Y-%m-%d %H}:00 UTC"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Parse `PARTITION YYYY-MM-DD HH`."""
        partition, _, hour = text.partition(" ")
        return cls(int(partition), datetime.strptime(hour, _HOUR).replace(tzinfo=UTC))
