"""Make single messages of the demo together with their truth.

Every message is made with a purpose (a plain view, a duplicate, a broken one …) and its consequence is written into
`Truth` at that moment, by construction. Nothing here uses the product's rules, so the final comparison is
meaningful.
"""

import json
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zlib import crc32

from jobs.demo.agents import PLAYERS, ROBOTS
from jobs.demo.sample import VideoDay

PHASES = (1, 2, 3)
"""1 is settled by the first batch run, 2 by the second, 3 stays provisional."""
LAST_SETTLED_PHASE = 2
VIEWER_COUNT = 60_000
COUNTRIES = ("US", "DE", "GB", "BR", "IN", "FR", "JP", "MX", None)
COUNTRY_WEIGHTS = (30, 12, 12, 11, 15, 7, 6, 5, 2)
COUNTRY_OF = tuple(name for name, of_100 in zip(COUNTRIES, COUNTRY_WEIGHTS, strict=True) for _ in range(of_100))
"""The country of a viewer, by the last two digits of the viewer's number: people seldom travel within a day."""
DEVICES = ("mobile", "desktop", "tv", "tablet", None)
DEVICE_WEIGHTS = (50, 25, 15, 8, 2)
SHORT_VIDEO_SECONDS = 20
CAP = 4

SHARES = {
    "duplicate": 0.03,
    "conflict": 0.003,
    "broken": 0.005,
    "future": 0.002,
    "late": 0.002,
    "robot": 0.003,
}
"""Each as a share of the plain views; they are added to them."""


@dataclass(frozen=True)
class Message:
    """One event on its way: `event` is a dict, or bytes where the sender is broken."""

    phase: int
    over_http: bool
    video_id: str
    event: dict[str, Any] | bytes
    has_play: bool = False
    """Whether the platform signed a play for it, if it goes over HTTP."""


@dataclass(frozen=True)
class Family:
    """An attack, or honest people who look like one, with a channel of their own; every view is settled."""

    name: str
    is_attack: bool
    videos: tuple[str, ...]
    views: int
    """Counted events."""
    paid: int
    under_review: int
    invalid: int

    @property
    def channel(self) -> str:
        """Return the title of the channel."""
        return f"Demo: {self.name}"


@dataclass
class Truth:
    """The expected results, known by construction. Views are by video; billable views by (video, country)."""

    sent_over_http: int = 0
    refused_by_collector: int = 0
    sent_to_kafka: int = 0
    settled_verdicts: Counter[str] = field(default_factory=Counter)
    settled_views: Counter[str] = field(default_factory=Counter)
    provisional_views: Counter[str] = field(default_factory=Counter)
    billable_views: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    families: list["Family"] = field(default_factory=list)


@dataclass(frozen=True)
class Traffic:
    """Messages by phase, their expected results, and the catalogue that they refer to."""

    messages: dict[int, list[Message]]
    truth: Truth
    channel_of: dict[str, str]
    short_videos: frozenset[str]


def payee_user(channel: str) -> str:
    """Return the raw viewer id under which a channel's owner watches."""
    return f"owner of {channel}"[:128]


class Maker:
    """Makes messages, and writes what becomes of each into the truth."""

    def __init__(self, video_days: Sequence[VideoDay], *, now: datetime, rng: random.Random) -> None:
        self.now = now
        self.rng = rng
        self.video_days = video_days
        self.channel_of = {each.video_id: each.channel for each in video_days}
        videos = sorted(self.channel_of)
        self.short_videos = frozenset(rng.sample(videos, len(videos) // 10))
        self.truth = Truth()
        self.messages: dict[int, list[Message]] = {phase: [] for phase in PHASES}
        self.viewers: Counter[str] = Counter()

    def event(self, video_id: str, happened_at: datetime) -> dict[str, Any]:
        """Return an eligible view of a viewer who watches this video for the first time."""
        self.viewers[video_id] += 1
        viewer = (self.viewers[video_id] * 7919 + crc32(video_id.encode())) % VIEWER_COUNT
        event: dict[str, Any] = {
            "event_id": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            "video_id": video_id,
            "user_id": f"viewer-{viewer}",
            "session_id": f"session-{viewer}-{happened_at:%j}",
            "timestamp": happened_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "view_duration": SHORT_VIDEO_SECONDS if video_id in self.short_videos else self.rng.randint(30, 600),
            "revenue_eligible": True,
            "quality": self.rng.choice(("1080p", "720p", "480p")),
            "referrer": "https://example.com/watch",
            "user_agent": self.rng.choice(PLAYERS),
        }
        device = self.rng.choices(DEVICES, DEVICE_WEIGHTS)[0]
        for name, chosen in (("geo_location", COUNTRY_OF[viewer % 100]), ("device_type", device)):
            if chosen is not None:
                event[name] = chosen
        return event

    def send(self, phase: int, event: dict[str, Any] | bytes, video_id: str, *, has_play: bool = True) -> bool:
        """Queue a message; return whether it goes over HTTP."""
        chosen = self.rng.random() < 0.5
        self.messages[phase].append(Message(phase, chosen, video_id, event, has_play))
        if chosen:
            self.truth.sent_over_http += 1
        else:
            self.truth.sent_to_kafka += 1
        return chosen

    def expect(self, phase: int, verdict: str) -> None:
        """Write the verdict of an event into the truth, if its phase is settled."""
        if phase <= LAST_SETTLED_PHASE:
            self.truth.settled_verdicts[verdict] += 1

    def expect_counted(self, phase: int, event: dict[str, Any], *, billable: bool) -> None:
        """Write a counted view into the truth."""
        self.expect(phase, "counted")
        if phase > LAST_SETTLED_PHASE:
            self.truth.provisional_views[event["video_id"]] += 1
            return
        self.truth.settled_views[event["video_id"]] += 1
        if billable:
            self.truth.billable_views[event["video_id"], event.get("geo_location")] += 1

    def refuse(self, phase: int, event: dict[str, Any] | bytes, video_id: str) -> None:
        """Send messages that the collector refuses and that, sent straight to Kafka, the pipeline rejects."""
        if self.send(phase, event, video_id, has_play=False):
            self.truth.refused_by_collector += 1
        else:
            self.expect(phase, "rejected")

    def plain_view(self, phase: int, video_id: str, happened_at: datetime) -> dict[str, Any]:
        """Send a view that counts; some leave early, some are not eligible, some the owner's own.

        Who leaves at 20 to 29 seconds has seen too little of a long video; the whole of a short one is enough.
        """
        event = self.event(video_id, happened_at)
        billable = True
        draw = self.rng.random()
        if draw < 0.08:
            fewest, most = (3, SHORT_VIDEO_SECONDS - 1) if video_id in self.short_videos else (SHORT_VIDEO_SECONDS, 29)
            event["view_duration"] = self.rng.randint(fewest, most)
            billable = False
        elif draw < 0.13:
            event["revenue_eligible"] = billable = False
        elif draw < 0.131:
            event["user_id"] = payee_user(self.channel_of[video_id])
            billable = False
        self.send(phase, event, video_id)
        self.expect_counted(phase, event, billable=billable)
        return event

    def robot(self, phase: int, video_day: VideoDay) -> None:
        """Send a view of a robot, straight to Kafka: over HTTP the agent is that of the request."""
        event = self.event(video_day.video_id, datetime.combine(video_day.day, time(12), UTC))
        event["user_agent"] = self.rng.choice(ROBOTS)
        self.invalid(phase, event)

    def invalid(self, phase: int, event: dict[str, Any]) -> None:
        """Send an event that no viewer made, straight to Kafka."""
        self.send_to_kafka(phase, event)
        self.expect(phase, "invalid_traffic")

    def send_to_kafka(self, phase: int, event: dict[str, Any]) -> None:
        """Queue a message of a producer who says itself where the view came from."""
        self.messages[phase].append(Message(phase, False, event["video_id"], event))
        self.truth.sent_to_kafka += 1

    def fan_views(self, name: str, day_start: datetime, video_id: str) -> None:
        """Let one viewer watch one video seven times around midnight: the first four are billable."""
        fan = self.event(video_id, day_start)
        for index in range(7):
            happened_at = day_start + timedelta(hours=21 + index)
            event = {**self.event(video_id, happened_at), "user_id": name}
            event["geo_location"] = fan.get("geo_location", "US")
            phase = self.rng.choice((1, 2))
            self.send(phase, event, video_id)
            self.expect_counted(phase, event, billable=index < CAP)

    def broken(self, event: dict[str, Any]) -> dict[str, Any] | bytes:
        """Return an event that breaks the contract in one of the ways seen in the field."""
        without_session = {name: value for name, value in event.items() if name != "session_id"}
        ways: list[dict[str, Any] | bytes] = [
            {**event, "video_id": "#NAME?"},
            {**event, "view_duration": -5},
            {**event, "timestamp": event["timestamp"].removesuffix("Z")},
            without_session,
            compact(event)[:-20],
            compact(event)[:-1] + b',"view_duration":1}',
        ]
        return self.rng.choice(ways)


def compact(event: dict[str, Any]) -> bytes:
    """Return an event as JSON without white space."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
