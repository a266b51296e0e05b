"""Compare one published version row by row, read at the version's own snapshots. Changes nothing."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.archive_files import CHANGED, file_sentence
from batch_layer.archive.removals import Removals, with_removed
from batch_layer.archive.spark_files import damage, full_name
from batch_layer.errors import DifferenceError
from batch_layer.judging.spark_traffic_groups import groups_of
from batch_layer.lake.content import Content, Place
from batch_layer.lake.iceberg_tables import IcebergTables, path_of
from batch_layer.lake.spark_content_hash import BY_FILE, BY_PLACE, contents
from batch_layer.lake.spark_errors import SPARK_ERRORS, SparkError, text_of
from batch_layer.lake.spark_stored import with_measures
from batch_layer.lake.tables import (
    EVENTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    TALLY,
    TRAFFIC_OUTCOMES,
    UNIQUE_VIEWERS,
    VIEWS_BY_DETAIL,
    VIEWS_BY_VIDEO,
    VIEWS_BY_VIDEO_DAY,
)
from batch_layer.reconciling.ports import NotedGroups, ReconciliationStore
from batch_layer.reconciling.reconciliation import (
    SERVED,
    Days,
    noted_differences,
    place_differences,
    tally_differences,
)
from batch_layer.reconciling.spark_days import compared_days, of_completion, of_viewers
from batch_layer.reconciling.spark_invalid import compared_invalid
from batch_layer.reconciling.spark_served import ServedCounts
from batch_layer.reconciling.spark_videos import COUNTS, compared_videos
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion

_OFFSETS = ("partition", "offset", "appended_at")
_BY_HOUR = "concat(partition, ' ', date_format(event_hour, 'yyyy-MM-dd HH'))"
_IS_BILLABLE = "billability = 'billable'"
_KEPT_DELETES = "spark.sql.iceberg.executor-cache.delete-files.enabled"
_FILE = re.compile(r"/[^\s:'\"]+\.parquet")


@dataclass(frozen=True)
class _Tables:
    """The tables of one version; of some days (UTC) if given."""

    spark: SparkSession
    version: PublishedVersion
    days: Days | None

    def whole(self, name: str) -> DataFrame:
        """Return all rows of a table."""
        return IcebergTables(self.spark).at(name, self.version.snapshots[name])

    def received(self, name: str) -> DataFrame:
        """Return the rows received on the days."""
        rows = self.whole(name)
        if self.days is None:
            return rows
        appended_at, starts = F.col("appended_at"), [F.lit(day).cast("timestamp") for day in self.days]
        # as ranges, so that files of other days are not opened
        within = [(appended_at >= start) & (appended_at < start + F.expr("INTERVAL 1 DAY")) for start in starts]
        return rows.where(reduce(Column.__or__, within))

    def happened(self, name: str) -> DataFrame:
        """Return the rows whose event day is one of the days."""
        rows = self.whole(name)
        return rows if self.days is None else rows.where(F.col("event_day").isin(*self.days))


@contextmanager
def naming(spark: SparkSession, version: PublishedVersion) -> Iterator[None]:
    """Raise DifferenceError with the name of an unreadable file, or UnavailableError if a server is away.

    Inside the block files of deletes are read, too: what an earlier query has read of them would hide a damaged one.
    """
    spark.conf.set(_KEPT_DELETES, "false")
    try:
        yield
    except SPARK_ERRORS as error:
        raise DifferenceError(_unreadable(spark, version, error)) from error
    finally:
        spark.conf.unset(_KEPT_DELETES)


class SparkComparison:
    """See the port `Comparison`."""

    def __init__(self, spark: SparkSession, store: ReconciliationStore, served: ServedCounts) -> None:
        self._spark, self._store, self._served = spark, store, served

    def raw_events(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        """See the port."""
        with naming(self._spark, version):
            return _raw_differences(_Tables(self._spark, version, days), self._store)

    def events(self, version: PublishedVersion, days: Days | None) -> list[str]:
        """See the port."""
        tables, removed = _Tables(self._spark, version, days), self._store.removals_until(version.version)
        with naming(self._spark, version):
            found = offset_differences(tables.received, removed.received_on(days)) + _tally_differences(tables)
            return found + (_noted_differences(tables, self._store.noted_groups()) if days is None else [])

    def videos(self, version: PublishedVersion, days: Days | None) -> tuple[int, list[str]]:
        """See the port."""
        with naming(self._spark, version):
            tables = _Tables(self._spark, version, days)
            count, differences = _video_differences(tables, self._served)
            served = self._served.invalid_between(0, version.version)
            served = served if days is None else served.where(F.col("event_day").isin(*days))
            differences += compared_invalid(tables.happened(TALLY), served)
            return count, differences + _day_differences(tables, self._served)

    def note_groups(self, version: PublishedVersion) -> None:
        """See the port."""
        if TRAFFIC_OUTCOMES in version.snapshots:
            with naming(self._spark, version):
                groups = groups_of(_Tables(self._spark, version, None).whole(TRAFFIC_OUTCOMES))
            self._store.note_groups(version.version, version.content_hashes.get(TRAFFIC_OUTCOMES, ""), groups)

    def billable_views(self, version: PublishedVersion, start_on: date, end_on: date) -> dict[str, int]:
        """See the port."""
        event_day = F.col("event_day")
        events = _Tables(self._spark, version, None).whole(EVENTS)
        chosen = events.where((event_day >= F.lit(start_on)) & (event_day < F.lit(end_on))).where(_IS_BILLABLE)
        with naming(self._spark, version):
            rows = chosen.groupBy("video_id").agg(F.count("*").alias("views")).toLocalIterator()
            return {row.video_id: row.views for row in rows}


def _raw_differences(tables: _Tables, store: ReconciliationStore) -> tuple[int, list[str]]:
    """Compare every row of the raw events with the records, by file, partition and hour.

    Return the number of recorded rows.
    """
    version, recorded = tables.version, store.hours_until(tables.version.version, tables.days)
    total = sum((content for hours in recorded.values() for content in hours.values()), Content())
    published = Content.parse(version.row_counts[RAW_EVENTS], version.content_hashes[RAW_EVENTS])
    differences = []
    if tables.days is None and total != published:
        differences.append(f"all raw events: recorded {total}, version {version.version} has {published}")
    found = raw_by_file(tables.received(RAW_EVENTS))
    paths = sorted({*recorded, *found})
    sentences = [file_sentence(path, CHANGED, recorded.get(path, {}), found.get(path, {})) for path in paths]
    return total.row_count, differences + [each for each in sentences if each is not None]


def _noted_differences(tables: _Tables, noted: NotedGroups | None) -> list[str]:
    """Compare the groups that are noted as under review with those of the version that they were noted of."""
    if noted is None:
        return []
    same = tables.version.content_hashes.get(TRAFFIC_OUTCOMES) == noted.content_hash
    snapshot = tables.version.snapshots[TRAFFIC_OUTCOMES] if same else noted.snapshot
    if snapshot is None:
        return []
    groups = set(groups_of(IcebergTables(tables.spark).at(TRAFFIC_OUTCOMES, snapshot)))
    return noted_differences(noted.version, noted.groups, groups)


def raw_by_file(raw: DataFrame) -> dict[str, dict[Place, Content]]:
    """Return the content of raw events by their file, partition and hour."""
    found: defaultdict[str, dict[Place, Content]] = defaultdict(dict)
    for (_, part), content in contents({RAW_EVENTS: raw.select("*", "_file")}, {RAW_EVENTS: BY_FILE}).items():
        file, _, place = str(part).rpartition("|")
        found[path_of(file)][Place.parse(place)] = content
    return dict(found)


def offset_differences(received: Callable[[str], DataFrame], removed: Removals) -> list[str]:
    """Compare the offsets of the raw events with those of the judged ones, and the rejected ones, by place.

    `received` returns the rows of a table that are compared; `removed` what of them is on record as removed. Every
    other row that is missing is a difference.
    """
    events = received(EVENTS)
    rejected = f"rejected {EVENTS}"
    parts = {
        RAW_EVENTS: received(RAW_EVENTS),
        EVENTS: events,
        rejected: events.where("verdict = 'rejected'"),
        REJECTED_EVENTS: received(REJECTED_EVENTS),
    }
    found: dict[str, dict[Place, Content]] = {name: {} for name in parts}
    offsets = {name: rows.select(*_OFFSETS) for name, rows in parts.items()}
    for (name, part), content in contents(offsets, dict.fromkeys(parts, BY_PLACE)).items():
        found[name][Place.parse(str(part))] = content
    for name in (RAW_EVENTS, REJECTED_EVENTS):
        found[name] = with_removed(found[name], removed.of(name))
    return [
        difference
        for first, second in ((RAW_EVENTS, EVENTS), (rejected, REJECTED_EVENTS))
        for difference in place_differences(first, found[first], second, found[second])
    ]


def _tally_differences(tables: _Tables) -> list[str]:
    """Compare the tally with the events by partition, event hour and verdict."""
    events, tally = tables.happened(EVENTS), tables.happened(TALLY)
    return tally_differences(
        _by_hour(tally.select("partition", "event_hour", "verdict", "event_count")),
        _by_hour(events.select("partition", "event_hour", "verdict", F.lit(1).alias("event_count"))),
    )


def _by_hour(rows: DataFrame) -> dict[tuple[Place, str], int]:
    grouped = rows.groupBy(F.expr(_BY_HOUR).alias("place"), "verdict").agg(F.sum("event_count").alias("event_count"))
    return {(Place.parse(row.place), row.verdict): row.event_count for row in grouped.collect()}


def _video_differences(tables: _Tables, served: ServedCounts) -> tuple[int, list[str]]:
    """Compare every video's counts by events, by detail, by day, in total and as served; return how many videos.

    For some days: their counts by events, detail and day, and then the videos' whole totals. Watched seconds are
    compared from the first version that has them.
    """
    totals = tables.whole(VIEWS_BY_VIDEO)
    seconds = F.col("view_duration") if "watched_seconds" in totals.columns else F.lit(0)
    is_billable = F.expr(f"if({_IS_BILLABLE}, 1, 0)").alias("billable_views")
    events = tables.happened(EVENTS).where("verdict = 'counted'")
    sources = {
        EVENTS: events.select("video_id", F.lit(1).alias("views"), is_billable, seconds.alias("watched_seconds")),
        VIEWS_BY_DETAIL: with_measures(tables.happened(VIEWS_BY_DETAIL), COUNTS),
        VIEWS_BY_VIDEO_DAY: with_measures(tables.happened(VIEWS_BY_VIDEO_DAY), COUNTS),
    }
    ends = {VIEWS_BY_VIDEO: with_measures(totals, COUNTS), SERVED: served.counts_at(tables.version.version)}
    if tables.days is None:
        return compared_videos(sources | ends)
    _, differences = compared_videos(sources)
    by_day = with_measures(tables.whole(VIEWS_BY_VIDEO_DAY), COUNTS)
    video_count, more = compared_videos({VIEWS_BY_VIDEO_DAY: by_day} | ends)
    return video_count, differences + more


def _day_differences(tables: _Tables, served: ServedCounts) -> list[str]:
    until, days = tables.version.version, tables.days
    of_days = F.lit(True) if days is None else F.col("event_day").isin(*days)
    numbers = [of_completion(tables.happened(VIEWS_BY_VIDEO_DAY), served.days_between(0, until).where(of_days))]
    if UNIQUE_VIEWERS in tables.version.snapshots:  # else of a release that counted no viewers
        numbers.append(of_viewers(tables.happened(UNIQUE_VIEWERS), served.viewers_between(0, until).where(of_days)))
    return compared_days(numbers)


def _unreadable(spark: SparkSession, version: PublishedVersion, error: SparkError) -> str:
    """Return a sentence that names the file that an error is about.

    Raises:
        UnavailableError: a server does not answer, or every file can be read now.
    """
    cause = damage(spark, error)
    named = _FILE.search(text_of(error))
    if named:
        return f"file {named.group()} cannot be read ({cause})"
    if isinstance(error, AnalysisException):
        return f"version {version.version} cannot be read ({cause})"
    tables = IcebergTables(spark)
    for name, snapshot in version.snapshots.items():
        what = f"the list of files of {name}"
        try:
            for path in tables.files(name, snapshot):
                what = f"file {path}"
                rows = spark.read.parquet(full_name(tables.folder(name), path))
                contents({name: rows})
        except SPARK_ERRORS as found:
            return f"{what} cannot be read ({damage(spark, found)})"
    raise UnavailableError(Part.SPARK, f"Spark did not finish a comparison, and every file can be read ({cause})")
