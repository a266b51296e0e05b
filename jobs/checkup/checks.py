"""What `doctor` reports: one row per check."""

from dataclasses import dataclass
from enum import StrEnum


class CheckVerdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    """Works, but not as it should; or could not be looked at."""
    BAD = "bad"
    """The pipeline would not work, or would not keep its promises."""


@dataclass(frozen=True)
class CheckRow:
    """One check: what was looked at, what was found, and how to mend it when it is not ok."""

    subject: str
    verdict: CheckVerdict
    found: str
    remedy: str = ""


def ok(subject: str, found: str) -> CheckRow:
    """Return a check that held."""
    return CheckRow(subject, CheckVerdict.OK, found)


def warn(subject: str, found: str, remedy: str) -> CheckRow:
    """Return a check that held in part."""
    return CheckRow(subject, CheckVerdict.WARN, found, remedy)


def bad(subject: str, found: str, remedy: str) -> CheckRow:
    """Return a check that did not hold."""
    return CheckRow(subject, CheckVerdict.BAD, found, remedy)
