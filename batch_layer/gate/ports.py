"""What the gate finds."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GateReport:
    """What the gate found."""

    failures: tuple[str, ...]
    checked_count: int
    page: Path
    """The report as HTML; `gate.json` lies beside it."""
