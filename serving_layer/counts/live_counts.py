"""What a stream of live counts says: an event's id and its body. Pure.

The id is made of the numbers, so a client that comes back with it gets nothing that it has already.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serving_layer.counts.merge import ServedCount, entity_tag, without_billable

is_event_id = re.compile(r"[0-9A-Za-z.]{1,100}").fullmatch


@dataclass(frozen=True)
class LiveCount:
    """The count as it is now."""

    event_id: str
    """The same as long as the count means the same."""
    body: Any
    """What is sent: the record or mapping of the route without `live`."""
    round_trips: int = 1
    """How dear it was to read: the stream waits in proportion before it reads again."""


class StreamOverError(Exception):
    """Whoever the stream is for may not see it any more."""


ReadLive = Callable[[], Awaitable[LiveCount]]
"""Reads the count of one stream. Raises UnavailableError or ProblemError where it cannot be read now, and
StreamOverError where the stream is to end."""


def live_video(count: ServedCount, *, sees_billable: bool) -> LiveCount:
    """Return the event of a video's count."""
    public = without_billable(count)
    return LiveCount(entity_tag(public).removeprefix("W/").strip('"'), count if sees_billable else public)


def live_channel(body: Mapping[str, Any], round_trips: int) -> LiveCount:
    """Return the event of a channel's count, `body` being the answer about the channel."""
    names = ("version", "videos", "settled_views", "provisional_views", "billable_views")
    return LiveCount(".".join(str(int(body[name])) for name in (*names, "complete")), body, round_trips)
