"""Plays on real processes: the API signs, the collector writes the claims and attests, the speed layer checks."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from kafka import KafkaProducer

from ingestion.contract.attestation import attested
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from jobs.local_stack.stack import LocalStack, temporary_folder
from serving_layer.access.access import Scope
from serving_layer.access.postgres_api_keys import PostgresKeyRing
from tests.ingestion_fakes import event_fields

WITHIN_SECONDS = 60.0


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    servers, processes = ("kafka", "redis", "postgres"), ("collector", "speed", "api")
    with (
        temporary_folder() as folder,
        LocalStack.start(folder / "stack", servers=servers, processes=processes) as running,
    ):
        yield running


def url(environ: Mapping[str, str], port: str, path: str) -> str:
    return f"http://127.0.0.1:{environ[f'VIEWLEDGER_{port}_PORT']}{path}"


def figures(environ: Mapping[str, str], port: str) -> dict[str, float]:
    """The samples of a process's metrics, by name with labels."""
    lines = httpx.get(url(environ, port, "/metrics"), timeout=30).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_play_from_its_signing_to_the_count_of_its_one_view(stack: LocalStack) -> None:
    environ = stack.environment
    now = datetime.now(UTC)
    with closing(PostgresKeyRing(environ["VIEWLEDGER_POSTGRES_URL"])) as ring:
        _, text = ring.create("platform", {Scope.PLAYS}, None, now=now, expires_at=now + timedelta(days=1))
    asked = {"video_id": "-played", "user_id": "dora", "session_id": "s1", "revenue_eligible": True}
    signed = httpx.post(
        url(environ, "API", "/v1/plays"),
        json=[asked, {**asked, "geo_location": "DE"}],
        headers={"Authorization": f"Bearer {text}"},
        timeout=30,
    )
    assert signed.status_code == 200, signed.text
    first, second = signed.json()["plays"]
    sent: list[dict[str, Any]] = [
        {"play": first["play"], "view_duration": 5},
        {"play": first["play"], "view_duration": 5, "video_id": "mine"},
        {"play": second["play"], "view_duration": 5},
        event_fields(1, timestamp=now.isoformat(), video_id="-words"),
    ]
    answer = httpx.post(url(environ, "COLLECTOR", "/v1/events"), json=sent, timeout=30).json()
    assert (answer["accepted"], answer["rejected"]) == (4, 0), answer
    ids = [each["event_id"] for each in answer["results"]]
    assert ids[:3] == [first["event_id"], first["event_id"], second["event_id"]]
    forged = event_fields(2, timestamp=now.isoformat(), video_id="-forged")
    producer = KafkaProducer(bootstrap_servers=environ["VIEWLEDGER_KAFKA_BOOTSTRAP"].split(","))
    producer.send(TOPIC_VIDEO_VIEWS, attested(json.dumps(forged).encode(), "local", bytes(32)), b"-forged").get(30)
    producer.close()
    named = 'view_events_attested_total{{attested="{}"}}'.format
    expected = {named("yes"): 3.0, named("no"): 1.0, named("false"): 1.0}
    until(lambda: expected.items() <= figures(environ, "SPEED_METRICS").items())
    collected, served = figures(environ, "COLLECTOR_METRICS"), figures(environ, "API_METRICS")
    for country, times in (("DE", 1.0), ("ZZ", 2.0)):
        assert collected[f'view_events_with_play_total{{country="{country}"}}'] == times
    assert served['view_plays_signed_total{country="DE"}'] == served['view_plays_signed_total{country="ZZ"}'] == 1.0
