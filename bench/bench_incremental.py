"""What a run costs by what is new: 20,000 events over all of 35 days, on a small and on a large archive.

    python -m bench.bench_incremental [--history 1000000,3000000] [--new 20000]

The log is made by Spark itself, so that the archive can be large; tables lie in a folder. For each archive: seconds of
the run, rows and bytes that it wrote to the events beside the new ones, and bytes that its tasks read.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from batch_layer.run.run import run_once
from ingestion.contract.offsets import OffsetVector
from tests.batch_fakes import TOPIC
from tests.spark_fixtures import MemoryRun, spark_jars

PARTITION_COUNT = 12
DAYS = 35
VIDEO_COUNT = 20_000
VIEWER_COUNT = 500_000
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class MadeLog:
    """The ports `LogEnds` and `RecordSource`: a log whose every record follows from its offset.

    One event in fifty repeats the id of an earlier one; all are spread over the days before they arrive.
    """

    spark: SparkSession
    offsets: int
    base: int = 0

    def partition_count(self) -> int:
        """Return how many partitions there are."""
        return PARTITION_COUNT

    def broker_time(self) -> datetime:
        """Return an instant after all events."""
        return NOW + timedelta(days=1)

    def beginnings(self) -> tuple[int, ...]:
        """Return where the log begins."""
        return (0,) * PARTITION_COUNT

    def highwaters(self) -> tuple[int, ...]:
        """Return where the log ends."""
        return (self.offsets // PARTITION_COUNT,) * PARTITION_COUNT

    def appended_at(self, offsets: dict[int, int]) -> dict[int, datetime]:
        """Return the append times of records."""
        return dict.fromkeys(offsets, NOW)

    def read(self, start: OffsetVector, end: OffsetVector) -> DataFrame:
        """Return the records in `[start, end)`; all partitions have equal ends."""
        first, last = start.ends[0] * PARTITION_COUNT, end.ends[0] * PARTITION_COUNT
        number = "if(id % 50 = 7, id - 7 - (id % 1000), id)"
        parts = "'^(.{8})(.{4}).(.{3}).(.{3})(.{12})$', '$1-$2-4$3-8$4-$5'"
        event_id = f"regexp_replace(md5(cast({number} AS string)), {parts})"
        age = f"86400 * ({number} % {DAYS}) + ({number} * 7919) % 80000"
        happened = f"timestamp_seconds({int(NOW.timestamp())} - {age})"
        fields = {
            "event_id": event_id,
            "video_id": f"concat('video', ({number} * 31) % {VIDEO_COUNT})",
            "user_id": f"concat('viewer', ({number} * 17) % {VIEWER_COUNT})",
            "session_id": "'s'",
            "timestamp": f"date_format({happened}, \"yyyy-MM-dd'T'HH:mm:ss'Z'\")",
            "view_duration": "60",
            "revenue_eligible": "true",
            "geo_location": "'DE'",
            "device_type": "'tv'",
        }
        named = ", ".join(f"'{name}', {value}" for name, value in fields.items())
        return self.spark.range(first, last, numPartitions=2).selectExpr(
            f"'{TOPIC}' AS topic",
            f"cast(id % {PARTITION_COUNT} AS int) AS partition",
            f"id DIV {PARTITION_COUNT} AS offset",
            f"timestamp_seconds({int(NOW.timestamp())}) AS appended_at",
            f"cast({fields['video_id']} AS binary) AS key",
            f"cast(to_json(named_struct({named})) AS binary) AS value",
        )


def main() -> None:
    """Print one line for each archive, and the ratio of the largest to the smallest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", default="1000000,3000000")
    parser.add_argument("--new", type=int, default=20_000)
    parser.add_argument("--part", type=int, default=3_000_000)
    chosen = parser.parse_args()
    seconds = [measured(int(count), chosen.new, chosen.part) for count in chosen.history.split(",")]
    print(f"ratio of the last to the first: {seconds[-1] / seconds[0]:.2f}; asked at most 1.5 from 1 to 30 million")


def measured(history: int, new: int, part: int) -> float:
    """Archive a history, then measure a run with new events; the better of two."""
    folder = Path(tempfile.mkdtemp(prefix="bench-incremental-"))
    try:
        with session(folder) as spark:
            run = MemoryRun.with_partitions(spark, PARTITION_COUNT, folder)
            log = MadeLog(spark, history)
            run.warehouse._source = log  # the run's other ports stay in memory
            run.speed.positions = [None] * PARTITION_COUNT
            started = time.monotonic()
            run_once(run.ports(log=log, part_offsets=part), TOPIC)
            print(f"{history:,} events archived in {time.monotonic() - started:.0f} s", file=sys.stderr)
            best = float("inf")
            for _ in range(2):
                log.offsets += new
                before = run.versions.published[-1]
                read_before, started = bytes_read(spark), time.monotonic()
                result = run_once(run.ports(log=log, part_offsets=part), TOPIC)
                best = min(best, time.monotonic() - started)
                added = spark.sql(
                    "SELECT operation, summary FROM ledger.views.events.snapshots ORDER BY committed_at DESC LIMIT 2"
                ).collect()
                rows = sum(int(row.summary.get("added-records", 0)) for row in added)
                size = sum(int(row.summary.get("added-files-size", 0)) for row in added)
                total = sum(int(row.summary.get("total-files-size", 0)) for row in added[:1])
                print(
                    f"history {before.row_counts['events']:,}: {time.monotonic() - started:.1f} s, {rows:,} rows and "
                    f"{size / 1e6:.1f} MB written to events (all of it is {total / 1e6:.0f} MB), "
                    f"{(bytes_read(spark) - read_before) / 1e6:.0f} MB read; "
                    + ", ".join(f"{name} {value:.1f}" for name, value in result.stage_seconds.items())
                )
            return best
    finally:
        shutil.rmtree(folder)


def bytes_read(spark: SparkSession) -> int:
    """Return how many bytes all tasks have read from files so far."""
    java: Any = spark._jvm
    statistics = java.org.apache.hadoop.fs.FileSystem.getGlobalStorageStatistics().iterator()
    total = 0
    while statistics.hasNext():
        found = statistics.next().getLong("bytesRead")
        total += int(found) if found is not None else 0
    return total


@contextmanager
def session(folder: Path) -> Iterator[SparkSession]:
    """Start Spark with tables in a folder."""
    settings = SparkSettings(
        jars=spark_jars(), catalog=folder_catalog(str(folder / "tables")), log=folder / "spark.log", driver_memory="4g"
    )
    spark = open_session(settings, "bench incremental")
    try:
        yield spark
    finally:
        spark.stop()
        SparkSession.builder._options.clear()


if __name__ == "__main__":
    main()
