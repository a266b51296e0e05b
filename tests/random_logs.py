"""Random logs for the laws of the batch layer: many small worlds in one log, so that one run tries many cases.

A world has its own ids, viewers and videos. The worlds share the event days and the runs, nothing else.
"""

import json
import random
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from batch_layer.gate.ports import GateReport
from batch_layer.gate.spark_gate_sums import Subject
from batch_layer.run.run import run_once
from ingestion.contract.attestation import attested
from ingestion.contract.counting import LateEvent, OwnViewer, VideoFacts, judge_alone
from tests.batch_fakes import ATTESTATION_KEYS
from tests.extreme_events import extreme_message
from tests.spark_fixtures import TOPIC, MemoryRun

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARTITIONS = 3
ADVERTISEMENTS = [{}, {"ad_type": "pre"}, {"ad_type": "pre\nmid\npre"}, {"ad_type": "mid", "watched_seconds": 20}]
AGENTS = ("Player/1", None, None, None, "Googlebot/2.1")
GERMANY = ("DE", "de", "DEU")
VIDEOS = ("-a", "_b", "c")
VIEWERS = ("ann", "ben")
LATE_BY = timedelta(days=35)
SALE_ON = START.date() - timedelta(days=1)
FACTS = {
    "-a": VideoFacts(20, (OwnViewer("ann"),)),
    "c": VideoFacts(None, (OwnViewer("ann", to_on=SALE_ON), OwnViewer("ben", SALE_ON))),
}
"""What the catalogue says of a world without a name."""


@dataclass
class World:
    """A few ids, viewers and videos, and how events of this world are made."""

    name: str
    rng: random.Random
    kind: Callable[["World", datetime], bytes]
    ids: list[uuid.UUID]
    sent: list[bytes] = field(default_factory=list)

    def message(self, appended_at: datetime) -> bytes:
        """Return a new message, or one that was sent before."""
        if self.sent and self.rng.random() < 0.15:
            return self.rng.choice(self.sent)
        self.sent.append(self.kind(self, appended_at))
        return self.sent[-1]

    def event(self, happened: datetime, **changes: object) -> bytes:
        """Return a well-formed event."""
        rng = self.rng
        fields = {
            "event_id": str(rng.choice(self.ids)),
            "video_id": rng.choice(VIDEOS) + self.name,
            "user_id": rng.choice(VIEWERS) + self.name,
            "session_id": "s",
            "timestamp": happened.isoformat(),
            "view_duration": rng.choice([0, 5, 29, 30, 60, 60, 60, 86_400]),
            "revenue_eligible": rng.random() < 0.9,
            "geo_location": rng.choice([*GERMANY, "xx", ""]),
            "device_type": "tv",
            "ad_views": [{"ad_id": rng.choice("xyz")} | kind for kind in rng.choices(ADVERTISEMENTS, k=3)],
            "user_agent": rng.choice(AGENTS),
            "client_network": f"192.0.{happened.hour}.0/24",
            "network_kind": f"vpn/{happened.hour}",
            "referrer": "https://a.example/page",
            "quality": "hd",
        }
        for name in ("geo_location", "device_type", "ad_views"):
            if rng.random() < 0.3:
                del fields[name]
        return vouched(json.dumps(fields | changes).encode())


def vouched(value: bytes) -> bytes:
    """Return a message with an attestation of one of the keys, with a false one, or without; the same for equal bytes.

    No random number is drawn, so that the worlds of a seed stay the same.
    """
    key_id = ("", "", "", "first", "first", "second", "second", "false")[zlib.crc32(value) % 8]
    if not key_id:
        return value
    return attested(value, *(("first", b"no key") if key_id == "false" else (key_id, ATTESTATION_KEYS[key_id])))


def anything(world: World, appended_at: datetime) -> bytes:
    """Several days, now and then something that breaks a rule."""
    rng = world.rng
    kind = rng.random()
    if kind < 0.03:
        return rng.choice([b"", b"{", b"[1]", b"\xff\xfe", b'{"event_id": "x"}'])
    # few distinct instants, so that equal timestamps and exact distances of 24 hours occur
    happened = START - timedelta(hours=rng.choice([0, 0, 1, 6, 12, 23, 24, 25, 36, 47, 48, 60, 72, 96]))
    if kind < 0.06:
        happened = appended_at + timedelta(minutes=rng.choice([4, 6, 600]))
    elif kind < 0.13:
        # around the border, and late ones near the views of an old day that came in time
        happened = appended_at - LATE_BY - timedelta(seconds=rng.choice([-3600, -1, 0, 1, 86_400, 172_800]))
    return world.event(happened)


def one_viewer(world: World, appended_at: datetime) -> bytes:
    """One viewer of one video over many days, whose views come in any order: the cap of a day decides the next."""
    happened = START - timedelta(hours=4 * world.rng.randrange(45), microseconds=world.rng.choice([0, 0, 1]))
    late = world.rng.random() < 0.05
    return world.event(
        happened - LATE_BY if late else happened,
        event_id=str(uuid.UUID(int=world.rng.getrandbits(128), version=4)),
        video_id="-a" + world.name,
        user_id="ann" + world.name,
        view_duration=world.rng.choice([15, 60, 60, 60]),
        revenue_eligible=True,
    )


def one_id(world: World, appended_at: datetime) -> bytes:
    """One id on adjacent days with few contents: conflicts become duplicates, and days out of reach count."""
    happened = START - timedelta(hours=world.rng.choice([0, 12, 13, 36, 37, 60, 84, 108]))
    if world.rng.random() < 0.2:
        happened -= LATE_BY
    return world.event(
        happened,
        event_id=str(world.ids[0]),
        view_duration=world.rng.choice([60, 61]),
        video_id="-a" + world.name,
        revenue_eligible=True,
        geo_location="DE",
        device_type="tv",
        ad_views=[],
        user_id=world.rng.choice(VIEWERS) + world.name,
    )


def only_late(world: World, appended_at: datetime) -> bytes:
    """Events of days that nothing else has, all of them late."""
    days = world.rng.choice([40, 41, 42, 60, 20_410, 20_420])
    return world.event(appended_at - timedelta(days=days, hours=world.rng.choice([0, 1, 12])))


def extreme(world: World, appended_at: datetime) -> bytes:
    """Every field at its edges."""
    return extreme_message(world.rng)


KINDS = (anything, one_viewer, one_id, anything, one_viewer, one_id, only_late, extreme)


def worlds(rng: random.Random, count: int, kinds: Sequence[Callable[[World, datetime], bytes]] = KINDS) -> list[World]:
    """Return worlds of every kind."""
    return [
        World(
            f"-{number}",
            random.Random(rng.getrandbits(64)),
            kinds[number % len(kinds)],
            [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(rng.choice([1, 4, 12]))],
        )
        for number in range(count)
    ]


def plain_world(rng: random.Random, id_count: int) -> World:
    """Return one world of anything, whose videos and viewers have their plain names."""
    ids = [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(id_count)]
    return World("", random.Random(rng.getrandbits(64)), anything, ids)


def grow(run: MemoryRun, rng: random.Random, among: Sequence[World], count: int) -> None:
    """Appends messages; append times rise within a partition and run apart between partitions."""
    clocks = [here[-1].appended_at if here else START for here in run.log.messages]
    for _ in range(count):
        partition = rng.randrange(PARTITIONS)
        clocks[partition] += timedelta(seconds=rng.choice([0, 0, 1, 30]))
        run.log.append(partition, clocks[partition], rng.choice(among).message(clocks[partition]))


def cut_somewhere(run: MemoryRun, rng: random.Random) -> None:
    """Puts the speed layer's positions anywhere up to the end, or nowhere."""
    run.speed.positions = [rng.choice([None, rng.randint(0, end), end]) for end in run.log.highwaters()]


def decide_some(run: MemoryRun, rng: random.Random, share: float = 0.5) -> None:
    """Accepts a random part of all late events, those that no version has yet among them, and some that are not."""
    messages = run.log.all()
    late = [each for each in messages if isinstance(judge_alone(each.received.decoded, each.appended_at), LateEvent)]
    chosen = rng.sample(late, int(len(late) * share)) + rng.sample(messages, min(2, len(messages)))
    run.decisions.places |= {(each.partition, each.offset) for each in chosen}


def random_facts(rng: random.Random, among: Sequence[World]) -> dict[str, VideoFacts]:
    """Return a catalogue: lengths and owners that change, appear and vanish from one version to the next."""
    facts = {}
    for world in among:
        for video in VIDEOS:
            if rng.random() < 0.5:
                facts[video + world.name] = random_fact(rng, world)
    return facts


def later_facts(
    rng: random.Random, among: Sequence[World], versions: Sequence[dict[str, VideoFacts]]
) -> dict[str, VideoFacts]:
    """Return the next catalogue version: most facts stay as they were, some change, appear or vanish."""
    former, other, share = (versions[-1] if versions else {}), random_facts(rng, among), rng.random()
    chosen = {video_id: former if rng.random() < share else other for video_id in sorted({*former, *other})}
    return {video_id: facts[video_id] for video_id, facts in chosen.items() if video_id in facts}


def random_fact(rng: random.Random, world: World) -> VideoFacts:
    """Return the facts of one video."""
    owners = []
    for viewer in VIEWERS:
        if rng.random() < 0.3:
            border = START.date() - timedelta(days=rng.randrange(5))
            kind = rng.randrange(3)
            spans = [(), (border,), ()][kind]
            own = OwnViewer(viewer + world.name, *spans)
            owners.append(own._replace(to_on=border) if kind == 2 else own)
    return VideoFacts(rng.choice([None, 1, 10, 20, 2_147_483_647]), tuple(owners))


def no_gate(spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
    """Lets everything pass: these laws are checked by the test itself, and the gate takes longer than the rest."""
    return GateReport((), 0, folder)


def random_run(
    spark: SparkSession, rng: random.Random, folder: Path, *, count: int = 60, last: Sequence[bytes] = ()
) -> MemoryRun:
    """Publishes two versions of a random log of a plain world: one cut at random places, one at the log's end.

    The second one adds a random message and those that are to be the last.
    """
    among = [plain_world(rng, 80)]
    run = MemoryRun.with_partitions(spark, PARTITIONS, folder, no_gate)
    run.catalogue.versions = [FACTS]
    grow(run, rng, among, count)
    cut_somewhere(run, rng)
    decide_some(run, rng)
    run_once(run.ports(), TOPIC)
    grow(run, rng, among, 1)
    for message in last:
        run.log.append(0, run.log.now, message)
    run.speed.positions = [None] * PARTITIONS
    assert run_once(run.ports(), TOPIC).state == "published"
    return run
