"""The made-up platform that labelled families live on: videos, networks, devices and people, from one seed."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from batch_layer.traffic.day_events import DayEvent

DAYS = 2
DAY_SECONDS = 86_400
COUNTRIES = {"US": (24, -6), "IN": (22, 5), "BR": (12, -3), "DE": (9, 1), "JP": (8, 9), "NG": (7, 1), "FR": (6, 1),
             "MX": (6, -6), "PL": (4, 1), "IS": (1, 0)}  # fmt: skip
"""Country → its weight, and the hours of its clock ahead of UTC."""
BY_HOUR = (3, 2, 1, 1, 1, 2, 4, 6, 6, 5, 5, 6, 7, 6, 6, 6, 7, 8, 10, 12, 13, 12, 9, 5)
SITES = ("search.example", "social.example", "news.example", "forum.example")


class Video(NamedTuple):
    """A video and how popular it is."""

    video_id: str
    payee_id: str
    length: int
    weight: float


class Device(NamedTuple):
    """What a device sends of itself."""

    agent: str
    agent_class: str
    kind: str


@dataclass
class Person:
    """Somebody with devices and networks."""

    user_id: str
    country: str
    networks: list[str]
    devices: list[Device]
    liked: str
    """The payee that the person prefers."""


class Label(NamedTuple):
    """What a family knows of its events, and no rule may see."""

    family: str
    is_attack: bool
    intensity: str
    campaign: str
    is_eligible: bool = True
    """Whether the sender asks for money."""


@dataclass
class World:
    """Takes events with their labels."""

    seed: int
    last_day: date = date(2026, 11, 20)
    size: int = 40_000
    """About how many events ordinary people cause."""
    days: int = DAYS
    events: list[DayEvent] = field(default_factory=list)
    labels: dict[str, Label] = field(default_factory=dict)
    owners: list[tuple[str, str]] = field(default_factory=list)
    """The payees whose own viewer is known, with that viewer."""

    def __post_init__(self) -> None:
        self.rng = self.stream("world")
        self.begin = datetime.combine(self.last_day, datetime.min.time(), UTC) - timedelta(days=self.days - 1)
        self.videos = self._videos()
        self.by_payee: dict[str, list[Video]] = {}
        for video in self.videos:
            self.by_payee.setdefault(video.payee_id, []).append(video)
        self._weights = [video.weight for video in self.videos]
        self.devices = [self._device(number) for number in range(220)]
        self.pool = {name: [self.network() for _ in range(3 + weight * self.size // 1_800)]
                     for name, (weight, _) in COUNTRIES.items()}  # fmt: skip
        self.carriers = {
            name: [self.network() for _ in range(2 + weight // 6)] for name, (weight, _) in COUNTRIES.items()
        }

    def stream(self, name: str) -> random.Random:
        """Return random numbers that no other family uses."""
        return random.Random(f"{self.seed} {name}")

    def _videos(self) -> list[Video]:
        found = []
        for payee in range(max(60, self.size // 150)):
            usual = self.rng.choice((45, 180, 240, 400, 700, 1_500, 3_200))
            for number in range(min(40, int(self.rng.paretovariate(0.9)) + 1)):
                length = max(8, int(usual * self.rng.lognormvariate(0, 0.5)))
                weight = min(3_000.0, self.rng.paretovariate(0.8))
                found.append(Video(f"v{payee}-{number}", f"payee{payee}", length, weight))
        return found

    def _device(self, number: int) -> Device:
        kind = self.rng.choices(("mobile", "desktop", "tv", "tablet"), (55, 28, 11, 6))[0]
        program = {"mobile": "chrome/android", "desktop": "chrome/windows", "tv": "other/tizen", "tablet": "safari/ios"}
        if kind == "mobile" and self.rng.random() < 0.5:
            return Device(f"agent{number}", "exoplayer/android", kind)
        return Device(f"agent{number}", program[kind], kind)

    def network(self) -> str:
        """Return a network that nobody has."""
        return hashlib.sha256(f"{self.seed} {self.rng.random()}".encode()).hexdigest()[:32]

    def name(self, rng: random.Random, prefix: str) -> str:
        """Return an id of a viewer or a session."""
        return f"{prefix}{rng.getrandbits(64):016x}"

    def person(self, rng: random.Random, **fixed: Any) -> Person:
        """Return somebody new, as most people are."""
        country = fixed.pop("country", None) or rng.choices([*COUNTRIES], [each[0] for each in COUNTRIES.values()])[0]
        networks = [rng.choice(self.pool[country])]
        if rng.random() < 0.5:
            networks.append(rng.choice(self.carriers[country]))
        popular = [len(self.devices) / (1 + rank) for rank in range(len(self.devices))]
        devices = rng.choices(self.devices, popular, k=rng.choice((1, 1, 1, 2, 2, 3)))
        person = Person(self.name(rng, "u"), country, networks, devices, rng.choice(self.videos).payee_id)
        for name, value in fixed.items():
            setattr(person, name, value)
        return person

    def video(self, rng: random.Random) -> Video:
        """Return a video as people choose them."""
        return rng.choices(self.videos, self._weights)[0]

    def small_payee(self, rng: random.Random, least: int = 4) -> list[Video]:
        """Return the videos of a payee whom few people know; at least this number, of 100 seconds and more."""
        fitting = [found for videos in self.by_payee.values()
                   if len(found := [each for each in videos if each.length >= 100]) >= least
                   and sum(each.weight for each in videos) < 12 * len(videos)]  # fmt: skip
        return rng.choice(fitting)

    def evening(self, rng: random.Random, country: str) -> float:
        """Return seconds from the begin at which people of a country watch."""
        local = rng.choices(range(24), BY_HOUR)[0] * 3_600 + rng.random() * 3_600
        return rng.randrange(self.days) * DAY_SECONDS + (local - COUNTRIES[country][1] * 3_600) % DAY_SECONDS

    def watched(self, rng: random.Random, length: int) -> int:
        """Return how long somebody watches: many leave soon, many see it to its end, the longer the fewer."""
        draw, stays = rng.random(), 0.48 - min(0.3, length / 12_000)
        if draw < 0.2:
            return int(min(length, rng.expovariate(0.09)))
        if draw < 1 - stays:
            return int(length * rng.random() ** 1.4)
        return int(length * rng.choice((1.0, 1.0, 1.0, 0.97, 0.99, 1.1)))

    def view(self, rng: random.Random, person: Person, video: Video, at: float, session: str, **fixed: Any) -> DayEvent:
        """Return a view as this person has it; fields may be given."""
        device = fixed.pop("device", None) or person.devices[0]
        seconds = fixed.pop("seconds", None)
        seconds = self.watched(rng, video.length) if seconds is None else max(0, int(seconds))
        moment = self.begin + timedelta(milliseconds=int(at * 1_000))
        is_app = device.kind == "tv" or device.agent_class.startswith("exoplayer")
        referrer = None if is_app or rng.random() < 0.5 else rng.choice(SITES)
        event = DayEvent(
            partition=rng.randrange(12),
            offset=0,
            event_id=self.name(rng, "e"),
            event_day=moment.date(),
            happened_at=moment,
            video_id=video.video_id,
            payee_id=video.payee_id,
            length_seconds=video.length,
            user_id=person.user_id,
            session_id=session,
            view_duration=seconds,
            country=person.country,
            device_type=device.kind,
            network=person.networks[0],
            network_kind=None,
            agent=device.agent,
            referrer_host=referrer,
        )
        return event._replace(**fixed)

    def sitting(self, rng: random.Random, person: Person, at: float, count: int, **fixed: Any) -> list[DayEvent]:
        """Return views in a row, on one device and in one network."""
        session, found = self.name(rng, "s"), []
        device, network = rng.choice(person.devices), fixed.pop("network", None) or rng.choice(person.networks)
        for _ in range(count):
            mine = self.by_payee[person.liked]
            video = rng.choice(mine) if rng.random() < 0.3 else self.video(rng)
            found.append(self.view(rng, person, video, at, session, device=device, network=network, **fixed))
            at += found[-1].view_duration + rng.choice((2 + 4 * rng.random(), rng.expovariate(1 / 60)))
        return found

    def add(self, family: str, events: list[DayEvent], *, attack: str = "", campaign: str = "") -> None:
        """Take a family's events within the days. `attack` is an intensity, or empty for honest ones."""
        first, last = self.begin.date(), self.last_day
        for event in events:
            if first <= event.event_day <= last:
                self.events.append(event._replace(offset=len(self.events)))
                self.labels[event.event_id] = Label(family, bool(attack), attack, campaign or family)

    def ordinary(self) -> None:
        """Add ordinary people."""
        rng, made = self.stream("ordinary"), 0
        while made < self.size:
            person = self.person(rng)
            for _ in range(rng.choice((1, 1, 2, 3))):
                events = self.sitting(
                    rng, person, self.evening(rng, person.country), min(30, int(rng.expovariate(0.5)) + 1)
                )
                self.add("ordinary", events)
                made += len(events)


Family = Callable[[World], None]
INTENSITIES = ("blatant", "medium", "stealth")
