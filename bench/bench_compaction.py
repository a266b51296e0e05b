"""What compaction gives a batch run: many small runs over all of 35 days, one more run, a compaction, one more run.

    python -m bench.bench_compaction [--history 300000] [--runs 100] [--new 2000]

The log is the one of bench_incremental; tables lie in a folder, with real Spark and Iceberg.
"""

import argparse
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from batch_layer.maintaining.compact import CompactionPorts, compact
from batch_layer.maintaining.compaction import CompactionLimits, TableFiles, by_table
from batch_layer.maintaining.iceberg_compaction import IcebergCompaction
from batch_layer.run.run import run_once
from batch_layer.stages import Stages
from batch_layer.versions.ports import RunEntry
from bench.bench_incremental import PARTITION_COUNT, MadeLog, bytes_read, session
from jobs.settings.declared.pipeline import COMPACTION_FILES, COMPACTION_GIB
from tests.spark_fixtures import TOPIC, MemoryRun


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--new", type=int, default=2_000)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-compaction-"))
    try:
        measure(folder, chosen.history, chosen.runs, chosen.new)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, history: int, runs: int, new: int) -> None:
    """Archive a history and many small runs, compact, and measure a run before and after it."""
    limits = CompactionLimits(COMPACTION_FILES.default, COMPACTION_GIB.default << 30)
    with session(folder) as spark:
        run = MemoryRun.with_partitions(spark, PARTITION_COUNT, folder)
        log, tables = MadeLog(spark, history), IcebergCompaction(spark)
        run.warehouse._source = log  # the run's other ports stay in memory
        run.speed.positions = [None] * PARTITION_COUNT

        def seconds_of_run(offsets: int) -> float:
            log.offsets += offsets
            started = time.monotonic()
            run_once(run.ports(log=log), TOPIC)
            return time.monotonic() - started

        seconds_of_run(0)
        for number in range(1, runs + 1):
            seconds = seconds_of_run(new)
            if number in (1, 2) or number % 10 == 0:
                print(f"run {number} with {new:,} events: {seconds:.1f} s", flush=True)
        read_before = bytes_read(spark)
        before = min(seconds_of_run(new) for _ in range(2))
        print(f"before: {before:.1f} s, {(bytes_read(spark) - read_before) / 2e6:.0f} MB read", flush=True)
        run.versions.begin(RunEntry("compaction", "maintenance", "running", None, datetime.now(UTC), None))
        ports = CompactionPorts(tables, run.ports(log=log).reconcile, limits, lambda: datetime.now(UTC))
        base, stages = run.versions.published[-1], Stages(lambda stage, text: print(f"{stage}: {text}", flush=True))
        started = time.monotonic()
        result = compact(ports, stages, "compaction", base=base, detail={})
        print(f"compaction: {time.monotonic() - started:.1f} s, {len(result.compacted):,} days")
        for name, each in by_table(result.before, limits).items():
            print(f"{name:>20}: {_text(each)} → {_text(by_table(result.after, limits)[name])}")
        read_before = bytes_read(spark)
        after = min(seconds_of_run(new) for _ in range(2))
        print(f"after: {after:.1f} s, {(bytes_read(spark) - read_before) / 2e6:.0f} MB read")


def _text(files: TableFiles) -> str:
    return f"{files.data_file_count:,} + {files.delete_file_count:,} files, {files.byte_count / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
