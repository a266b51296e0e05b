"""Appends every row of the archive to its table once more, as somebody might who runs a job of his own twice."""

from batch_layer.iceberg_tables import NAMESPACE
from batch_layer.spark_session import open_session
from batch_layer.tables import RAW_EVENTS
from jobs import settings
from jobs.batch_settings import BatchSettings


def main() -> None:
    """Write past the batch layer, to the `main` that everybody reads."""
    spark = open_session(BatchSettings.from_environment(settings.environment()).spark, "viewledger fault")
    spark.table(f"{NAMESPACE}.{RAW_EVENTS}").writeTo(f"{NAMESPACE}.{RAW_EVENTS}").append()
    spark.stop()


if __name__ == "__main__":
    main()
