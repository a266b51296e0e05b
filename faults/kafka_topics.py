"""A fault run's own topics, and their content, read independently of the product."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from faults.reference import LogMessage

READ_SECONDS = 60.0


def make_topics(bootstrap: str, partition_counts: Mapping[str, int], *, replicas: int = 1, in_sync: int = 1) -> None:
    """Create topics, stamped by the broker, and wait for their leaders."""
    settings = {"message.timestamp.type": "LogAppendTime", "min.insync.replicas": str(in_sync)}
    topics = {
        name: {"num_partitions": count, "replication_factor": replicas, "configs": settings}
        for name, count in partition_counts.items()
    }
    with admin_of(bootstrap) as admin:
        admin.create_topics(topics)
        admin.wait_for_topics(list(topics), timeout_ms=30_000)


def leader_of(bootstrap: str, topic: str, partition: int) -> int:
    """Return the broker that leads a partition."""
    with admin_of(bootstrap) as admin:
        (described,) = admin.describe_topics([topic])
    (leader,) = (each["leader_id"] for each in described["partitions"] if each["partition_index"] == partition)
    return int(leader)


@contextmanager
def admin_of(bootstrap: str) -> Iterator[Any]:
    """Yield an admin client; close it at the end."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    try:
        yield admin
    finally:
        admin.close()


def highwaters(bootstrap: str, topic: str, partition_count: int) -> list[int]:
    """Return the log ends."""
    partitions = [TopicPartition(topic, number) for number in range(partition_count)]
    with _consumer(bootstrap) as consumer:
        ends = consumer.end_offsets(partitions)
    return [ends[each] for each in partitions]


def read_topic(
    bootstrap: str, topic: str, partition_count: int, *, seconds_max: float = READ_SECONDS
) -> Iterator[LogMessage]:
    """Yield all messages of a topic; raise TimeoutError."""
    partitions = [TopicPartition(topic, number) for number in range(partition_count)]
    with _consumer(bootstrap) as consumer:
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        deadline = time.monotonic() + seconds_max
        while any(consumer.position(each) < ends[each] for each in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    yield LogMessage(record.partition, record.offset, record.timestamp, record.value or b"")
            if time.monotonic() > deadline:
                raise TimeoutError(f"topic {topic} could not be read to its end")


@contextmanager
def _consumer(bootstrap: str) -> Iterator[Any]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap.split(","), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        yield consumer
    finally:
        consumer.close()
