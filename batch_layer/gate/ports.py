"""The gate's result."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GateReport:
    """The result of the gate."""

    failures: tuple[str, ...]
    checked_count: int
    page: Path
    """The report as HTML; `gate.json` lies beside it."""
