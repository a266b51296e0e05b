"""Measure the batch layer: archiving, deduplication and counting beside DuckDB, decoding and judging.

    python bench/bench_batch.py                                        a quick look, about two minutes on two cores
    python bench/bench_batch.py --archive 3000000 --rows 20000000      the real run; about 15 minutes

Targets: archive at least 100,000 events/s from Kafka into Iceberg on HDFS; deduplicating and counting at least 0.25 of
DuckDB's speed on the same Parquet files in the same run. Spark runs warm: each figure is the best of `--repeat`.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from tests.shipped_policies import shipped_policy_on

sys.path.insert(0, str(Path(__file__).parents[1]))

import duckdb
import pyarrow as pa
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.archive.spark_archive import KafkaSource, append_raw, verify_archived
from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.judging.spark_billability import facts_frame
from batch_layer.judging.spark_decode import COLUMNS, PERSON, decode
from batch_layer.judging.spark_judging import Rules, Stored, judge
from batch_layer.judging.spark_traffic import TrafficOfDays
from batch_layer.judging.spark_verdicts import repeat_verdicts, with_verdicts
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog, jdbc_catalog
from batch_layer.lake.tables import RAW_EVENTS
from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.brokers import Brokers
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.traits import TraitsKey
from jobs.local_stack.stack import LocalStack, temporary_folder

TOPIC = "bench-batch"
PARTITION_COUNT = 12
NEW_LOG = EventContracts.of_new_log(TOPIC, PARTITION_COUNT)
VIDEO_COUNT = 2_000
REPEATED_SHARE = 0.02
READING = BatchKeys(TraitsKey(b"k" * 32)).reading(NEW_LOG, AttestingKeys())
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def main() -> None:
    """Run the three measurements and print one line for each."""
    parser = argparse.ArgumentParser(description="Measures the batch layer.")
    parser.add_argument("--archive", type=int, default=300_000, help="events to archive (0: skip)")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows to deduplicate and count (0: skip)")
    parser.add_argument("--judge", type=int, default=200_000, help="events to decode and judge (0: skip)")
    parser.add_argument("--repeat", type=int, default=2, help="times each figure is measured; the best counts")
    parser.add_argument("--jars", type=Path, default=None, help="folder of Spark's jars (default: the set-up's)")
    chosen = parser.parse_args()
    with temporary_folder() as folder:
        if chosen.archive:
            bench_archive(chosen, folder)
        with spark_on(chosen, folder_catalog(str(folder / "warehouse"))) as spark:
            if chosen.rows:
                bench_dedupe(chosen, spark, folder)
            if chosen.judge:
                bench_judge(chosen, spark)


@contextmanager
def spark_on(chosen: argparse.Namespace, catalog: dict[str, str]) -> Iterator[SparkSession]:
    """Yield a session as a long run has it, with both compilers."""
    jars = chosen.jars or Path(__file__).parents[1] / ".viewledger" / "jars" / "spark"
    spark = open_session(SparkSettings(jars, catalog, driver_memory="4g", shuffle_partitions=8), "bench")
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def best_seconds(work: Callable[[], object], repeat: int) -> float:
    """Return the shortest of some runs."""
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def value(rng: random.Random, event_id: UUID) -> bytes:
    """Return an event of about 290 bytes."""
    viewer = rng.getrandbits(17)
    happened = NOON - timedelta(seconds=rng.randrange(2 * 86_400))
    return (
        f'{{"event_id":"{event_id}","video_id":"video{rng.randrange(VIDEO_COUNT):06d}","user_id":"user-{viewer:032x}",'
        f'"session_id":"session-{viewer}","timestamp":"{happened.isoformat()}","view_duration":{viewer % 600},'
        f'"revenue_eligible":true,"device_type":"mobile","geo_location":"DE","quality":"1080p"}}'
    ).encode()


def bench_archive(chosen: argparse.Namespace, folder: Path) -> None:
    """Measure Kafka → Iceberg on HDFS, untouched, with the proof that every offset is there."""
    rng = random.Random(1)
    with LocalStack.start(folder / "stack") as stack:
        bootstrap = stack.environment["VIEWLEDGER_KAFKA_BOOTSTRAP"]
        settings = {"message.timestamp.type": "LogAppendTime"}
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.create_topics({TOPIC: {"num_partitions": PARTITION_COUNT, "replication_factor": 1, "configs": settings}})
        producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=1 << 18)
        for index in range(chosen.archive):
            producer.send(
                TOPIC, value(rng, UUID(bytes=rng.randbytes(16), version=4)), partition=index % PARTITION_COUNT
            )
        producer.flush()
        log = KafkaLogEnds(Brokers.at(bootstrap), TOPIC)
        start, end = OffsetVector.zero(TOPIC, PARTITION_COUNT), OffsetVector(TOPIC, log.highwaters())
        warehouse = f"{stack.environment['VIEWLEDGER_HDFS_URL']}/bench"
        with spark_on(chosen, jdbc_catalog(stack.environment["VIEWLEDGER_POSTGRES_URL"], warehouse)) as spark:
            tables, source = IcebergTables(spark), KafkaSource(spark, Brokers.at(bootstrap))
            tables.create_missing()
            tables.open_branch("bench", {})

            def archive() -> None:
                append_raw(source.read(start, end), branch="bench", run_id="bench", file_count=2)

            seconds = best_seconds(archive, chosen.repeat + 1)
            appended = tables.on_branch(RAW_EVENTS, "bench")
            rows = appended.dropDuplicates(["partition", "offset"])
            proof = best_seconds(lambda: verify_archived(rows, end.ranges_since(start)), 1)
        print(
            f"archive: {chosen.archive / seconds:,.0f} events/s ({chosen.archive:,} events in {seconds:.1f} s, "
            f"proof of offsets {proof:.1f} s); target 100,000"
        )


def bench_dedupe(chosen: argparse.Namespace, spark: SparkSession, folder: Path) -> None:
    """Measure the verdict of every row and the counts by video, beside DuckDB counting first rows on the same files."""
    path = str(folder / "rows.parquet")
    candidate_rows(spark, chosen.rows).write.parquet(path)
    spark_answer: list[tuple[str, int]] = []
    duck_answer: list[tuple[str, int]] = []

    def with_spark() -> None:
        rows = spark.read.parquet(path)
        judged = with_verdicts(rows, kept(repeat_verdicts(rows))).where("verdict = 'counted'")
        spark_answer[:] = [tuple(row) for row in judged.groupBy("video_id").count().orderBy("video_id").collect()]
        spark.catalog.clearCache()

    def with_duckdb() -> None:
        question = f"""
            SELECT video_id, count(*) FROM (
                SELECT arg_min(video_id, (appended_at, partition, "offset")) AS video_id
                FROM read_parquet('{path}/*.parquet') GROUP BY event_id
            ) GROUP BY video_id ORDER BY video_id"""  # noqa: S608 - our own folder
        duck_answer[:] = duckdb.connect(config={"threads": 2}).execute(question).fetchall()

    spark_seconds = best_seconds(with_spark, chosen.repeat)
    duck_seconds = best_seconds(with_duckdb, chosen.repeat)
    assert spark_answer == duck_answer, "both count the same"
    print(
        f"dedupe + count: Spark {chosen.rows / spark_seconds:,.0f} rows/s, DuckDB {chosen.rows / duck_seconds:,.0f} "
        f"rows/s, ratio {duck_seconds / spark_seconds:.2f}; target 0.25"
    )


def candidate_rows(spark: SparkSession, count: int) -> DataFrame:
    """Return candidates in the form of the events table, one day, with a known share of repeated ids."""
    distinct = int(count * (1 - REPEATED_SHARE))
    digits = F.md5(F.expr(f"cast(id % {distinct} AS string)"))
    event_id = F.concat_ws(
        "-", *[F.substring(digits, at, size) for at, size in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))]
    )
    return spark.range(count, numPartitions=4).select(
        F.expr(f"cast(id % {PARTITION_COUNT} AS int) AS partition"),
        F.col("id").alias("offset"),
        F.expr("timestamp_micros(1795000000000000 + id * 1000) AS appended_at"),
        event_id.alias("event_id"),
        F.xxhash64(event_id).alias("id_hash"),
        F.expr(f"concat('video', lpad(cast((id % {distinct}) % {VIDEO_COUNT} AS string), 6, '0')) AS video_id"),
        F.lit(date(2026, 11, 20)).alias("event_day"),
        digits.alias("payload_digest"),
        F.lit(None).cast("string").alias("verdict"),
    )


def bench_judge(chosen: argparse.Namespace, spark: SparkSession) -> None:
    """Measure archived bytes → verdict and billability of every event."""
    rng = random.Random(2)
    count = chosen.judge
    ids = [UUID(bytes=rng.randbytes(16), version=4) for _ in range(int(count * (1 - REPEATED_SHARE)))]
    table = pa.table(
        {
            "partition": pa.array([index % PARTITION_COUNT for index in range(count)], pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "appended_at": pa.array([NOON] * count, pa.timestamp("us", "UTC")),
            "value": pa.array([value(rng, ids[index % len(ids)]) for index in range(count)], pa.binary()),
        }
    )
    raw = spark.createDataFrame(table).repartition(2)
    decoding = best_seconds(lambda: decode(raw, READING).write.format("noop").mode("overwrite").save(), chosen.repeat)
    days = frozenset(row.event_day for row in decode(raw, READING).select("event_day").distinct().collect())
    facts = facts_frame(spark, [])
    no_videos = Kept(facts.select("video_id"), 0)
    no_traffic = TrafficOfDays(facts.select("video_id"), {})
    rules = Rules({day: shipped_policy_on(day) for day in days}, days, facts, no_videos, no_traffic)

    def judge_all() -> None:
        decoded = decode(raw, READING).select(*COLUMNS, *PERSON).persist()
        nothing = decoded.where(F.lit(False)).withColumns(
            {
                "billability": F.lit(None).cast("string"),
                "policy_version": F.lit(1),
                "quartile": F.lit(None).cast("int"),
                "_file": F.lit(""),
                "_pos": F.lit(0),
            }
        )
        stored = Stored(nothing.drop(*PERSON, "_file", "_pos"), nothing, frozenset())
        judged = judge(stored, Kept(decoded, count), Kept(nothing, 0), rules)
        judged.added.write.format("noop").mode("overwrite").save()
        decoded.unpersist()

    judging = best_seconds(judge_all, chosen.repeat)
    print(
        f"decode: {count / decoding:,.0f} events/s; with verdicts: {count / judging:,.0f} events/s ({count:,} events)"
    )


if __name__ == "__main__":
    main()
