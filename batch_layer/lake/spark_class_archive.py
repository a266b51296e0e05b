"""Record the classes of Spark in an archive, from which Java starts it in half the time.

Set-up runs it. Java uses the archive only if its own version and the class path are those that it was made with, and
starts without it otherwise.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch_layer.lake.spark_session import CLASS_ARCHIVE, open_session
from batch_layer.lake.spark_settings import CATALOG, SparkSettings, folder_catalog

END_SECONDS_MAX = 120


def main(jars: str) -> None:
    """Start Spark, let it load what a batch run loads, and have Java write the archive at its end."""
    partial = CLASS_ARCHIVE.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = SparkSettings(
            jars=Path(jars),
            catalog=folder_catalog(folder),
            extra={"spark.driver.extraJavaOptions": f"-XX:ArchiveClassesAtExit={partial} -XX:+UseParallelGC"},
        )
        spark = open_session(settings, "viewledger set-up")
        java: Any = spark.sparkContext._gateway
        _work(spark)
        spark.stop()
        java.proc.stdin.close()  # by this Java knows that it should end
        java.proc.wait(END_SECONDS_MAX)
    partial.replace(CLASS_ARCHIVE)


def _work(spark: SparkSession) -> None:
    """Do a little of everything: write, replace and read a table of Iceberg, join, sort, and run Python in a task."""
    table = f"{CATALOG}.views.started"
    spark.sql(f"CREATE TABLE {table} (day date, id bigint, text string) USING iceberg PARTITIONED BY (day)")
    rows = spark.range(100).select(F.expr("date '2026-01-01'").alias("day"), "id", F.hex("id").alias("text"))
    for _ in range(2):
        rows.writeTo(table).append()
    found = spark.table(table).mapInArrow(lambda chunks: chunks, "day date, id bigint, text string")
    counts = found.groupBy("day", "id").agg(F.count("*").alias("copies"), F.max("text").alias("text"))
    counts.join(rows.select("id"), "id").createOrReplaceTempView("counts")
    on = "t.id = c.id AND t.day = c.day"
    spark.sql(f"MERGE INTO {table} t USING counts c ON {on} WHEN MATCHED AND c.id < 9 THEN DELETE")
    spark.table(table).orderBy("id").collect()


if __name__ == "__main__":
    main(sys.argv[1])
