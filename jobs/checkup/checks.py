"""The result of `doctor`: one row per check."""

from dataclasses import dataclass
from enum import StrEnum


class CheckVerdict(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    WARN = "warn"
    """Works, but not as it should; or could not be checked."""
    BAD = "bad"
    """The pipeline would not work, or would break its promises."""


@dataclass(frozen=True)
class CheckRow:
    """One check: its subject, its finding, and how to fix it when it is not ok."""

    subject: str
    verdict: CheckVerdict
    found: str
    remedy: str = ""


def ok(subject: str, found: str) -> CheckRow:
    """Return a check that passed."""
    return CheckRow(subject, CheckVerdict.OK, found)


def warn(subject: str, found: str, remedy: str) -> CheckRow:
    """Return a check with a warning."""
    return CheckRow(subject, CheckVerdict.WARN, found, remedy)


def bad(subject: str, found: str, remedy: str) -> CheckRow:
    """Return a check that failed."""
    return CheckRow(subject, CheckVerdict.BAD, found, remedy)
