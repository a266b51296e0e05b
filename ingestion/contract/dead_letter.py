"""The letter about a rejected message, in readable form."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DeadLetter:
    """The message that it is about, and why it was rejected."""

    partition: int
    offset: int
    appended_at: datetime
    event_id: str | None
    reasons: tuple[str, ...]
    """`code: detail`, one for each reason."""
    text: str
    """The message as text, or as base64 if it is not text."""
