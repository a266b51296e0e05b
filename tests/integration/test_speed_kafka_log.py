"""The log on a real Kafka: the group's offsets are never used, markers are passed, what is gone halts."""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from ingestion.contract.brokers import Brokers
from ingestion.contract.unavailable import UnavailableError
from speed_layer.errors import OffsetsGoneError, TopicSettingsError
from speed_layer.kafka_log import KafkaLog, KafkaLogSettings

WITHIN_SECONDS = 60.0


def make_topic(bootstrap: str, timestamp_type: str = "LogAppendTime") -> KafkaLogSettings:
    topic = f"test-speed-log-{uuid.uuid4().hex}"
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"message.timestamp.type": timestamp_type})])
    return KafkaLogSettings(brokers=Brokers.at(bootstrap), topic=topic, group_id=topic)


@pytest.fixture
def settings(kafka_bootstrap: str) -> KafkaLogSettings:
    return make_topic(kafka_bootstrap)


@pytest.fixture
def log(settings: KafkaLogSettings) -> Iterator[KafkaLog]:
    with closing(KafkaLog(settings)) as made:
        yield made


def send(settings: KafkaLogSettings, count: int) -> None:
    with closing(KafkaProducer(**settings.brokers.of_python())) as producer:
        for number in range(count):
            producer.send(settings.topic, value=str(number).encode(), partition=0)


def assigned(log: KafkaLog, partitions: frozenset[int] = frozenset([0])) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while log.assignment()[1] != partitions:
        assert not log.poll(0.2), "nothing comes before `begin`"
        assert time.monotonic() < deadline, "no partition was assigned"


def poll(log: KafkaLog) -> list[int]:
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        if polled := log.poll(0.2):
            return [record.offset for record in polled[0]]
    raise AssertionError("nothing came")


def test_reading_begins_where_it_is_told_and_not_at_the_groups_offset(
    settings: KafkaLogSettings, log: KafkaLog
) -> None:
    send(settings, 9)
    with closing(KafkaConsumer(**settings.brokers.of_python(), group_id=settings.group_id)) as other:
        other.assign([TopicPartition(settings.topic, 0)])
        other.commit({TopicPartition(settings.topic, 0): OffsetAndMetadata(8, "", -1)})
    assigned(log)
    assert not log.poll(0.5)
    log.begin(0, 3)
    assert poll(log)[0] == 3
    assert log.next_offset(0) == 9
    log.begin(0, 5)
    assert poll(log)[0] == 5
    log.hold([0])
    send(settings, 1)
    assert not log.poll(0.5)


def test_new_partitions_are_assigned_although_a_poll_ends_before_the_group_is_joined_again(
    settings: KafkaLogSettings,
) -> None:
    with closing(KafkaLog(replace(settings, metadata_age_max_ms=200))) as log:
        assigned(log)
        with closing(KafkaAdminClient(**settings.brokers.of_python())) as admin:
            admin.create_partitions({settings.topic: 2})
        # Each poll ends before the broker can answer; the client asks for the topic's partitions several times.
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            log.poll(0.001)
        assigned(log, frozenset([0, 1]))


def test_transaction_markers_after_the_last_message_are_skipped(settings: KafkaLogSettings, log: KafkaLog) -> None:
    with closing(KafkaProducer(**settings.brokers.of_python(), transactional_id=settings.topic)) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(settings.topic, value=b"one", partition=0)
        producer.commit_transaction()
    assigned(log)
    log.begin(0, 0)
    assert poll(log) == [0]
    assert log.ranges([0])[0].highwater == 2
    log.poll(0.5)
    assert log.next_offset(0) == 2


def test_offsets_are_found_by_append_time(settings: KafkaLogSettings, log: KafkaLog) -> None:
    send(settings, 1)
    assigned(log)
    log.begin(0, 0)
    poll(log)
    assert log.first_offset_since(0, 0) == 0
    assert log.first_offset_since(0, int(time.time() * 1000) + 60_000) is None


def test_offsets_that_retention_removed_are_never_jumped_over(settings: KafkaLogSettings, log: KafkaLog) -> None:
    send(settings, 9)
    with closing(KafkaAdminClient(**settings.brokers.of_python())) as admin:
        admin.delete_records({TopicPartition(settings.topic, 0): 5})
    assigned(log)
    assert (log.ranges([0])[0].start, log.ranges([0])[0].highwater) == (5, 9)
    log.begin(0, 2)
    with pytest.raises(OffsetsGoneError):
        poll(log)


def test_a_shorter_log_under_the_same_name_halts(settings: KafkaLogSettings, log: KafkaLog) -> None:
    send(settings, 9)
    assigned(log)
    log.begin(0, 0)
    while poll(log)[-1] < 8:
        pass
    first = log.log_id()
    with closing(KafkaAdminClient(**settings.brokers.of_python())) as admin:
        admin.delete_topics([settings.topic])
        create_again(admin, settings.topic)
    send(settings, 3)
    with pytest.raises(OffsetsGoneError, match="or the log was truncated"):
        poll(log)
    assert log.log_id() != first


def create_again(admin: KafkaAdminClient, topic: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        try:
            admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
            return
        except KafkaError:
            assert time.monotonic() < deadline, "the topic is still being deleted"
            time.sleep(0.2)


def test_a_topic_stamped_by_producers_is_refused(kafka_bootstrap: str) -> None:
    settings = make_topic(kafka_bootstrap, "CreateTime")
    send(settings, 1)
    with closing(KafkaLog(settings)) as log:
        assigned(log)
        log.begin(0, 0)
        with pytest.raises(TopicSettingsError, match="LogAppendTime"):
            poll(log)


def test_a_broker_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="Kafka"):
        KafkaLog(KafkaLogSettings(brokers=Brokers.at("127.0.0.1:1"), topic="views", group_id="group"))
