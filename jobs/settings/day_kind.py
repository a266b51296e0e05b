"""The kind of settings that are a day."""

from datetime import date

from ingestion.contract.instants import day_of_text
from jobs.settings.kinds import Setting


class EventDay(Setting[date]):
    """A UTC day."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "a day like 2026-11-20"

    def parse(self, text: str) -> date:
        """Return the day."""
        return day_of_text(text)
