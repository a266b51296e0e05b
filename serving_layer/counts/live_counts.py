"""The content of a stream of live counts: an event's id and its body. Pure.

The id is made of the numbers, so a client that reconnects with it gets nothing that it already has.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serving_layer.counts.merge import ServedCount, entity_tag, without_billable

is_event_id = re.compile(r"[0-9A-Za-z.]{1,100}").fullmatch


@dataclass(frozen=True)
class LiveCount:
    """The present count."""

    event_id: str
    """The same while the count means the same."""
    body: Any
    """The body: the record or mapping of the route without `live`."""
    round_trips: int = 1
    """The cost of reading it, in round trips: the stream waits in proportion before it reads again."""


class StreamOverError(Exception):
    """The stream's caller may no longer see it."""


ReadLive = Callable[[], Awaitable[LiveCount]]
"""Reads the count of one stream. Raises UnavailableError or ProblemError if it cannot be read now, and
StreamOverError if the stream must end."""


def live_video(count: ServedCount, *, sees_billable: bool) -> LiveCount:
    """Return the event of a video's count."""
    public = without_billable(count)
    return LiveCount(entity_tag(public).removeprefix("W/").strip('"'), count if sees_billable else public)


def live_channel(body: Mapping[str, Any], round_trips: int) -> LiveCount:
    """Return the event of a channel's count, `body` being the answer about the channel."""
    names = ("version", "videos", "settled_views", "provisional_views", "billable_views")
    return LiveCount(".".join(str(int(body[name])) for name in (*names, "complete")), body, round_trips)
