"""What a test finds in the topic of views."""

import json
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from ingestion.contract.topics import PARTITION_COUNT, TOPIC_VIDEO_VIEWS


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
