"""What the day rules of traffic read of an event, and what they say of it. Pure."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class DayEvent(NamedTuple):
    """An event of the judged day or of the day before that would be counted if there were no day rules."""

    partition: int
    offset: int
    event_id: str
    event_day: date
    happened_at: datetime
    video_id: str
    payee_id: str | None
    """The owner of the largest share on that day."""
    length_seconds: int | None
    user_id: str | None
    session_id: str | None
    view_duration: int
    country: str | None
    device_type: str | None
    network: str | None
    network_kind: str | None
    agent: str | None
    referrer_host: str | None

    @property
    def begun(self) -> int:
        """Return when the view began, in microseconds since 1970."""
        return (self.happened_at - _EPOCH) // _MICROSECOND

    @property
    def order(self) -> tuple[int, str, int, int]:
        """Return what sorts events by time; no two have the same."""
        return (self.begun, self.event_id, self.partition, self.offset)


COLUMNS = DayEvent._fields


class DayOutcome(NamedTuple):
    """What the day rules say of one event."""

    partition: int
    offset: int
    event_day: date
    outcome: str
    """`invalid` or `review`."""
    reason: str
    """The code of the reason with the most points."""
    points: int
