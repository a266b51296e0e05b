"""The catalogue: who the payees are and whose video it is."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Payee:
    """Someone who is paid for views of their videos."""

    payee_id: str
    name: str
    user_id: str | None = None
    """The payee's own viewer pseudonym, never the raw id."""


@dataclass(frozen=True, order=True)
class Video:
    """A video and the one payee it belongs to."""

    video_id: str
    payee_id: str
    length_seconds: int | None = None


@dataclass(frozen=True)
class Catalogue:
    """All payees and videos, both sorted by id, ids unique, every video's payee known."""

    payees: tuple[Payee, ...]
    videos: tuple[Video, ...]

    @functools.cached_property
    def payee_by_video(self) -> Mapping[str, str]:
        """Video id → payee id."""
        return {video.video_id: video.payee_id for video in self.videos}

    @functools.cached_property
    def name_by_payee(self) -> Mapping[str, str]:
        """Payee id → name."""
        return {payee.payee_id: payee.name for payee in self.payees}

    @functools.cached_property
    def counting_facts(self) -> Mapping[str, tuple[int | None, str | None]]:
        """Video id → (length in seconds, the payee's viewer pseudonym): what decides which views are billable."""
        user_by_payee = {payee.payee_id: payee.user_id for payee in self.payees}
        return {video.video_id: (video.length_seconds, user_by_payee[video.payee_id]) for video in self.videos}

    def content_hash(self) -> str:
        """Return the SHA-256 of the content; the order of rows in the files plays no part."""
        digest = hashlib.sha256()
        for payee in self.payees:
            digest.update(json.dumps(["payee", payee.payee_id, payee.name, payee.user_id]).encode() + b"\n")
        for video in self.videos:
            digest.update(json.dumps(["video", video.video_id, video.payee_id, video.length_seconds]).encode() + b"\n")
        return digest.hexdigest()
