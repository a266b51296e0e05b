"""The served count: the settled count of the published version plus the speed layer's count since. Pure.

Law: for any cut, settled + provisional = a recount of everything. It holds because both halves use the same offset
vector, and `merged` refuses other halves.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec


class ImpossibleCountError(Exception):
    """The two halves contradict each other or themselves: a broken invariant, never a matter of timing."""


class ServedVersion(msgspec.Struct, frozen=True):
    """The facts of a published version that serving needs. Version 0 means "nothing published yet"."""

    version: int
    offset_ends: tuple[int, ...]
    """For every partition the first offset that is not settled."""
    settled_until: datetime | None
    """All events appended before this instant are settled; None before the first version."""


class SettledCount(msgspec.Struct, frozen=True, gc=False):
    """A version's counts of one video."""

    views: int
    billable_views: int


class SpeedSums(msgspec.Struct, frozen=True):
    """The speed layer's counts from `offset_ends` on, summed over all partitions."""

    offset_ends: tuple[int, ...]
    views: Mapping[str, int]
    is_complete: bool
    """False: views may be missing, so the numbers may be too small, never too large."""
    appended_at: datetime | None
    """Append time of the newest event counted; None before the first."""
    doubtful: Collection[str] = ()
    """Videos whose number may be too small even if the others' are not."""


class ServedCount(msgspec.Struct, frozen=True, gc=False):
    """The answer for one video."""

    video_id: str
    views: int
    """`settled_views` + `provisional_views`."""
    settled_views: int
    provisional_views: int
    billable_views: int | None
    """Settled only: nothing provisional is ever billed. Null: the caller may not see it."""
    version: int
    settled_until: datetime | None
    as_of: datetime | None
    """Append time of the newest event in any part of this answer; None before the first event."""
    complete: bool
    """False: views after the version may be missing (the speed layer is away or being repaired)."""
    known: bool
    """Whether any counted view of the video exists."""


def merged(video_id: str, version: ServedVersion, settled: SettledCount | None, speed: SpeedSums | None) -> ServedCount:
    """Return the served count of one video; `settled` None: unknown to the version, `speed` None: no answer from it.

    Raises:
        ImpossibleCountError: the halves belong to different offset vectors, or a number is impossible.
    """
    provisional = 0
    if speed is not None:
        if speed.offset_ends != version.offset_ends:
            raise ImpossibleCountError(f"version {version.version} ends at other offsets than the speed layer's sums")
        provisional = speed.views.get(video_id, 0)
    settled_views, billable_views = (settled.views, settled.billable_views) if settled is not None else (0, 0)
    if provisional < 0 or not 0 <= billable_views <= settled_views:
        raise ImpossibleCountError(
            f"{video_id} has {settled_views} settled, {billable_views} billable and {provisional} provisional views"
        )
    if settled is not None and version.version == 0:
        raise ImpossibleCountError(f"{video_id} has settled views before anything was published")
    return ServedCount(
        video_id=video_id,
        views=settled_views + provisional,
        settled_views=settled_views,
        provisional_views=provisional,
        billable_views=billable_views,
        version=version.version,
        settled_until=version.settled_until,
        as_of=newest(version.settled_until, speed.appended_at if speed is not None else None),
        complete=speed is not None and speed.is_complete and video_id not in speed.doubtful,
        known=settled is not None or provisional > 0,
    )


def without_billable(count: ServedCount) -> ServedCount:
    """Return the public part of a count."""
    return msgspec.structs.replace(count, billable_views=None)


def newest(*instants: datetime | None) -> datetime | None:
    """Return the latest of instants; None is earlier than all."""
    return max((each for each in instants if each is not None), default=None)


def entity_tag(count: ServedCount) -> str:
    """Return a weak entity tag made of the numbers: equal while the answer means the same; `as_of` may move on."""
    flags = count.complete * 2 + count.known
    return f'W/"{count.version}.{count.settled_views}.{count.provisional_views}.{count.billable_views}.{flags}"'
