"""Run one day's events through two standalone workers: time, bytes written, memory of driver and executors, difference.

    python -m bench.bench_cluster                                 a million events
    python -m bench.bench_cluster --events 10000000 100000000     the real run; needs 1.5 KB of disk for each event

Starts Kafka, PostgreSQL, Redis, HDFS and a Spark cluster of its own. Each number of events is one `batch run` from an
empty archive and one `rebuild batch`, in processes of their own. Memory is what /proc says of these processes and of
the executors, twice a second: the proportional share (Pss), in which forked Python workers share what they share.
"""

import argparse
import json
import os
import subprocess
import threading
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kafka.admin import KafkaAdminClient
from pyspark.sql import functions as F

from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from faults.spark_cluster import WORKERS, SparkCluster
from ingestion.contract.topics import PARTITION_COUNT
from jobs.local_stack.hdfs_rights import WRITER
from jobs.local_stack.servers import our_command
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.declared import servers, spark
from jobs.settings.state_home import PROJECT, state_home
from jobs.wiring.postgres_logins import in_database
from tests.billing_postgres import own_database

REPEATED_SHARE = 0.02
VIDEO_COUNT = 20_000
EVENTS_OF_A_VIEWER = 8
SAMPLE_SECONDS = 0.5


def main() -> None:
    """Print a line for each command, and one for each part's memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000], help="one or several numbers of events")
    parser.add_argument("--driver-memory", default="2g")
    parser.add_argument("--executor-memory", default="3g")
    parser.add_argument("--shuffle-partitions", type=int, default=32)
    chosen = parser.parse_args()
    if min(chosen.events) < 1_000:
        parser.error("--events must be at least 1000")
    with (
        temporary_folder() as folder,
        LocalStack.start(folder / "stack", servers=("kafka", "redis", "postgres", "hdfs")) as stack,
        SparkCluster(
            folder / "spark", executor_memory=chosen.executor_memory, worker_memory=chosen.executor_memory
        ) as cluster,
    ):
        for count in chosen.events:
            send(stack.environment, topic_of(count), count)
        for count in chosen.events:
            with own_database(stack.environment[servers.POSTGRES_URL.name], with_versions=False) as postgres_url:
                settings = {
                    **in_database(stack.environment, postgres_url),
                    **cluster.environ,
                    servers.TOPIC_VIDEO_VIEWS.name: topic_of(count),
                    servers.SPEED_NAMESPACE.name: topic_of(count),
                    servers.WAREHOUSE.name: f"{stack.environment[servers.HDFS_URL.name]}/{topic_of(count)}",
                    spark.SPARK_DRIVER_MEMORY.name: chosen.driver_memory,
                    spark.SPARK_SHUFFLE_PARTITIONS.name: str(chosen.shuffle_partitions),
                }
                measure(count, settings, cluster, stack.ports.namenode_http)


def topic_of(count: int) -> str:
    """Return the name of a number's topic, speed namespace and warehouse."""
    return f"bench-{count}"


def send(environ: Mapping[str, str], topic: str, count: int) -> None:
    """Put one day's events on the log: yesterday's, of which some are exact repeats."""
    bootstrap = environ[servers.KAFKA_BOOTSTRAP.name]
    configs = {"message.timestamp.type": "LogAppendTime"}
    topics = {topic: {"num_partitions": PARTITION_COUNT, "replication_factor": 1, "configs": configs}}
    KafkaAdminClient(bootstrap_servers=bootstrap).create_topics(topics)
    jars = state_home() / "jars" / "spark"
    session = open_session(SparkSettings(jars, folder_catalog("/nonexistent"), log=Path(os.devnull)), "bench sends")
    distinct = int(count * (1 - REPEATED_SHARE))
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    micros = f"{int(midnight.timestamp())} * 1000000L + n * {86_400_000_000 // distinct}L"
    digits = F.md5(F.col("n").cast("string"))
    parts = [F.substring(digits, at, size) for at, size in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))]
    video = F.format_string("video%06d", F.expr(f"n * 7919 % {VIDEO_COUNT}"))
    viewer = F.expr(f"n % {max(1, count // EVENTS_OF_A_VIEWER)}")
    event = F.to_json(
        F.struct(
            F.concat_ws("-", *parts).alias("event_id"),
            video.alias("video_id"),
            F.format_string("user-%032x", viewer).alias("user_id"),
            F.format_string("session-%d", viewer).alias("session_id"),
            F.date_format(F.expr(f"timestamp_micros({micros})"), "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").alias("timestamp"),
            F.expr("int(30 + n % 570)").alias("view_duration"),
            F.lit(True).alias("revenue_eligible"),
            F.lit("mobile").alias("device_type"),
            F.lit("DE").alias("geo_location"),
            F.lit("1080p").alias("quality"),
        )
    )
    numbers = session.range(count, numPartitions=8).select(F.expr(f"id % {distinct}").alias("n"))
    rows = numbers.select(video.cast("binary").alias("key"), event.cast("binary").alias("value"))
    rows.write.format("kafka").option("kafka.bootstrap.servers", bootstrap).option("topic", topic).save()
    session.stop()


def measure(count: int, settings: Mapping[str, str], cluster: SparkCluster, namenode_http: int) -> None:
    """Run and rebuild; print time, bytes and memory. Raises SystemExit for a difference."""
    words: tuple[str, ...]
    for words in (("batch", "run"), ("rebuild", "batch")):
        started = time.monotonic()
        child = subprocess.Popen(
            our_command(*words, "--json", "--attempts", "1"),
            env={**os.environ, **settings, "PYTHONPATH": str(PROJECT)},
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        with Peaks(child.pid, [cluster.nodes.pid(worker) for worker in WORKERS]) as peaks:
            output, _ = child.communicate()
        if child.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {child.returncode}")
        seconds, result = time.monotonic() - started, json.loads(output)
        if words[0] == "batch" and (result["archived_count"] != count or result["differences"]):
            raise SystemExit(f"archived {result['archived_count']:,} of {count:,}, differences {result['differences']}")
        if words[0] == "rebuild" and result["state"] != "equal":
            raise SystemExit(f"the rebuild is {result['state']}")
        written = stored_bytes(namenode_http, topic_of(count))
        print(
            f"{' '.join(words)}, {count:,} events: {seconds:.0f} s = {count / seconds:,.0f} events/s, difference 0; "
            f"{written:,} bytes in HDFS = {written / count:.0f} for each event; load {os.getloadavg()[0]:.0f}",
            flush=True,
        )
        memory = ", ".join(f"{name} {value / 2**20:,.0f} MiB" for name, value in sorted(peaks.most.items()))
        print(f"    memory at most: {memory}", flush=True)


def stored_bytes(http_port: int, folder: str) -> int:
    """Return the bytes of all files below a folder of HDFS, of which a run deletes none."""
    url = f"http://127.0.0.1:{http_port}/webhdfs/v1/{folder}?op=GETCONTENTSUMMARY&user.name={WRITER}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return int(json.load(answer)["ContentSummary"]["length"])


class Peaks:
    """Watches the processes of one command and the workers' executors in a `with` block."""

    def __init__(self, driver: int, workers: list[int]) -> None:
        self._driver, self._workers = driver, workers
        self.most: dict[str, int] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Peaks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            sums: dict[str, int] = {}
            parents = {int(each): parent_of(each) for each in os.listdir("/proc") if each.isdigit()}
            for pid in parents:
                above = ancestors(pid, parents)
                kind = "Java" if name_of(pid) == "java" else "Python"
                if self._driver in (pid, *above):
                    sums[f"driver's {kind}"] = sums.get(f"driver's {kind}", 0) + share_of(pid)
                for number, worker in enumerate(self._workers, 1):
                    if worker in above:
                        sums[f"executor {number}'s {kind}"] = sums.get(f"executor {number}'s {kind}", 0) + share_of(pid)
            self.most = {name: max(self.most.get(name, 0), sums.get(name, 0)) for name in {*self.most, *sums}}


def ancestors(pid: int, parents: Mapping[int, int]) -> list[int]:
    """Return the processes above a process."""
    found: list[int] = []
    while (pid := parents.get(pid, 0)) > 1:
        found.append(pid)
    return found


def parent_of(pid: str) -> int:
    """Return the parent of a process; 0 if it has ended."""
    after_name = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(after_name[1]) if after_name else 0


def name_of(pid: int) -> str:
    """Return the name of a process's program; empty if it has ended."""
    return read(f"/proc/{pid}/comm").strip()


def share_of(pid: int) -> int:
    """Return the bytes of memory of a process, of which shared pages count in proportion; 0 if it has ended."""
    lines = read(f"/proc/{pid}/smaps_rollup").splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def read(path: str) -> str:
    """Return the text of a file of /proc; empty if its process has ended."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
