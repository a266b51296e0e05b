"""The catalogue: the payees, and the owners of each video by day."""

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from billing.terms.ownership import OwnerShare
from ingestion.contract.counting import OwnViewer, VideoFacts
from ingestion.contract.periods import Period


@dataclass(frozen=True, order=True, slots=True)
class Payee:
    """A person or company that is paid for views of its videos."""

    payee_id: str
    name: str
    user_id: str | None = None
    """The payee's own viewer pseudonym, never the raw id."""
    country: str | None = None
    """The ISO country that tax is withheld for; None if unknown."""


@dataclass(frozen=True, order=True, slots=True)
class Video:
    """A video; the shares name its owners."""

    video_id: str
    length_seconds: int | None = None
    title: str | None = None
    """For people; no amount depends on it."""


@dataclass(frozen=True)
class Catalogue:
    """All payees, videos and shares, each sorted and unique, every share's payee and video known.

    The shares are in the canonical form of `billing.terms.ownership.divided` and add up to the whole on every day.
    """

    payees: tuple[Payee, ...]
    videos: tuple[Video, ...]
    owners: tuple[OwnerShare, ...]

    @functools.cached_property
    def payee_by_id(self) -> Mapping[str, Payee]:
        """Return payee id → payee."""
        return {payee.payee_id: payee for payee in self.payees}

    @functools.cached_property
    def length_by_video(self) -> Mapping[str, int]:
        """Return video id → length in seconds, where it is known."""
        return {each.video_id: each.length_seconds for each in self.videos if each.length_seconds is not None}

    @functools.cached_property
    def title_by_video(self) -> Mapping[str, str]:
        """Return video id → title, where there is one."""
        return {each.video_id: each.title for each in self.videos if each.title is not None}

    def owners_in(self, period: Period) -> Iterator[OwnerShare]:
        """Yield the shares that touch a period, cut to its days: a later sale changes nothing in an earlier period."""
        for share in self.owners:
            from_on, to_on = max(share.from_on, period.start_on), min(share.to_on, period.end_on)
            if from_on < to_on:
                yield OwnerShare(share.video_id, from_on, to_on, share.payee_id, share.share_ppm)

    def counting_facts(self, period: Period) -> Mapping[str, VideoFacts]:
        """Return the facts that decide which of a video's views in the period are billable, if any are known."""
        days: defaultdict[str, dict[str, list[tuple[date, date]]]] = defaultdict(dict)
        for share in self.owners_in(period):
            if user_id := self.payee_by_id[share.payee_id].user_id:
                held = days[share.video_id].setdefault(user_id, [])
                if held and held[-1][1] >= share.from_on:
                    held[-1] = (held[-1][0], share.to_on)
                else:
                    held.append((share.from_on, share.to_on))
        return {
            video_id: VideoFacts(
                self.length_by_video.get(video_id),
                tuple(OwnViewer(user_id, *each) for user_id, held in sorted(days[video_id].items()) for each in held)
                if video_id in days
                else (),
            )
            for video_id in {*days, *self.length_by_video}
        }

    def content_hash(self) -> str:
        """Return the SHA-256 of what amounts depend on; the order of rows in the files does not matter."""
        return content_hash_of(self.payees, self.videos, self.owners)

    def titles_hash(self) -> str | None:
        """Return the SHA-256 of the titles; None if no video has one."""
        return titles_hash_of(self.videos)


def content_hash_of(payees: Iterable[Payee], videos: Iterable[Video], owners: Iterable[OwnerShare]) -> str:
    """Return the SHA-256 of what amounts depend on, each sorted as in a `Catalogue`; memory stays flat."""
    digest = hashlib.sha256()
    for payee in payees:
        digest.update(_line("payee", payee.payee_id, payee.name, payee.user_id, payee.country))
    for video in videos:
        digest.update(_line("video", video.video_id, video.length_seconds))
    for share in owners:
        place = (share.video_id, str(share.from_on), str(share.to_on), share.payee_id)
        digest.update(_line("owner", *place, str(share.share_ppm)))
    return digest.hexdigest()


def titles_hash_of(videos: Iterable[Video]) -> str | None:
    """Return the SHA-256 of the titles of sorted videos; None if none has one."""
    digest, found = hashlib.sha256(), False
    for video in videos:
        if video.title is not None:
            digest.update(_line("title", video.video_id, video.title))
            found = True
    return digest.hexdigest() if found else None


def _line(*cells: str | int | None) -> bytes:
    return json.dumps(cells).encode() + b"\n"
