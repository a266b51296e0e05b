"""A Java exception names the unreachable server, anywhere in its chain of causes."""

from typing import Any

import pytest
from pyspark.errors.exceptions.captured import convert_exception
from pyspark.sql import SparkSession

from batch_layer.lake.spark_errors import translated
from ingestion.contract.unavailable import UnavailableError


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
