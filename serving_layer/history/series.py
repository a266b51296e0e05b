"""Settled views over time and by rank: the answers and their rows, made of what the store adds up. Pure."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

from ingestion.contract.event import VIEW_DURATION_SECONDS_MAX
from serving_layer.counts.answers import Count, Envelope, Instant
from serving_layer.counts.merge import ImpossibleCountError
from serving_layer.request.parameters import SeriesQuery
from serving_layer.request.windows import WindowKind, instant_of

Next = Annotated[str | None, Meta(description="The cursor of the next page; null on the last")]


class WindowSum(msgspec.Struct, frozen=True, gc=False):
    """The store's sum of one window and group; `window` counts from 0, groups that were not requested are empty."""

    window: int
    country: str
    device: str
    views: int
    billable_views: int
    watched_seconds: int | None
    """None at a version of a release that did not sum them."""


class ViewerSum(msgspec.Struct, frozen=True, gc=False):
    """The store's viewers of one window; `window` counts from 0."""

    window: int
    unique_viewers: int
    unknown_viewers: int
    """Of them, those whose ids were removed: each is counted once for every video and day."""


class CompletionSum(msgspec.Struct, frozen=True, gc=False):
    """The store's sums of how far the viewers of one window got; `window` counts from 0.

    All are None at a version of a release that did not sum them.
    """

    window: int
    length_known_views: int | None
    """Views of which it is known how much of the video's length they lasted."""
    reached_25: int | None
    """Of them, those of 25 % or more."""
    reached_50: int | None
    reached_75: int | None
    reached_100: int | None


COMPLETION = CompletionSum.__struct_fields__[1:]
"""The measures of completion; none is larger than the one before it."""
_Reached = Annotated[Count, Meta(description="Views that lasted as many percent of the length, or more")]


class VideoSum(msgspec.Struct, frozen=True, gc=False):
    """The store's sum of one video in a range of days."""

    video_id: str
    views: int
    billable_views: int


class SeriesRow(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One window of an answer, and one group if groups were requested.

    A measure that was not requested is absent. It is null where it is not known, as the version is of a release that
    did not sum watched seconds or completion, or count viewers; an average is null also where nobody watched.
    """

    start: datetime
    end: datetime
    views: int
    billable_views: int | None
    country: str | None = None
    device: str | None = None
    watched_seconds: Count | UnsetType | None = UNSET
    average_view_duration: Annotated[float, Meta(ge=0, description="Seconds, to 0.001")] | UnsetType | None = UNSET
    unique_viewers: Annotated[Count, Meta(description="Exact, if no viewer is unknown")] | UnsetType | None = UNSET
    unknown_viewers: Annotated[Count, Meta(description="Too many by at most these")] | UnsetType = UNSET
    length_known_views: Annotated[Count, Meta(description="Views of videos of known length")] | UnsetType | None = UNSET
    reached_25: _Reached | UnsetType | None = UNSET
    reached_50: _Reached | UnsetType | None = UNSET
    reached_75: _Reached | UnsetType | None = UNSET
    reached_100: _Reached | UnsetType | None = UNSET


class TopRow(msgspec.Struct, frozen=True, gc=False):
    """One place of a ranking."""

    rank: int
    video_id: str
    views: int
    billable_views: int | None


class Series(Envelope, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of every series; `measure` is absent where only views were requested."""

    window: WindowKind
    timezone: str
    start: Instant = msgspec.field(name="from")
    end: Instant = msgspec.field(name="to")
    group_by: tuple[Literal["country", "device"], ...]
    rows: Sequence[SeriesRow]
    next: Next
    measure: Literal["views", "watched_seconds", "average_view_duration", "unique_viewers", "completion"] = "views"


class VideoSeries(Series, frozen=True):
    """The settled views of a video over time."""

    video_id: str


class ChannelSeries(Series, frozen=True):
    """The settled views of a channel over time."""

    payee_id: str


class Top(Envelope, frozen=True, kw_only=True):
    """A page of a ranking."""

    by: Literal["views", "billable_views"]
    start_on: date = msgspec.field(name="from")
    end_on: date = msgspec.field(name="to")
    rows: Sequence[TopRow]
    next: Next


def series_rows(
    query: SeriesQuery, sums: Iterable[WindowSum], *, with_billable: bool, measure: str = "views"
) -> list[SeriesRow]:
    """Return the rows in order of time, country and device.

    Without groups every window has a row; with groups only those with views have one.

    Raises:
        ImpossibleCountError: a sum is negative, or has more billable views than views, or longer ones than there are.
    """
    starts = [instant_of(edge, query.zone) for edge in query.edges]
    found = {(each.window, each.country, each.device): _checked(each) for each in sums}
    if not query.group_by:
        nothing = WindowSum(0, "", "", 0, 0, 0)
        ordered = [(window, found.get((window, "", ""), nothing)) for window in range(len(starts) - 1)]
    else:
        ordered = [(key[0], found[key]) for key in sorted(found) if found[key].views]
    return [
        SeriesRow(
            start=starts[window],
            end=starts[window + 1],
            views=each.views,
            billable_views=each.billable_views if with_billable else None,
            country=each.country if "country" in query.group_by else None,
            device=each.device if "device" in query.group_by else None,
            watched_seconds=seconds_of(each) if measure == "watched_seconds" else UNSET,
            average_view_duration=average_duration(each.views, each.watched_seconds)
            if measure == "average_view_duration"
            else UNSET,
        )
        for window, each in ordered
    ]


def with_viewers(rows: Iterable[SeriesRow], sums: Iterable[ViewerSum] | None) -> list[SeriesRow]:
    """Return the rows of a series without groups, with their viewers; None if the version counted none.

    Raises:
        ImpossibleCountError: a number is negative, or more are unknown than there are.
    """
    if sums is None:
        return [structs.replace(row, unique_viewers=None) for row in rows]
    found = {each.window: each for each in sums}
    shown = []
    for window, row in enumerate(rows):
        each = found.get(window, ViewerSum(window, 0, 0))
        if not 0 <= each.unknown_viewers <= each.unique_viewers:
            raise ImpossibleCountError(
                f"a window adds up to {each.unique_viewers} viewers, of whom {each.unknown_viewers} are unknown"
            )
        viewers = {"unique_viewers": each.unique_viewers, "unknown_viewers": each.unknown_viewers}
        shown.append(structs.replace(row, **viewers))
    return shown


def with_completion(rows: Iterable[SeriesRow], sums: Iterable[CompletionSum]) -> list[SeriesRow]:
    """Return the rows of a series without groups, with how far their viewers got; null where it is not known.

    Raises:
        ImpossibleCountError: more views reached a part of their video than there are, or than reached the part before.
    """
    found = {each.window: each for each in sums}
    shown = []
    for window, row in enumerate(rows):
        each = found.get(window) if row.views else None
        numbers = [0] * len(COMPLETION) if each is None else [getattr(each, name) for name in COMPLETION]
        known = [row.views, *(number for number in numbers if number is not None), 0]
        if sorted(known, reverse=True) != known:
            raise ImpossibleCountError(f"a window of {row.views} views adds up to {numbers} that reached each part")
        shown.append(structs.replace(row, **dict(zip(COMPLETION, numbers, strict=True))))
    return shown


def seconds_of(found: WindowSum) -> int | None:
    """Return the watched seconds; None where they are not known."""
    return found.watched_seconds if found.views else 0


def average_duration(views: int, watched_seconds: int | None) -> float | None:
    """Return the seconds that an average view lasted, to a thousandth; None without views, and where not known."""
    if watched_seconds is None or not views:
        return None
    return float(round(Fraction(watched_seconds, views), 3))


def top_rows(by: str, sums: Sequence[VideoSum], *, with_billable: bool) -> list[TopRow]:
    """Return the ranking: most first, equal ones by video id, each with its rank."""
    ordered = sorted(sums, key=lambda each: (-getattr(each, by), each.video_id))
    return [
        TopRow(rank, each.video_id, each.views, each.billable_views if with_billable else None)
        for rank, each in enumerate(ordered, 1)
    ]


def _checked(found: WindowSum) -> WindowSum:
    if not 0 <= found.billable_views <= found.views:
        raise ImpossibleCountError(f"a window adds up to {found.views} views and {found.billable_views} billable ones")
    if not 0 <= (found.watched_seconds or 0) <= found.views * VIEW_DURATION_SECONDS_MAX:
        raise ImpossibleCountError(
            f"a window of {found.views} views adds up to {found.watched_seconds} seconds watched"
        )
    return found
