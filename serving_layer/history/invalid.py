"""Invalid traffic by day and class: the answers and their rows. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from ingestion.contract.traffic_reasons import InvalidClass
from serving_layer.counts.answers import Count, Envelope

_Classes = Annotated[Mapping[InvalidClass, Count], Meta(description="Class to events in the whole range; all six")]


class InvalidSum(msgspec.Struct, frozen=True, gc=False):
    """The store's sum of one settled day (UTC) and class."""

    event_day: date
    invalid_class: InvalidClass
    events: int
    sample_event_ids: tuple[str, ...]
    """Ids of some of the events, as of the version that found them."""


class InvalidRow(msgspec.Struct, frozen=True, gc=False):
    """The invalid traffic of one day (UTC) and class."""

    event_day: date
    events: Count
    sample_event_ids: Annotated[Sequence[str], Meta(description="Some of the events, to be looked up one by one")]
    invalid_class: InvalidClass = msgspec.field(name="class")


class Invalid(Envelope, frozen=True, kw_only=True):
    """The fields of every answer about invalid traffic."""

    start_on: date = msgspec.field(name="from")
    end_on: date = msgspec.field(name="to")
    classes: _Classes
    rows: Annotated[Sequence[InvalidRow], Meta(description="Settled days with any, in order; a day comes when it is")]


class VideoInvalid(Invalid, frozen=True):
    """The invalid traffic of a video: events that are in neither counter, since no viewer made them."""

    video_id: str


class ChannelInvalid(Invalid, frozen=True):
    """The invalid traffic of all videos of a channel together."""

    payee_id: str


def class_sums(sums: Sequence[InvalidSum]) -> dict[InvalidClass, int]:
    """Return the events of each of the six classes."""
    found: Counter[InvalidClass] = Counter()
    for each in sums:
        found[each.invalid_class] += each.events
    return {each: found[each] for each in InvalidClass}


def invalid_rows(sums: Sequence[InvalidSum]) -> list[InvalidRow]:
    """Return the rows in order of day and class."""
    ordered = sorted(sums, key=lambda each: (each.event_day, each.invalid_class))
    return [InvalidRow(each.event_day, each.events, each.sample_event_ids, each.invalid_class) for each in ordered]
