"""The answers about served counts, as the routes send and describe them. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from serving_layer.counts.merge import ServedCount

Count = Annotated[int, Meta(ge=0)]
Instant = Annotated[datetime, Meta(tz=True)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of every answer about its state."""

    version: Annotated[int, Meta(ge=0, description="The published version that the settled part is of")]
    settled_until: Annotated[Instant | None, Meta(description="Everything received before is settled")]
    as_of: Annotated[datetime | None, Meta(description="When the newest event was received that the answer takes in")]
    complete: Annotated[bool, Meta(description="False: views may be missing, never too many")]


class LookupAnswer(Envelope, frozen=True, kw_only=True):
    """The counts of a look-up, which share one version, one instant and one state of completeness."""

    counts: Annotated[Sequence[ServedCount], Meta(description="In the order sent")]


class ChannelViews(Envelope, frozen=True):
    """The views of all videos of a channel together."""

    payee_id: str
    videos: Count
    views: Count
    settled_views: Count
    provisional_views: Count
    billable_views: Count


def lookup_answer(counts: Sequence[ServedCount]) -> LookupAnswer:
    """Return the answer to a look-up of at least one video."""
    first = counts[0]
    return LookupAnswer(
        version=first.version,
        settled_until=first.settled_until,
        as_of=first.as_of,
        complete=first.complete,
        counts=counts,
    )
