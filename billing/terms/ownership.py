"""The owners of a video by day. The shares of a video add up to the whole on every day."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from billing.money import SHARE_WHOLE_PPM

SINCE_EVER, WITHOUT_END = date.min, date.max
"""The default bounds of an interval."""


class OwnerShare(NamedTuple):
    """A payee's share of a video on the days (UTC) from `from_on` (inclusive) to `to_on` (exclusive)."""

    video_id: str
    from_on: date
    to_on: date
    payee_id: str
    share_ppm: int


class WrongSum(NamedTuple):
    """Days on which the shares of a video do not add up to the whole."""

    from_on: date
    to_on: date
    sum_ppm: int

    def __str__(self) -> str:
        since = "the beginning" if self.from_on == SINCE_EVER else self.from_on.isoformat()
        until = "the end" if self.to_on == WITHOUT_END else f"{self.to_on.isoformat()} (not included)"
        return f"from {since} to {until} the shares add up to {self.sum_ppm}; allowed: {SHARE_WHOLE_PPM} on every day"


def whole_share(video_id: str, payee_id: str) -> OwnerShare:
    """Return the share of a video's only owner."""
    return OwnerShare(video_id, SINCE_EVER, WITHOUT_END, payee_id, SHARE_WHOLE_PPM)


def divided(video_id: str, shares: Iterable[OwnerShare]) -> list[OwnerShare]:
    """Return the same ownership in its one canonical form: the longest possible intervals without a change.

    All owners of one interval have the same bounds; several shares of one payee are one.
    """
    found: list[tuple[date, date, list[tuple[str, int]]]] = []
    for from_on, to_on, owners in _intervals(list(shares)):
        held = sorted(owners.items())
        if found and found[-1][1] == from_on and found[-1][2] == held:
            found[-1] = (found[-1][0], to_on, held)
        elif held:
            found.append((from_on, to_on, held))
    return [OwnerShare(video_id, start, end, *each) for start, end, held in found for each in held]


def wrong_sums(shares: Iterable[OwnerShare]) -> list[WrongSum]:
    """Return every interval in which the shares of one video do not add up to the whole."""
    sums = [(from_on, to_on, sum(owners.values())) for from_on, to_on, owners in _intervals(list(shares))]
    return [WrongSum(*each) for each in sums if each[2] != SHARE_WHOLE_PPM]


def _intervals(shares: list[OwnerShare]) -> Iterator[tuple[date, date, Counter[str]]]:
    days = {SINCE_EVER, WITHOUT_END} | {day for share in shares for day in (share.from_on, share.to_on)}
    for from_on, to_on in pairwise(sorted(days)):
        owners = Counter[str]()
        for share in shares:
            if share.from_on <= from_on and to_on <= share.to_on:
                owners[share.payee_id] += share.share_ppm
        yield from_on, to_on, owners
