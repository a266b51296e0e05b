"""A Kafka alone with the project's topics, and what a test finds in the topic of views."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from ingestion.contract.topics import PARTITION_COUNT, TOPIC_VIDEO_VIEWS
from jobs.checkup.topics import admin_client
from jobs.commands.topics import create
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings import KafkaConnection

KNOWN_WITHIN_SECONDS = 60.0


@contextmanager
def kafka_alone() -> Iterator[LocalStack]:
    """Give a stack with Kafka alone, which a file of tests may hurt."""
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("kafka",)) as stack:
        connection = KafkaConnection.from_environ(stack.environment)
        with admin_client(connection) as admin:
            create(admin, connection)
        yield stack


def stored(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Everything in the topic of views."""
    records = records_of(environ["VIEWLEDGER_KAFKA_BOOTSTRAP"], TOPIC_VIDEO_VIEWS, PARTITION_COUNT)
    found = [json.loads(record.value) for record in records]
    assert [record.key.decode() for record in records] == [each["video_id"] for each in found]
    return found


def records_of(bootstrap: str, topic: str, partition_count: int) -> list[Any]:
    """Everything in a topic, up to where it ends now."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in range(partition_count)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Any] = []
        while any(consumer.position(each) < ends[each] for each in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                found += records
        return found
    finally:
        consumer.close()


def change_setting(admin: KafkaAdminClient, topic: str, name: str, value: str) -> None:
    """Change a setting of a topic: its controller answers before the brokers know, so wait until one shows it."""
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic)]
    deadline = time.monotonic() + KNOWN_WITHIN_SECONDS
    while admin.describe_configs(asked, config_filter="all")["topic"][topic][name]["value"] != value:
        assert time.monotonic() < deadline, f"no broker shows {name}={value} of {topic}"
        time.sleep(0.05)
