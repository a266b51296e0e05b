"""What every event log promises, on the fake and on a real broker; and that the quick way writes what `send` does."""

import secrets
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from ingestion.contract.brokers import Brokers
from ingestion.contract.unavailable import UnavailableError
from ingestion.intake import AdmittedEvent
from ingestion.kafka_producer import BATCH_BYTES, KafkaEventLog, partition_of, producer_settings
from ingestion.kafka_record_groups import supports
from ingestion.ports import EventLog
from tests.ingestion_fakes import NOW, FakeEventLog

PARTITIONS = 12


@dataclass
class KafkaTopic:
    bootstrap: str
    name: str

    def records(self) -> list[Any]:
        """Every record, by partition and offset."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(self.name, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            found: list[Any] = []
            while len(found) < sum(ends.values()):
                for records in consumer.poll(timeout_ms=1_000).values():
                    found.extend(records)
            return sorted(found, key=lambda record: (record.partition, record.offset))
        finally:
            consumer.close()


@pytest.fixture
def topic(kafka_bootstrap: str) -> KafkaTopic:
    name = f"test-log-{secrets.token_hex(4)}"
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    admin.wait_for_topics([name], timeout_ms=60_000)
    admin.close()
    return KafkaTopic(kafka_bootstrap, name)


@pytest.fixture(params=["fake", "kafka"])
def event_log(request: pytest.FixtureRequest) -> Iterator[tuple[EventLog, Any]]:
    if request.param == "fake":
        fake = FakeEventLog()
        yield fake, lambda: [(event.key, event.value) for event in fake.events]
        return
    topic: KafkaTopic = request.getfixturevalue("topic")
    log = KafkaEventLog.connect(Brokers.at(topic.bootstrap), topic.name)
    yield log, lambda: [(record.key, record.value) for record in topic.records()]
    log.close()


def events(count: int, *, size: int = 20, first: int = 0) -> list[AdmittedEvent]:
    numbers = range(first, first + count)
    return [
        AdmittedEvent(str(n), f"video-{n % 40}".encode(), f"{n:08d}".encode().ljust(size, b"."), NOW) for n in numbers
    ]


def test_an_acknowledged_event_is_in_the_log_once_with_its_key(event_log: tuple[EventLog, Any]) -> None:
    log, stored = event_log
    sent = events(500)
    assert log.append(sent).result(60) is None
    assert sorted(stored()) == sorted((event.key, event.value) for event in sent)


def test_events_of_one_key_keep_their_order_over_many_appends(event_log: tuple[EventLog, Any]) -> None:
    log, stored = event_log
    under_way: list[Future[None]] = [log.append(events(50, first=50 * number)) for number in range(40)]
    for acknowledgement in under_way:
        acknowledgement.result(60)
    by_key: dict[bytes, list[bytes]] = {}
    for key, value in stored():
        by_key.setdefault(key, []).append(value)
    assert sum(map(len, by_key.values())) == 2_000
    assert all(values == sorted(values) for values in by_key.values())


def test_appending_nothing_is_done_at_once(event_log: tuple[EventLog, Any]) -> None:
    assert event_log[0].append([]).result(60) is None


def test_a_log_that_answers_is_reachable(event_log: tuple[EventLog, Any]) -> None:
    assert event_log[0].is_reachable()


def test_the_brokers_time_is_known_with_the_first_acknowledgement(topic: KafkaTopic) -> None:
    log = KafkaEventLog.connect(Brokers.at(topic.bootstrap), topic.name)
    try:
        assert log.broker_time() is None
        log.append(events(3)).result(60)
        received = log.broker_time()
        (newest,) = {record.timestamp for record in topic.records()[-1:]}
        assert received is not None
        assert 0 <= received.timestamp() - newest / 1000 < 60
    finally:
        log.close()


def test_the_quick_way_is_in_use_with_the_pinned_library(topic: KafkaTopic) -> None:
    producer = KafkaProducer(**producer_settings(Brokers.at(topic.bootstrap), 5_000))
    try:
        assert supports(producer), "kafka-python changed inside: look at kafka_record_groups.py"
    finally:
        producer.close(timeout=60)


def test_records_written_in_groups_equal_those_that_send_writes(topic: KafkaTopic) -> None:
    sizes = [0, 1, 62, 63, 64, 127, 128, 8_191, 8_192, 60_000]
    sent = [AdmittedEvent("", b"k" * (1 + n % 64), b"v" * size, NOW) for n, size in enumerate(sizes * 20)]
    log = KafkaEventLog.connect(Brokers.at(topic.bootstrap), topic.name)
    log.append(sent).result(60)
    log.close()
    grouped = topic.records()
    producer = KafkaProducer(**producer_settings(Brokers.at(topic.bootstrap), 5_000))
    for event in sent:
        producer.send(topic.name, event.value, event.key)  # the library's own partitioner, the one of Java clients
    producer.close(timeout=60)
    both = topic.records()

    def content(records: list[Any]) -> list[tuple[Any, ...]]:
        return sorted((r.partition, r.key, r.value, tuple(r.headers), r.timestamp_type) for r in records)

    assert len(both) == 2 * len(sent) == 2 * len(grouped)
    assert content(both) == sorted(content(grouped) * 2)
    assert all(record.partition == partition_of(record.key, PARTITIONS) for record in grouped)


def test_more_than_fits_one_batch_is_split_over_several(topic: KafkaTopic) -> None:
    sent = [AdmittedEvent("", b"one-key", f"{n:06d}".encode() * 10_000, NOW) for n in range(12)]
    assert sum(len(event.value) for event in sent) > 2 * BATCH_BYTES
    log = KafkaEventLog.connect(Brokers.at(topic.bootstrap), topic.name)
    log.append(sent).result(60)
    log.close()
    assert [record.value for record in topic.records()] == [event.value for event in sent]


def test_too_many_events_under_way_are_refused_rather_than_held_in_memory(topic: KafkaTopic) -> None:
    settings = producer_settings(Brokers.at(topic.bootstrap), 5_000)
    log = KafkaEventLog(lambda: KafkaProducer(**settings), topic.name, in_flight_events_max=10)
    with pytest.raises(UnavailableError, match="too many"):
        log.append(events(11)).result(60)
    log.append(events(10)).result(60)
    assert log.in_flight_events == 0
    log.close()


def test_a_missing_broker_or_topic_is_one_clear_error(kafka_bootstrap: str) -> None:
    with pytest.raises(UnavailableError, match=r"no Kafka broker answers at 127\.0\.0\.1:9"):
        KafkaEventLog.connect(Brokers.at("127.0.0.1:9"), "video-views", deadline_ms=500)
    with pytest.raises(UnavailableError, match="has no topic nope"):
        KafkaEventLog.connect(Brokers.at(kafka_bootstrap), "nope", deadline_ms=1_000)


@dataclass
class KnownTrace:
    """A trace that keeps what it is told."""

    traceparent: str
    places: list[tuple[int, int, int]] = field(default_factory=list)

    def stored(self, partition: int, offset: int, count: int) -> None:
        self.places.append((partition, offset, count))


@pytest.mark.parametrize("is_quick", [True, False])
def test_messages_of_a_trace_have_its_header_and_it_knows_their_places(
    topic: KafkaTopic, is_quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.kafka_producer.supports", lambda producer: is_quick)
    log = KafkaEventLog.connect(Brokers.at(topic.bootstrap), topic.name)
    traces = [KnownTrace(f"00-{number:032x}-{number:016x}-01") for number in (1, 2)]
    # without a wait between them, so that several share a batch
    appended = [log.append(events(60)), *(log.append(events(60, first=60), each) for each in traces)]
    appended.append(log.append(events(BATCH_BYTES // 40_000 + 2, size=40_000), traces[0]))
    for acknowledgement in appended:
        acknowledgement.result(60)
    log.close()
    found: dict[str, list[tuple[int, int]]] = {}
    for record in topic.records():
        (header,) = record.headers or [("", b"")]
        assert header[0] in ("", "traceparent")
        found.setdefault(header[1].decode(), []).append((record.partition, record.offset))
    assert [len(found[name]) for name in ("", *(each.traceparent for each in traces))] == [60, 60 + 8, 60]
    for each in traces:
        places = [(partition, offset + n) for partition, offset, count in each.places for n in range(count)]
        assert sorted(places) == found[each.traceparent]
