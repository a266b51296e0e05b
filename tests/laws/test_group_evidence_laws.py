"""The evidence on groups under review, counted by Spark, is what a plain reading of the events says."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest
from pyspark.sql import SparkSession

from batch_layer.judging.spark_traffic_groups import groups_of
from batch_layer.settled.spark_group_evidence import SAMPLES, group_evidence
from ingestion.contract.traffic_evidence import PARTS, SECONDS_FROM, Aspect
from ingestion.contract.traffic_groups import TrafficGroup

DAYS = [date(2026, 11, day) for day in (17, 18, 19)]
LENGTHS: dict[str, int | None] = {"a": 100, "b": 37, "c": None}
"""The video `d` is in no catalogue."""


@dataclass(frozen=True)
class Sent:
    """An event with everything that evidence is about."""

    offset: int
    day: date
    at: datetime
    video_id: str
    country: str | None
    device: str | None
    seconds: int
    verdict: str
    kind: str | None
    is_known: bool
    """False: its personal columns were erased."""
    outcome: str | None
    reason: str
    payee_id: str | None

    @property
    def event_id(self) -> str:
        return f"id-{self.offset:05d}"

    @property
    def values(self) -> dict[Aspect, str]:
        """The value of each aspect, by the plainest reading."""
        length = LENGTHS.get(self.video_id)
        part = "" if length is None else str(min(self.seconds * PARTS // length, PARTS))
        return {
            Aspect.HOUR: f"{self.at:%H}",
            Aspect.NETWORK_KIND: (self.kind or "").partition("/")[0] if self.is_known else "",
            Aspect.DEVICE: self.device or "",
            Aspect.COUNTRY: self.country or "",
            Aspect.SECONDS: str(max(first for first in SECONDS_FROM if first <= self.seconds)),
            Aspect.ENDING: part,
        }


def sent(rng: random.Random) -> Iterator[Sent]:
    for offset in range(rng.randint(1, 120)):
        day = rng.choice(DAYS)
        verdict = rng.choice(["counted"] * 5 + ["duplicate", "invalid_traffic"])
        outcome = rng.choice([None, None, "review", "released"]) if verdict == "counted" else None
        yield Sent(
            offset,
            day,
            datetime.combine(day, time(), UTC) + timedelta(microseconds=rng.randrange(86_400_000_000)),
            rng.choice("abcd"),
            rng.choice([None, "DE", "FR"]),
            rng.choice([None, "phone", "tv"]),
            rng.choice([0, 4, 5, 29, 30, 34, 35, 99, 100, 101, 1_799, 1_800, 90_000]),
            verdict,
            rng.choice([None, "relay/1", "data_centre/20261101"]),
            rng.random() < 0.9,
            outcome,
            rng.choice(["many", "lockstep"]),
            rng.choice([None, "ann", "ben"]),
        )


def tables(spark: SparkSession, events: list[Sent]) -> tuple[object, ...]:
    """The four tables that are read, with the columns that matter."""
    outcomes = spark.createDataFrame(
        [(0, each.offset, each.day, each.payee_id, each.outcome, each.reason, 60) for each in events if each.outcome],
        "partition int, offset bigint, event_day date, payee_id string, outcome string, reason string, points int",
    )
    rows = spark.createDataFrame(
        [(0, each.offset, each.event_id, each.day, each.at, each.video_id, each.country, each.device, each.seconds,
          each.verdict) for each in events],
        "partition int, offset bigint, event_id string, event_day date, happened_at timestamp, video_id string, "
        "country string, device_type string, view_duration int, verdict string",
    )  # fmt: skip
    viewers = spark.createDataFrame(
        [(0, each.offset, each.day, each.kind) for each in events if each.is_known],
        "partition int, offset bigint, event_day date, network_kind string",
    )
    lengths = spark.createDataFrame(sorted(LENGTHS.items()), "video_id string, length_seconds int")
    return outcomes, rows, viewers, lengths


def expected(events: list[Sent], group: TrafficGroup) -> Mapping[Aspect, Mapping[str, tuple[int, int, int]]]:
    day = [each for each in events if each.day == group.day and each.verdict == "counted"]
    members = [each for each in day if is_member(each, group)]
    videos = {each.video_id for each in members}
    others = [each for each in day if not is_member(each, group)]
    found: defaultdict[Aspect, dict[str, tuple[int, int, int]]] = defaultdict(dict)
    for aspect in Aspect:
        counts = [
            Counter(each.values[aspect] for each in some)
            for some in (members, [each for each in others if each.video_id in videos], others)
        ]
        for value in set().union(*counts):
            found[aspect][value] = (counts[0][value], counts[1][value], counts[2][value])
    return found


def is_member(each: Sent, group: TrafficGroup) -> bool:
    return each.outcome == "review" and (each.reason, each.payee_id or "") == (group.reason, group.payee_id)


@pytest.mark.parametrize("seed", range(6))
def test_evidence_is_what_a_plain_reading_of_the_days_says(spark: SparkSession, seed: int) -> None:
    rng = random.Random(seed)
    events = list(sent(rng))
    outcomes, rows, viewers, lengths = tables(spark, events)
    groups = groups_of(outcomes)  # type: ignore[arg-type]
    chosen = rng.sample(groups, rng.randint(min(1, len(groups)), len(groups)))
    found = group_evidence(chosen, outcomes, rows, viewers, lengths)  # type: ignore[arg-type]
    assert found.keys() == set(chosen)
    for group, evidence in found.items():
        plain = expected(events, group)
        for aspect, counts in evidence.counts.items():
            assert [each.value for each in counts] == sorted(plain[aspect]), (group, aspect)
            assert {each.value: tuple(each[1:]) for each in counts} == plain[aspect], (group, aspect)
            assert sum(each.of_group for each in counts) == group.event_count
        members = {each.event_id: each for each in events if each.day == group.day and is_member(each, group)}
        assert len(evidence.samples) == min(SAMPLES, len(members))
        assert [each.happened_at for each in evidence.samples] == sorted(each.happened_at for each in evidence.samples)
        for sample in evidence.samples:
            own = members[sample.event_id]
            assert (sample.happened_at, sample.video_id, sample.watched_seconds) == (own.at, own.video_id, own.seconds)
            assert (sample.country, sample.device) == (own.country or "", own.device or "")
            assert sample.network_kind == own.values[Aspect.NETWORK_KIND]
