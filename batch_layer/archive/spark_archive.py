"""Archive exact Kafka offset ranges into the raw table, untouched, and prove that they are complete."""

import json
from collections.abc import Sequence
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.ports import Archived
from batch_layer.errors import ArchiveError
from batch_layer.lake.content import Content
from batch_layer.lake.iceberg_tables import branch_target
from batch_layer.lake.spark_content_hash import observed
from batch_layer.lake.spark_errors import STAMPED_BY_SENDERS
from batch_layer.lake.tables import RAW_EVENTS
from ingestion.contract.brokers import Brokers
from ingestion.contract.offsets import OffsetRange, OffsetVector


class RecordSource(Protocol):
    """Reads the log; see `KafkaSource`."""

    def read(self, start: OffsetVector, end: OffsetVector) -> DataFrame:
        """Return the records in `[start, end)`."""


class KafkaSource:
    """Reads offset ranges of the log with Spark's Kafka connector."""

    def __init__(self, spark: SparkSession, brokers: Brokers, base: int = 0) -> None:
        """Read from Kafka; add `base`, the first offset of this generation of the log, to every offset."""
        self._spark = spark
        self._brokers = brokers
        self._base = base

    def read(self, start: OffsetVector, end: OffsetVector) -> DataFrame:
        """Return the records in `[start, end)`; the read fails when the broker no longer has one of them."""
        return (
            self._spark.read.format("kafka")
            .options(**{f"kafka.{name}": value for name, value in self._brokers.of_java().items()})
            .option("subscribe", start.topic)
            .option("startingOffsets", _offsets_json(start, self._base))
            .option("endingOffsets", _offsets_json(end, self._base))
            .option("failOnDataLoss", "true")
            # as the speed layer reads: an event counts when it is on the log
            .option("kafka.isolation.level", "read_uncommitted")
            # fewer, larger requests: with the default of 1 MiB a partition the task waits for the broker
            .option("kafka.max.partition.fetch.bytes", str(8 << 20))
            .option("kafka.fetch.max.bytes", str(64 << 20))
            .option("kafka.max.poll.records", "20000")
            # everything requested is there already; at the log's end the read-ahead would hold up each partition
            # for the default of 500 ms, for the broker answers a connection's requests one after the other
            .option("kafka.fetch.max.wait.ms", "10")
            .load()
            .selectExpr(
                "topic",
                "partition",
                f"offset + {self._base} AS offset",
                f"if(timestampType = 1, timestamp, raise_error('{STAMPED_BY_SENDERS}')) AS appended_at",
                "key",
                "value",
            )
        )


def _offsets_json(vector: OffsetVector, base: int) -> str:
    return json.dumps({vector.topic: {str(index): end - base for index, end in enumerate(vector.ends)}})


def append_raw(records: DataFrame, *, branch: str, run_id: str, file_count: int) -> Content:
    """Append records to the raw table's branch in `file_count` files for each day of arrival.

    Returns their content as it was sent to the files.
    """
    rows, content = observed(records.coalesce(file_count))
    rows.withColumn("run_id", F.lit(run_id)).writeTo(branch_target(RAW_EVENTS, branch)).append()
    return content()


def verify_archived(rows: DataFrame, ranges: Sequence[OffsetRange]) -> Archived:
    """Prove that `rows` lie in the ranges and hold no offset twice; count rows and gaps by partition.

    Raises:
        ArchiveError: an offset is outside its range or appears twice.
    """
    found = {
        row.partition: row
        for row in rows.groupBy("partition")
        .agg(
            F.count("*").alias("row_count"),
            F.count_distinct("offset").alias("offset_count"),
            F.min("offset").alias("first"),
            F.max("offset").alias("last"),
        )
        .collect()
    }
    spans = {each.partition: each for each in ranges}
    for partition, row in found.items():
        span = spans.get(partition)
        if span is None or row.first < span.start or row.last >= span.end:
            wanted = f"[{span.start}, {span.end})" if span else "nothing"
            raise ArchiveError(f"partition {partition}: expected {wanted}, archived {row.first} to {row.last}")
        if row.offset_count != row.row_count:
            raise ArchiveError(f"partition {partition}: {row.row_count - row.offset_count} offsets were archived twice")
    rows_by_partition = {partition: found[partition].row_count if partition in found else 0 for partition in spans}
    gaps = {partition: span.end - span.start - rows_by_partition[partition] for partition, span in spans.items()}
    return Archived(rows_by_partition, gaps)
