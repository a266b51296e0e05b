"""Spark reads the log of a broker with TLS as it reads any other: by a password, and by a certificate."""

from contextlib import closing

from kafka import KafkaProducer
from pyspark.sql import SparkSession

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.archive.spark_archive import KafkaSource
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.topics import PARTITION_COUNT, TOPIC_VIDEO_VIEWS
from jobs.checkup.topics import admin_client
from jobs.commands.topics import create
from jobs.settings import KafkaConnection
from tests.secure_kafka import secure_kafka


def test_spark_reads_what_python_wrote_by_password_and_by_certificate(spark: SparkSession) -> None:
    with secure_kafka() as kafka:
        connection = KafkaConnection.from_environ(kafka.environ("admin"))
        with admin_client(connection) as admin:
            create(admin, connection)
        with closing(KafkaProducer(**connection.brokers.of_python())) as producer:
            for number in range(50):
                producer.send(TOPIC_VIDEO_VIEWS, key=str(number).encode(), value=f"v{number}".encode())
            producer.flush()
        with closing(KafkaLogEnds(connection.brokers, TOPIC_VIDEO_VIEWS)) as log:
            end = OffsetVector(TOPIC_VIDEO_VIEWS, log.highwaters())
        start = OffsetVector(TOPIC_VIDEO_VIEWS, (0,) * PARTITION_COUNT)
        for environ in (kafka.environ("admin"), kafka.environ_by_certificate("admin")):
            rows = KafkaSource(spark, KafkaConnection.from_environ(environ).brokers).read(start, end).collect()
            assert {bytes(row.value).decode() for row in rows} == {f"v{number}" for number in range(50)}
