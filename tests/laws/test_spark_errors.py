"""A Java exception names the unreachable server, anywhere in its chain of causes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.errors.exceptions.captured import convert_exception
from pyspark.sql import SparkSession

from batch_layer.archive.spark_files import damage
from batch_layer.errors import DifferenceError
from batch_layer.lake.spark_errors import translated
from batch_layer.reconciling.spark_comparison import naming
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion


def test_a_file_that_hdfs_can_neither_write_nor_close_is_hdfs_away(spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    full = jvm.org.apache.hadoop.ipc.RemoteException(
        "java.io.IOException", "File v1.json could only be written to 0 of the 1 minReplication nodes"
    )

    @translated
    def write() -> None:
        raise convert_exception(jvm.java.lang.IllegalArgumentException("Self-suppression not permitted", full))

    with pytest.raises(UnavailableError, match=r"HDFS did not answer Spark .*could only be written to 0 of the 1"):
        write()


@pytest.mark.parametrize(
    "text",
    [
        "java.util.concurrent.TimeoutException: Futures timed out after [300 seconds]",
        "java.lang.OutOfMemoryError: Java heap space",
        "ExecutorLostFailure (executor 2 exited caused by one of the running tasks)",
        "Job 7 cancelled because SparkContext was shut down",
        "java.io.IOException: No space left on device",
    ],
)
def test_work_that_spark_did_not_finish_says_nothing_about_the_file_that_it_read(
    spark: SparkSession, text: str
) -> None:
    jvm: Any = spark._jvm
    error = convert_exception(jvm.java.lang.RuntimeException(f"Error while reading file /a.parquet: {text}"))
    with pytest.raises(UnavailableError, match="Spark did not finish") as caught:
        damage(spark, error)
    assert caught.value.part == Part.SPARK


def test_a_comparison_that_fails_though_every_file_can_be_read_is_not_a_difference(
    spark: SparkSession, empty_tables: None
) -> None:
    version = PublishedVersion(
        version=1,
        run_id="run",
        offsets=OffsetVector("video-views", (0,)),
        watermarks=(),
        snapshots={},
        row_counts={},
        content_hashes={},
        day_rules={},
        published_at=datetime(2026, 11, 20, tzinfo=UTC),
    )
    with pytest.raises(UnavailableError, match="every file can be read"), naming(spark, version):
        spark.sql("SELECT raise_error('some failure of the engine')").collect()
    with pytest.raises(DifferenceError, match="version 1 cannot be read"), naming(spark, version):
        spark.sql("SELECT a_column FROM VALUES (1) AS one(another_column)")
