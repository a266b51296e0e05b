"""Append every row of a table to one of its branches once more, like a stranger's job that runs twice."""

import sys

from batch_layer.lake.iceberg_tables import IcebergTables, branch_target
from batch_layer.lake.spark_session import open_session
from jobs import settings
from jobs.wiring.batch_settings import BatchSettings


def main(table: str, branch: str) -> None:
    """Write past the batch layer: to `main`, which everybody reads, or to the branch of a running batch run."""
    spark = open_session(BatchSettings.from_environ(settings.environment("PIPELINE")).spark, "viewledger fault")
    IcebergTables(spark).on_branch(table, branch).writeTo(branch_target(table, branch)).append()
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
