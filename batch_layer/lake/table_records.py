"""What a batch table is declared by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column: its name, its type as Spark writes it, and its meaning."""

    name: str
    type: str
    comment: str

    @property
    def type_name(self) -> str:
        """Return the type as Spark prints it."""
        return re.sub(r"\s+", "", self.type)


@dataclass(frozen=True)
class Table:
    """One table."""

    columns: tuple[Column, ...]
    partitioning: str
    comment: str
    properties: Mapping[str, str] = field(default_factory=dict)
