"""Rebuild Redis from nothing, at a tenth of 100 million views a day with an hourly batch, and extrapolate to the whole.

    python -m bench.bench_rebuild [--views-a-day 10000000] [--rounds 3]

Starts Kafka, Redis, PostgreSQL and one speed process of its own. Two hours of views lie before the published version,
whose ids the speed layer must know again, and an hour and a quarter after it, which it must count: the age of a version
right before the next one, when a batch run takes a quarter of an hour.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import closing

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.versions.ports import RunEntry, StagedCounts
from batch_layer.versions.postgres_versions import PostgresVersionStore
from bench.bench_speed import producing
from ingestion.contract.brokers import Brokers
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from ingestion.contract.version import PublishedVersion
from jobs.local_stack.servers import our_command
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.state_home import PROJECT

HORIZON_HOURS = 2.0
VERSION_AGE_HOURS = 1.25
WHOLE_DAY = 100_000_000
WITHIN_SECONDS = 300


def main() -> None:
    """Print each round, the median, and the arithmetic for the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views-a-day", type=int, default=WHOLE_DAY // 10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.views_a_day < 24 or arguments.rounds < 1:
        parser.error("--views-a-day must be at least 24, and --rounds at least 1")
    known, counted = (int(arguments.views_a_day / 24 * hours) for hours in (HORIZON_HOURS, VERSION_AGE_HOURS))
    with (
        temporary_folder() as folder,
        LocalStack.start(folder / "stack", servers=("kafka", "redis", "postgres"), processes=("speed",)) as stack,
    ):
        send(stack, known, seed=1)
        publish(stack)
        send(stack, counted, seed=2)
        rounds = [rebuild(stack, counted) for _ in range(arguments.rounds)]
    seconds, times = statistics.median(rounds), WHOLE_DAY / arguments.views_a_day
    print(f"median {seconds:.1f} s for {known:,} known ids and {counted:,} counted views, one speed process")
    print(f"at {WHOLE_DAY:,} views a day: {seconds:.1f} s x {times:g} = {seconds * times:.0f} s")


def send(stack: LocalStack, count: int, seed: int) -> None:
    """Put views on the log."""
    with producing(stack.environment["VIEWLEDGER_KAFKA_BOOTSTRAP"], TOPIC_VIDEO_VIEWS, count, None, seed):
        pass


def publish(stack: LocalStack) -> None:
    """Publish a version that ends at the present end of the log."""
    with closing(KafkaLogEnds(Brokers.at(stack.environment["VIEWLEDGER_KAFKA_BOOTSTRAP"]), TOPIC_VIDEO_VIEWS)) as log:
        ends, now = tuple(log.highwaters()), log.broker_time()
    version = PublishedVersion(
        version=1,
        run_id="bench",
        offsets=OffsetVector(TOPIC_VIDEO_VIEWS, ends),
        watermarks=(now,) * len(ends),
        snapshots={},
        row_counts={},
        content_hashes={},
        day_rules={},
        published_at=now,
    )
    with closing(PostgresVersionStore(stack.environment["VIEWLEDGER_POSTGRES_URL"])) as store:
        store.begin(RunEntry(version.run_id, "incremental", "running", None, now, None))
        store.publish(version, StagedCounts(), {}, {})


def rebuild(stack: LocalStack, counted: int) -> float:
    """Recount everything by the command; return the seconds."""
    done = subprocess.run(
        our_command("rebuild", "speed", "--json", "--within", str(WITHIN_SECONDS)),
        env={**os.environ, **stack.environment, "PYTHONPATH": str(PROJECT)},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    found = json.loads(done.stdout)
    if found["events"] != counted:
        raise SystemExit(f"{found['events']:,} events were counted again instead of {counted:,}")
    print(f"{found['seconds']:.1f} s", file=sys.stderr, flush=True)
    return float(found["seconds"])


if __name__ == "__main__":
    main()
