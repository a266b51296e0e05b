"""Billing periods: half-open ranges of UTC days."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from ingestion.contract.instants import day_of_text

_FORMS = "a month (2026-10) or a half-open range of days (2026-11-18/2026-11-21)"


@dataclass(frozen=True)
class Period:
    """The UTC days from `start_on` (inclusive) to `end_on` (exclusive); at least one day."""

    start_on: date
    end_on: date

    def __post_init__(self) -> None:
        if self.start_on >= self.end_on:
            raise ValueError(f"a period ends after it starts; {self} does not")

    @classmethod
    def parse(cls, text: str) -> "Period":
        """Parse a period from a month or a half-open range of days.

        Raises:
            ValueError: the sentence names the text and the two forms.
        """
        try:
            start, is_range, end = text.partition("/")
            if is_range:
                return cls(day_of_text(start), day_of_text(end))
            if re.fullmatch(r"\d{4}-\d{2}", text, re.ASCII):
                first_on = day_of_text(f"{text}-01")
                return cls(first_on, (first_on + timedelta(days=31)).replace(day=1))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{text!r} is not a period: {error}; give {_FORMS}") from error
        raise ValueError(f"{text!r} is not a period; give {_FORMS}")

    def __str__(self) -> str:
        return f"{self.start_on.isoformat()}/{self.end_on.isoformat()}"

    @property
    def start_at(self) -> datetime:
        """The first instant of the period."""
        return datetime.combine(self.start_on, time(), UTC)

    @property
    def end_at(self) -> datetime:
        """The first instant after the period."""
        return datetime.combine(self.end_on, time(), UTC)

    def contains(self, day: date) -> bool:
        """Return whether a day is one of the period."""
        return self.start_on <= day < self.end_on

    def overlaps(self, other: "Period") -> bool:
        """Return whether two periods share a day."""
        return self.start_on < other.end_on and other.start_on < self.end_on

    def days(self) -> list[date]:
        """Return every day of the period, in order."""
        return [self.start_on + timedelta(days=index) for index in range((self.end_on - self.start_on).days)]
