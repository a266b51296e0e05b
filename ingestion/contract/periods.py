"""Billing periods: half-open ranges of UTC days."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

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
        """Read a period from a month or a half-open range of days.

        Raises:
            ValueError: with a sentence that names the text and the two forms.
        """
        try:
            if month := re.fullmatch(r"([0-9]{4})-([0-9]{2})", text):
                start = date(int(month[1]), int(month[2]), 1)
                return cls(start, (start + timedelta(days=31)).replace(day=1))
            if days := re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{4}-[0-9]{2}-[0-9]{2})", text):
                return cls(date.fromisoformat(days[1]), date.fromisoformat(days[2]))
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

    def days(self) -> list[date]:
        """Return every day of the period, in order."""
        return [self.start_on + timedelta(days=index) for index in range((self.end_on - self.start_on).days)]
