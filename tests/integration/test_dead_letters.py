"""Dead letters on real servers: read with their reasons, and sent again once."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from ingestion.contract.brokers import Brokers
from ingestion.contract.event import Reason, RejectedEvent
from jobs.cli import main
from jobs.commands import dead_letters
from speed_layer.chunk import Rejection
from speed_layer.dead_letter import read_letter
from speed_layer.kafka_dead_letter_replay import ReplayRefusedError
from speed_layer.kafka_dead_letters import KafkaDeadLetters


@pytest.fixture
def topics(kafka_bootstrap: str) -> tuple[str, str]:
    names = (f"views-{uuid4().hex[:8]}", f"dlq-{uuid4().hex[:8]}")
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    config = {"message.timestamp.type": "LogAppendTime"}
    admin.create_topics([NewTopic(name, 2, 1, topic_configs=config) for name in names])
    admin.close()
    return names


@pytest.fixture
def environ(
    stack_environment: Mapping[str, str], topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    changed = {"VIEWLEDGER_TOPIC_VIDEO_VIEWS": topics[0], "VIEWLEDGER_TOPIC_DEAD_LETTERS": topics[1]}
    for name, value in ({**stack_environment} | changed).items():
        monkeypatch.setenv(name, value)
    return {**stack_environment} | changed


@pytest.fixture
def append(kafka_bootstrap: str, topics: tuple[str, str]) -> Iterator[Callable[[bytes], int]]:
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    yield lambda value: producer.send(topics[0], key=b"-v", value=value, partition=1).get(timeout=60).offset
    producer.close()


def view(**fields: object) -> bytes:
    event = {
        "event_id": str(uuid4()), "video_id": "-v", "user_id": "u", "session_id": "s", "timestamp": _now(),
        "view_duration": 42, "revenue_eligible": True,
    }  # fmt: skip
    return json.dumps(event | fields).encode()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass(frozen=True)
class Message:
    offset: int
    timestamp: int
    value: bytes | None


def write_letter(bootstrap: str, topics: tuple[str, str], offset: int, value: bytes, text: str) -> None:
    letters = KafkaDeadLetters(Brokers.at(bootstrap), source_topic=topics[0], topic=topics[1])
    record = Message(offset, 1_795_574_345_000 + offset, value)
    letters.send([(1, Rejection(record, RejectedEvent((Reason("timestamp_without_zone", text),), None)))])
    letters.close()


def test_letters_are_listed_newest_first_and_once(
    environ: dict[str, str], topics: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap = environ["VIEWLEDGER_KAFKA_BOOTSTRAP"]
    for offset in (5, 6, 6, 7):
        write_letter(bootstrap, topics, offset, b"\xff", f"timestamp {offset} has no zone")
    assert main(["dead-letters", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["partition"], each["offset"]) for each in found] == [(1, 7), (1, 6), (1, 5)]
    assert found[0]["reasons"] == ["timestamp_without_zone: timestamp 7 has no zone"]
    assert main(["dead-letters", "list", "--limit", "1"]) == 0
    assert capsys.readouterr().out.startswith("1:7")


def test_a_message_that_keeps_the_contract_now_is_sent_again_once(
    environ: dict[str, str], topics: tuple[str, str], append: Callable[[bytes], int]
) -> None:
    value = view()
    offset = append(value)
    replay = dead_letters.open_replay(environ)
    replay.replay(1, offset, "olga")
    with pytest.raises(ReplayRefusedError, match="sent again before"):
        replay.replay(1, offset, "olga")
    assert _values(environ["VIEWLEDGER_KAFKA_BOOTSTRAP"], topics[0]).count(value) == 2


def test_what_still_breaks_the_contract_or_is_not_there_is_not_sent(
    environ: dict[str, str],
    topics: tuple[str, str],
    append: Callable[[bytes], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    offset = append(view(timestamp="2026-11-25T10:00:00"))
    for place, words in (
        (f"1:{offset}", "still breaks the contract"),
        ("1:99", "is not on the log"),
        ("7:0", "no partition 7"),
    ):
        assert main(["dead-letters", "replay", place, "--actor", "olga"]) == 5
        assert words in capsys.readouterr().err
    assert main(["dead-letters", "replay", "x", "--actor", "olga"]) == 2
    assert main(["dead-letters", "list", "--limit", "0"]) == 2
    assert len(_values(environ["VIEWLEDGER_KAFKA_BOOTSTRAP"], topics[0])) == 1


def test_a_dead_broker_is_one_sentence(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIEWLEDGER_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert main(["dead-letters", "list"]) == 4
    assert "Kafka does not answer" in capsys.readouterr().err


def test_what_is_not_a_letter_is_passed_over() -> None:
    for value in (b"{}", b"[]", b'{"partition": 1}', b"{broken", b"\xff"):
        assert read_letter(value) is None


def _values(bootstrap: str, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    places = [TopicPartition(topic, each) for each in (0, 1)]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    found: list[bytes] = []
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(timeout_ms=500).values():
            found += [record.value for record in records]
    consumer.close()
    return found
