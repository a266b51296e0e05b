"""Open the files of the batch tables for a backup or a restore."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.wiring.batch_settings import BatchSettings

if TYPE_CHECKING:
    from batch_layer.backup.iceberg_files import IcebergFiles
    from batch_layer.backup.spark_stored_files import SparkStoredFiles


@contextmanager
def open_warehouse(chosen: BatchSettings, name: str) -> Iterator[tuple["IcebergFiles", "SparkStoredFiles"]]:
    """Yield the tables and their files; Spark ends with the block."""
    # imported here: pyspark takes a second, which a refusal need not wait for
    from batch_layer.backup.iceberg_files import IcebergFiles
    from batch_layer.backup.spark_stored_files import SparkStoredFiles
    from batch_layer.lake.spark_session import open_session

    spark = open_session(chosen.spark, name)
    try:
        yield IcebergFiles(spark), SparkStoredFiles(spark, warehouse_url(chosen))
    finally:
        spark.stop()


def warehouse_url(chosen: BatchSettings) -> str:
    """Return the warehouse's URL."""
    return chosen.spark.catalog["warehouse"].rstrip("/")


def below(warehouse: str, path: str) -> str:
    """Return a path below the warehouse, whichever of the two has a scheme and host."""
    root = _without_host(warehouse)
    return _without_host(path).removeprefix(root).lstrip("/")


def _without_host(name: str) -> str:
    _, found, rest = name.partition("://")
    return f"/{rest.partition('/')[2]}" if found else name
