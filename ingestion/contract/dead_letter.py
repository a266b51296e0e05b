"""A rejected message, as somebody reads it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DeadLetter:
    """Which message it is about, and why that was rejected."""

    partition: int
    offset: int
    appended_at: datetime
    event_id: str | None
    reasons: tuple[str, ...]
    """`code: detail`, one for each reason."""
    text: str
    """The message as text; of one that is no text, its base64."""
