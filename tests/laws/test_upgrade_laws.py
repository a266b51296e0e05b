"""What was counted before the event contract had versions keeps its outcome; what comes after is read by the newest."""

import json
import random
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import batch_layer.run.run
from batch_layer.lake.tables import EVENTS
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from batch_layer.settled.iceberg_settled_events import events_at_snapshots
from ingestion.contract.event_contracts import BEFORE_VERSIONS, NEWEST, Boundary, EventContracts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import PublishedVersion, contracts_after
from tests.batch_fakes import TOPIC
from tests.extreme_events import extreme_message
from tests.spark_fixtures import MemoryRun

SEED = 20261129
AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
PARTITIONS = 3
ODD = {
    "geo_location": "us",
    "timestamp": "2026-10-31T23:59:59.9999999Z",
    "ad_views": [{"ad_id": "a", "ad_type": "pre\npre"}, {"ad_id": "a"}],
}


def odd_event(number: int, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "event_id": str(uuid.UUID(int=number)),
        "video_id": "odd",
        "user_id": f"viewer {number}",
        "session_id": "s",
        "view_duration": 60,
        "revenue_eligible": True,
    }
    return json.dumps(fields | ODD | changes).encode()


def before_versions(former: PublishedVersion | None, counted: OffsetVector) -> EventContracts:
    """What the program of before published: no contract at all."""
    return BEFORE_VERSIONS


def rows_of(run: MemoryRun, video_id: str) -> list[tuple[str, str, list[str]]]:
    version = run.versions.published[-1]
    rows = run.warehouse.tables.at(EVENTS, version.snapshots[EVENTS]).where(f"video_id = '{video_id}'").collect()
    return sorted((str(row.event_day), row.country, list(row.ad_types)) for row in rows if row.verdict == "counted")


@pytest.mark.usefixtures("empty_tables")
def test_a_rebuild_finds_no_difference_before_the_upgrade_nor_after_it(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(SEED)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path)

    def send(count: int, number: int) -> None:
        for _ in range(count):
            run.log.append(rng.randrange(PARTITIONS), AT, extreme_message(rng))
        run.log.append(0, AT, odd_event(number))
        run.log.append(0, AT, odd_event(0xABCDEF, view_duration=-1, event_id=f"{uuid.UUID(int=0xABCDEF)}".upper()))

    # 1. the program of before counts, and so does the new one when it recounts that
    monkeypatch.setattr(batch_layer.run.run, "contracts_after", before_versions)
    send(120, 1)
    first = run_once(run.ports(), TOPIC)
    assert (first.state, first.differences) == ("published", ())
    assert rows_of(run, "odd") == [("2026-11-01", "ZZ", ["pre\npre", "unknown"])]
    assert rebuild_once(run.ports()).state == "equal", SEED
    # 2. the new one goes on: what is published stays, what is new is read by the newest
    monkeypatch.setattr(batch_layer.run.run, "contracts_after", contracts_after)
    send(120, 2)
    assert run_once(run.ports(), TOPIC).state == "published"
    before, now = run.versions.published
    assert now.event_contracts == EventContracts((Boundary(NEWEST, before.offsets),))
    assert rows_of(run, "odd") == [("2026-10-31", "US", ["pre\npre"]), ("2026-11-01", "ZZ", ["pre\npre", "unknown"])]
    assert rebuild_once(run.ports()).state == "equal", SEED
    # 3. the boundary stays where it is
    send(30, 3)
    assert run_once(run.ports(), TOPIC).state == "published"
    assert run.versions.published[-1].event_contracts == now.event_contracts
    assert rebuild_once(run.ports()).state == "equal", SEED
    # an id that was rejected is found by its one spelling, however it was stored
    answers = events_at_snapshots(spark, run.versions.published[-1]).copies_of(str(uuid.UUID(int=0xABCDEF)))
    assert [each.verdict for each in answers] == ["rejected"] * 3
