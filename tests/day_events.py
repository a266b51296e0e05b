"""Single events as the rules of traffic see them."""

from datetime import datetime

from batch_layer.traffic.day_events import DayEvent


def view_at(number: int, happened: datetime, **fields: object) -> DayEvent:
    """A view of one viewer on one device, of one of seven videos, that was left in its middle."""
    event = DayEvent(
        partition=0,
        offset=number,
        event_id=f"e{number:05d}",
        event_day=happened.date(),
        happened_at=happened,
        video_id=f"v{number % 7}",
        payee_id="p",
        length_seconds=600,
        user_id="u",
        session_id="s",
        view_duration=300,
        country="DE",
        device_type="desktop",
        network="n",
        network_kind=None,
        agent="a",
        referrer_host=None,
    )
    return event._replace(**fields)
