"""Read rows of PostgreSQL on Spark's executors; the driver sees none of them."""

from pyspark.sql import DataFrame, SparkSession

from batch_layer.lake.postgres_connection import STATEMENT_SECONDS_MAX
from batch_layer.lake.spark_settings import connecting
from ingestion.contract.postgres_address import PostgresAddress

_ROWS_PER_FETCH = 10_000
"""Without a number the client would keep the whole answer in memory."""


def read_postgres(spark: SparkSession, url: str, query: str, *, key: str) -> DataFrame:
    """Return the rows of a query, read in parts: each task reads those whose `key` falls to it by its hash.

    Nothing is read before the rows are used, and then again for each use. The URL's user and password are options
    that Spark shows nobody.
    """
    parts = spark.sparkContext.defaultParallelism
    address = PostgresAddress.of(url)
    return spark.read.jdbc(
        address.of_java,
        f"({query}) AS found",
        predicates=[f"(hashtext({key}) & 2147483647) % {parts} = {part}" for part in range(parts)],
        properties={
            "driver": "org.postgresql.Driver",
            "user": address.user,
            "password": address.password,
            "fetchsize": str(_ROWS_PER_FETCH),
            "ApplicationName": "viewledger-batch",
            "socketTimeout": str(STATEMENT_SECONDS_MAX),
            "tcpKeepAlive": "true",
            **connecting(address),
        },
    )
