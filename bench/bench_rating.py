"""Time and memory from settled events to bills: sorting by payee in Spark, then rating in one process.

    python bench/bench_rating.py [--payees 100000] [--videos 1000000] [--events-per-video 3] [--without-spark]

For comparison, the same run hashes the same event ids as Merkle leaves alone. The rate is graduated,
so that the tiers of a payee with many videos cut groups into slices. Storing the bills is in bench_billing.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from ingestion.contract.settled import SettledPiece

sys.path.insert(0, str(Path(__file__).parents[1]))

from pyspark.sql import DataFrame, SparkSession

from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from batch_layer.settled.spark_attribution import pieces_of, unpacked, with_outcomes
from billing.rating.attribution import Attribution
from billing.rating.rating import rate_period
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contract, Contracts, Rate, RateCard, RateForm, Tier
from billing.terms.ownership import whole_share
from ingestion.contract.merkle import MerkleTree
from ingestion.contract.periods import Period
from jobs.local_stack.stack import temporary_folder

PERIOD = Period.parse("2026-10")
LONG_AGO = date(2020, 1, 1)
RATE = Rate(RateForm.GRADUATED, (Tier(7, 1_000_000), Tier(20, 1_500_000), Tier(None, 2_000_000)))
CONTRACTS = Contracts("USD", (Contract("standard", None, (RateCard(LONG_AGO, RATE, {}),)),))


def main() -> None:
    """Rate generated pieces, then the pieces that Spark makes of as many events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payees", type=int, default=100_000)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--events-per-video", type=int, default=3)
    parser.add_argument("--without-spark", action="store_true")
    flags = parser.parse_args()
    attribution = Attribution(PERIOD, catalogue(flags.payees, flags.videos), CONTRACTS)
    print(f"catalogue of {flags.payees:,} payees and {flags.videos:,} videos: {peak_mebibytes():.0f} MiB")
    ids = [f"00000000-0000-0000-0000-{index:012x}" for index in range(flags.events_per_video)]
    bare = bare_hashing(ids, flags.videos)
    print(f"hashing {flags.videos * len(ids):,} ids as leaves: {bare:.1f} s of CPU")
    report("rating made-up pieces", rate_period(pieces(attribution, ids), attribution), bare)
    if not flags.without_spark:
        with temporary_folder() as folder:
            jars = Path(__file__).parents[1] / ".viewledger" / "jars" / "spark"
            settings = SparkSettings(jars, folder_catalog(str(folder / "w")), driver_memory="4g", shuffle_partitions=8)
            spark = open_session(settings, "bench")
            spark.sparkContext.setLogLevel("ERROR")
            stored = events(spark, flags.videos, flags.events_per_video, folder / "events")
            found = pieces_of(with_outcomes(stored, PERIOD), attribution)
            settled: Iterable[SettledPiece] = unpacked(found.toLocalIterator(prefetchPartitions=True))
            report("sorting in Spark and rating", rate_period(settled, attribution), bare)
            spark.stop()


def report(what: str, bills: Iterable[object], bare_seconds: float) -> None:
    """Consume all bills and print time and memory."""
    before, started, started_cpu, count = peak_mebibytes(), time.monotonic(), time.process_time(), 0
    for _ in bills:
        count += 1
    seconds, cpu = time.monotonic() - started, time.process_time() - started_cpu
    print(
        f"{what}: {count:,} bills in {seconds:.1f} s, {cpu:.1f} s of this process's CPU ({cpu / bare_seconds:.1f} × "
        f"hashing); peak memory of this process {before:.0f} → {peak_mebibytes():.0f} MiB"
    )


def catalogue(payee_count: int, video_count: int) -> Catalogue:
    """Return a catalogue in which every payee owns the same number of videos."""
    names = [f"payee-{index:07}" for index in range(payee_count)]
    videos = tuple(Video(f"video-{index:08}") for index in range(video_count))
    owner = [names[index * payee_count // video_count] for index in range(video_count)]
    shares = tuple(whole_share(video.video_id, owner[index]) for index, video in enumerate(videos))
    return Catalogue(tuple(Payee(name, name) for name in names), videos, shares)


def pieces(attribution: Attribution, ids: list[str]) -> Iterator[SettledPiece]:
    """Yield a piece for every video, generated on demand."""
    outcomes = {"billable": len(ids), "duplicate": 1}
    for share in attribution.catalogue.owners:
        key = (share.payee_id, share.video_id, PERIOD.start_on, LONG_AGO, "*", 1, PERIOD.end_on, 1_000_000)
        yield SettledPiece(*key, outcomes, {}, ids)


def bare_hashing(ids: list[str], repeat: int) -> float:
    """Return the CPU seconds of building a tree of the ids several times."""
    leaves = [each.encode() for each in ids]
    started = time.process_time()
    for _ in range(repeat):
        tree = MerkleTree()
        for leaf in leaves:
            tree.add(leaf)
        tree.root().hex()
    return time.process_time() - started


def events(spark: SparkSession, video_count: int, events_per_video: int, folder: Path) -> DataFrame:
    """Return judged events with the columns that billing reads, stored as Parquet first."""
    rows = spark.range(video_count * events_per_video).selectExpr(
        "uuid() AS event_id",
        f"concat('video-', lpad(cast(id % {video_count} AS string), 8, '0')) AS video_id",
        "'DE' AS country",
        "60 AS view_duration",
        "1 AS policy_version",
        "cast(array() AS array<string>) AS ad_types",
        "if(id % 50 = 0, 'duplicate', 'counted') AS verdict",
        "if(id % 50 = 0, NULL, 'billable') AS billability",
        "cast(NULL AS array<struct<code: string, detail: string>>) AS reasons",
        "date_add(DATE'2026-10-01', cast(id % 31 AS int)) AS event_day",
        "timestamp(date_add(DATE'2026-10-01', cast(id % 31 AS int))) AS happened_at",
    )
    rows.write.parquet(str(folder))
    return spark.read.parquet(str(folder))


def peak_mebibytes() -> float:
    """Return the most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
