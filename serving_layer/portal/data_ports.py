"""The port of the data page to the reporting schema, wired by jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class DataVersion:
    """The version that answers are from."""

    version: int
    settled_until: datetime | None
    label: str | None


@dataclass(frozen=True)
class DataAnswers:
    """The answers to some questions, all from one version; None: nothing is published."""

    version: DataVersion | None
    rows: Mapping[str, Sequence[tuple[Any, ...]]]


class DataReads(Protocol):
    """Asks the reporting schema. Calls are blocking, and raise UnavailableError."""

    def answers(self, questions: Mapping[str, str]) -> DataAnswers:
        """Return name → rows for name → SQL."""
