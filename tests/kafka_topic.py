"""A Kafka alone with the project's topics, and what a test finds in the topic of views."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from ingestion.contract.topics import PARTITION_COUNT, TOPIC_VIDEO_VIEWS
from jobs.checkup.topics import admin_client
from jobs.commands.topics import create
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings import KafkaConnection


@contextmanager
def kafka_alone() -> Iterator[LocalStack]:
    """Give a stack with Kafka alone, which a file of tests may hurt."""
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("kafka",)) as stack:
        connection = KafkaConnection.from_environ(stack.environment)
        with admin_client(connection) as admin:
            create(admin, connection)
        yield stack


def stored(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Everything in the topic."""
    consumer = KafkaConsumer(bootstrap_servers=environ["VIEWLEDGER_KAFKA_BOOTSTRAP"], enable_auto_commit=False)
    try:
        partitions = [TopicPartition(TOPIC_VIDEO_VIEWS, number) for number in range(PARTITION_COUNT)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        found: list[dict[str, Any]] = []
        while any(consumer.position(each) < ends[each] for each in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    assert record.key.decode() == json.loads(record.value)["video_id"]
                    found.append(json.loads(record.value))
        return found
    finally:
        consumer.close()
