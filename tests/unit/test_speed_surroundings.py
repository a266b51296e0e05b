"""Dead letters, viewers, latency, metrics, probes, settings."""

import base64
import json
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from ingestion.contract.event import Reason, RejectedEvent
from ingestion.contract.event_contracts import EventContracts
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.processes.speed import SpeedSettings
from speed_layer.active_viewers import ActiveViewers
from speed_layer.chunk import Rejection, judge, spans
from speed_layer.dead_letter import VALUE_BYTES_MAX, dead_letter
from speed_layer.latency_histogram import LatencyHistogram
from speed_layer.prometheus_speed_metrics import PrometheusSpeedMetrics
from speed_layer.segments import Applied
from tests.speed_fakes import START_MS, FakeRecord, event_value

NEW_LOG = EventContracts.of_new_log("views")
ENVIRONMENT = {
    "VIEWLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "VIEWLEDGER_REDIS_URL": "redis://127.0.0.1:1/0",
    "VIEWLEDGER_POSTGRES_URL": "postgresql://somebody:secret@127.0.0.1:1/views",
}


def letter_of(value: bytes | None, event_id: str = "id") -> dict[str, object]:
    rejected = RejectedEvent((Reason("json_malformed", "JSON is malformed"),), event_id)
    key, letter = dead_letter("views", 3, Rejection(FakeRecord(17, START_MS, value), rejected))
    assert key == b"views/3/17"
    found: dict[str, object] = json.loads(letter)
    return found


def test_a_dead_letter_says_where_when_why_and_what() -> None:
    assert letter_of(b'{"a"') == {
        "topic": "views",
        "partition": 3,
        "offset": 17,
        "appended_at_ms": START_MS,
        "reasons": [{"code": "json_malformed", "detail": "JSON is malformed"}],
        "event_id": "id",
        "value": '{"a"',
        "value_encoding": "utf-8",
    }


def test_a_dead_letter_of_other_bytes_carries_base64_and_says_so() -> None:
    letter = letter_of(b"\xff\x00")
    assert letter["value_encoding"] == "base64"
    assert base64.b64decode(str(letter["value"])) == b"\xff\x00"
    assert letter_of(None)["value_encoding"] == "none"


@pytest.mark.parametrize("byte", [b"a", b"\xff", b"\x01"], ids=["text", "binary", "escaped"])
def test_a_dead_letter_of_a_huge_value_is_cut_says_so_and_stays_small(byte: bytes) -> None:
    letter = letter_of(byte * (VALUE_BYTES_MAX + 9))
    assert (letter["value_is_cut"], letter["value_bytes"]) == (True, VALUE_BYTES_MAX + 9)
    assert len(json.dumps(letter)) < 1_000_000


def test_a_huge_event_id_does_not_make_the_letter_too_large_to_send() -> None:
    assert letter_of(b"{}", "x" * 1_000_000)["event_id"] == "x" * 128


def test_a_viewer_is_counted_once_and_for_at_least_a_minute() -> None:
    viewers = ActiveViewers()
    viewers.add(["a", "b", "a"], 60.0)
    viewers.add(["a", "c"], 125.0)
    assert viewers.count(179.0) == 3
    assert viewers.count(181.0) == 2
    assert viewers.count(400.0) == 0


def test_viewers_are_bounded() -> None:
    viewers = ActiveViewers(sessions_max=10)
    for number in range(100):
        viewers.add([f"session{number}"], 60.0)
    assert viewers.count(60.0) == 10


def test_a_histogram_counts_every_duration_up_to_its_bound() -> None:
    histogram = LatencyHistogram((0.1, 1.0))
    histogram.add(0.1, 3)
    histogram.add(0.5, 2)
    histogram.add(9.0, 1)
    histogram.add(-1.0, 1)
    assert list(histogram.cumulative()) == [("0.1", 4.0), ("1.0", 6.0), ("+Inf", 7.0)]
    assert histogram.sum_seconds == pytest.approx(10.3)


def test_metrics_tell_verdicts_latency_and_viewers() -> None:
    registry = CollectorRegistry()
    metrics = PrometheusSpeedMetrics(registry, clock=lambda: START_MS / 1000)
    records = [
        FakeRecord(index, START_MS, value)
        for index, value in enumerate([event_value(UUID(int=1), "a"), event_value(UUID(int=1), "a"), b"{}"])
    ]
    (span,) = spans(records, partition=0, offsets=(0, 3), segment=0, generation_ms=10**9)
    metrics.chunk_applied(judge(span, NEW_LOG), Applied(1, 0), START_MS + 40)
    metrics.chunk_applied(judge(span, NEW_LOG), Applied(0, 1, is_warm_up=True), START_MS + 99_000)
    metrics.repaired(4)
    metrics.lag_known(4, 7)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert [value("view_events_total", verdict=each) for each in ("counted", "duplicate", "rejected")] == [1, 1, 1]
    assert value("speed_warm_up_events_total") == 3
    assert value("processing_latency_seconds_bucket", le="0.03") == 0
    assert value("processing_latency_seconds_bucket", le="0.04") == 3
    assert value("processing_latency_seconds_count") == 3
    assert value("active_viewers") == 1
    assert (value("speed_repairs_total", partition="4"), value("speed_lag_offsets", partition="4")) == (1, 7)
    metrics.partitions_gone([4, 5])
    assert value("speed_lag_offsets", partition="4") is None


def test_settings_have_defaults_but_for_the_servers_and_show_no_secret() -> None:
    chosen = SpeedSettings.from_environ(ENVIRONMENT)
    assert (chosen.kafka.topic, chosen.horizon.length_ms, chosen.port) == ("video-views", 7_200_000, 17072)
    assert "secret" not in repr(chosen)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("VIEWLEDGER_KAFKA_BOOTSTRAP", ""),
        ("VIEWLEDGER_KAFKA_BOOTSTRAP", "nowhere"),
        ("VIEWLEDGER_REDIS_URL", "http://127.0.0.1"),
        ("VIEWLEDGER_POSTGRES_URL", ""),
        ("VIEWLEDGER_SPEED_HORIZON_SECONDS", "1"),
        ("VIEWLEDGER_SPEED_HORIZON_SECONDS", "two"),
        ("VIEWLEDGER_SPEED_SESSION_TIMEOUT_MS", "5999"),
        ("VIEWLEDGER_SPEED_METRICS_PORT", "65536"),
    ],
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(CommandError, match=name) as raised:
        SpeedSettings.from_environ({**ENVIRONMENT, name: text})
    assert raised.value.code == ExitCode.BAD_INPUT
