"""What Kafka lets producers do, on the real broker: the speed layer's reader and Spark read the same records."""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.record import memory_records
from pyspark.sql import SparkSession

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.archive.spark_archive import KafkaSource
from batch_layer.errors import RefusedError
from batch_layer.lake.spark_errors import translated
from ingestion.contract.brokers import Brokers
from ingestion.contract.offsets import OffsetVector
from jobs.settings.state_home import state_home
from jobs.setup import programs
from jobs.wiring.kafka_record_batches import read_every_batch
from speed_layer.errors import SpeedLayerError, TopicSettingsError
from speed_layer.kafka_log import KafkaLog, KafkaLogSettings
from tests.kafka_topic import change_setting

WITHIN_SECONDS = 60.0
CODECS = ("gzip", "snappy", "lz4", "zstd")
Read = list[tuple[int, bytes | None, bytes | None]]


class HeaderName(str):
    """The name of a header as a client in C may send it: bytes that are not UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


@pytest.fixture
def topic(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic of one partition, in a process that reads as the product's processes do."""
    monkeypatch.setattr(memory_records, "DefaultRecordBatch", memory_records.DefaultRecordBatch)
    read_every_batch()
    name = f"test-log-{uuid.uuid4().hex}"
    with closing(KafkaAdminClient(bootstrap_servers=kafka_bootstrap)) as admin:
        admin.create_topics([NewTopic(name, 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    return name


def producer_of(bootstrap: str, codec: str | None = None, **more: object) -> KafkaProducer:
    return KafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type=codec,
        batch_size=8 << 20,
        linger_ms=500,
        max_request_size=16 << 20,
        **more,
    )


def read_fast(bootstrap: str, topic: str, end: int) -> Read:
    """What the speed layer's reader delivers up to an offset."""
    found: list[Any] = []
    with closing(KafkaLog(KafkaLogSettings(Brokers.at(bootstrap), topic, topic))) as log:
        deadline = time.monotonic() + WITHIN_SECONDS
        while log.assignment()[1] != {0}:
            log.poll(0.2)
            assert time.monotonic() < deadline
        log.begin(0, 0)
        while log.next_offset(0) < end:
            for records in log.poll(0.5).values():
                found += records
            assert time.monotonic() < deadline, f"read up to {log.next_offset(0)} of {end}"
    return [(each.offset, each.key, each.value) for each in found]


def read_with_spark(spark: SparkSession, bootstrap: str, topic: str, end: int) -> Read:
    records = KafkaSource(spark, Brokers.at(bootstrap)).read(OffsetVector(topic, (0,)), OffsetVector(topic, (end,)))
    rows = translated(records.orderBy("offset").collect)()
    return [
        (row.offset, None if row.key is None else bytes(row.key), None if row.value is None else bytes(row.value))
        for row in rows
    ]


def ends(bootstrap: str, topic: str) -> Iterator[int]:
    with closing(KafkaLogEnds(Brokers.at(bootstrap), topic)) as log:
        yield from log.highwaters()


def test_every_codec_is_read_by_both_layers_from_small_batches_and_from_batches_of_many_mebibytes(
    spark: SparkSession, kafka_bootstrap: str, topic: str
) -> None:
    sent: list[tuple[bytes | None, bytes | None]] = []
    for codec in (None, *CODECS):
        size = 800 if codec is None else 3_000
        values = [f"{codec} {index} ".encode() + b"view " * 400 for index in range(size)]
        with closing(producer_of(kafka_bootstrap, codec)) as producer:
            sent.append((b"small", b"{}"))
            producer.send(topic, key=b"small", value=b"{}", partition=0).get(timeout=60)
            if codec is None:  # what the broker takes uncompressed is less
                values = values[:400]
            sending = [producer.send(topic, value=value, partition=0) for value in values]
            sent += [(None, value) for value in values]
            for future in sending:
                future.get(timeout=60)
    for codec in CODECS:
        lines = [f"java {codec} {index} " + "view " * 400 for index in range(500)]
        java_producer(kafka_bootstrap, topic, codec, lines)
        sent += [(None, line.encode()) for line in lines]
    (end,) = ends(kafka_bootstrap, topic)
    expected = [(offset, *each) for offset, each in enumerate(sent)]
    assert end == len(expected)
    assert read_fast(kafka_bootstrap, topic, end) == expected
    assert read_with_spark(spark, kafka_bootstrap, topic, end) == expected
    with closing(KafkaLogEnds(Brokers.at(kafka_bootstrap), topic)) as log:
        for offset in (5, 2_000, 8_000, end - 1):
            assert log.appended_at({0: offset}), "the time of a record in the midst of a batch"


def java_producer(bootstrap: str, topic: str, codec: str, lines: list[str]) -> None:
    """Sends lines with Kafka's own producer, whose framing of some codecs is its own."""
    words = ["--bootstrap-server", bootstrap, "--topic", topic, "--compression-codec", codec, "--batch-size", "900000"]
    subprocess.run(
        [
            programs.java() or "java",
            "-cp",
            f"{state_home() / 'jars' / 'kafka'}/*",
            "org.apache.kafka.tools.ConsoleProducer",
            *words,
            "--producer-property",
            "linger.ms=200",
        ],
        input="\n".join(lines).encode(),
        check=True,
        timeout=WITHIN_SECONDS,
        env={**os.environ, "KAFKA_HEAP_OPTS": "-Xmx256m"},
    )


@pytest.mark.parametrize("codec", [None, *CODECS])
def test_tombstones_headers_keys_and_ended_transactions_are_the_same_to_both_layers(
    spark: SparkSession, kafka_bootstrap: str, topic: str, codec: str | None
) -> None:
    expected: Read = []

    def send(producer: KafkaProducer, offset: int, key: bytes | None, value: bytes | None, **more: object) -> None:
        expected.append((offset, key, value))
        producer.send(topic, key=key, value=value, partition=0, **more)

    with closing(producer_of(kafka_bootstrap, codec)) as producer:
        send(producer, 0, b"key", None)
        send(producer, 1, None, b"")
        send(producer, 2, b"", b"x", headers=[(HeaderName("name"), b"\xff"), ("name", b""), ("", b"")])
        send(producer, 3, b"k" * 70_000, b"far", timestamp_ms=1)
        send(producer, 4, None, b"future", timestamp_ms=32_503_680_000_000)
        send(producer, 5, None, os.urandom(900_000))
        producer.flush()
    with closing(producer_of(kafka_bootstrap, codec, transactional_id=topic)) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        send(producer, 6, None, b"committed")
        producer.commit_transaction()
        producer.begin_transaction()
        send(producer, 8, None, b"aborted")
        producer.flush()
        producer.abort_transaction()
        producer.begin_transaction()
        send(producer, 10, None, b"neither")
        producer.flush()
        (end,) = ends(kafka_bootstrap, topic)
        assert end == 11, "an open transaction hides nothing"
        assert read_fast(kafka_bootstrap, topic, end) == expected
        assert read_with_spark(spark, kafka_bootstrap, topic, end) == expected
        producer.abort_transaction()
    (end,) = ends(kafka_bootstrap, topic)
    assert read_fast(kafka_bootstrap, topic, end) == expected
    assert read_with_spark(spark, kafka_bootstrap, topic, end) == expected


def test_a_batch_that_opens_to_more_than_the_bound_halts_by_its_name(kafka_bootstrap: str, topic: str) -> None:
    with closing(
        KafkaProducer(bootstrap_servers=kafka_bootstrap, compression_type="zstd", max_request_size=1 << 30)
    ) as producer:
        producer.send(topic, value=b"0" * (257 << 20), partition=0).get(timeout=120)
    with pytest.raises(SpeedLayerError, match=r"cannot be read .*offsets from 0 on.*zstd open to more than 268435456"):
        read_fast(kafka_bootstrap, topic, 1)


def test_records_stamped_by_their_senders_are_refused_wherever_they_stand(
    spark: SparkSession, kafka_bootstrap: str, topic: str
) -> None:
    for kind in ("LogAppendTime", "CreateTime", "LogAppendTime"):
        with closing(KafkaAdminClient(bootstrap_servers=kafka_bootstrap)) as admin:
            change_setting(admin, topic, "message.timestamp.type", kind)
        with closing(KafkaProducer(bootstrap_servers=kafka_bootstrap)) as producer:
            producer.send(topic, value=kind.encode(), partition=0).get(timeout=60)
    with pytest.raises(TopicSettingsError, match="LogAppendTime"):
        read_fast(kafka_bootstrap, topic, 3)
    with pytest.raises(RefusedError, match="set by their senders"):
        read_with_spark(spark, kafka_bootstrap, topic, 3)
