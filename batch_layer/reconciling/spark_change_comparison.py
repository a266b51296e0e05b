"""Compare what versions changed, reading the rows that they added and the days that they judged. Changes nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.archive_files import CHANGED, Hours, by_place, file_sentence
from batch_layer.archive.removals import Removals
from batch_layer.lake.aggregates import COMPLETION
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.spark_kept import Kept, in_tasks, kept, kept_together
from batch_layer.lake.spark_stored import days_of, with_measures
from batch_layer.lake.tables import RAW_EVENTS, TALLY, UNIQUE_VIEWERS, VIEWS_BY_VIDEO, VIEWS_BY_VIDEO_DAY
from batch_layer.reconciling.ports import ReconciliationStore
from batch_layer.reconciling.reconciliation import SERVED, Days, VersionChange, gain_differences
from batch_layer.reconciling.spark_comparison import naming, offset_differences, raw_by_file
from batch_layer.reconciling.spark_days import compared_days, of_completion, of_viewers
from batch_layer.reconciling.spark_invalid import compared_invalid
from batch_layer.reconciling.spark_served import ServedCounts
from batch_layer.reconciling.spark_videos import COUNTS, compared_videos
from ingestion.contract.version import PublishedVersion


class SparkChangeComparison:
    """See the port `ChangeComparison`."""

    def __init__(self, spark: SparkSession, store: ReconciliationStore, served: ServedCounts) -> None:
        self._spark, self._store, self._served = spark, store, served

    def raw_events(self, change: VersionChange) -> tuple[int, list[str]]:
        """See the port."""
        recorded = self._recorded(change)
        with naming(self._spark, change.version):
            found = raw_by_file(_Change(self._spark, change, recorded).received(RAW_EVENTS))
        row_count = sum(content.row_count for content in by_place(recorded).values())
        return row_count, _raw_differences(recorded, found)

    def events(self, change: VersionChange) -> list[str]:
        """See the port."""
        recorded = self._recorded(change)
        tables, archived = _Change(self._spark, change, recorded), Counter[int]()
        for place, content in by_place(recorded).items():
            archived[place.partition] += content.row_count
        days = self._store.judged_days(change.after, change.version.version)
        with naming(self._spark, change.version):
            rows = tables.gained(TALLY, days, ("partition",), ("event_count",)).collect()
            gained = {row.partition: row.event_count for row in rows if row.event_count}
            return offset_differences(tables.received, Removals()) + gain_differences(gained, archived)

    def videos(self, change: VersionChange) -> tuple[int, list[str]]:
        """See the port."""
        after, until = change.after, change.version.version
        tables = _Change(self._spark, change, {})
        with naming(self._spark, change.version):
            served = kept_together(
                {
                    "counts": self._served.counts_between(after, until),
                    "days": self._served.days_between(after, until),
                    "invalid": self._served.invalid_between(after, until),
                    "viewers": self._served.viewers_between(after, until),
                }
            )
            days = tuple(sorted({*_changed_on(served), *self._store.judged_days(after, until)}))
            measures = (*COUNTS, *COMPLETION)
            by_day = kept(tables.gained(VIEWS_BY_VIDEO_DAY, days, ("video_id", "event_day"), measures)).rows
            _, of_days = compared_videos({VIEWS_BY_VIDEO_DAY: by_day, SERVED: served["days"].rows}, by_day=True)
            tally = tables.gained(TALLY, days, ("event_day", "verdict", "reason"), ("event_count",))
            of_days += compared_invalid(tally, served["invalid"].rows)
            viewers = tables.gained(UNIQUE_VIEWERS, days, ("video_id", "event_day"), ("unique_viewers",))
            numbers = [of_viewers(viewers, served["viewers"].rows), of_completion(by_day, served["days"].rows)]
            of_days += compared_days(numbers)
            gained = by_day.groupBy("video_id").agg(*[F.sum(name).alias(name) for name in COUNTS])
            of_gained = gained.where(" OR ".join(f"{name} <> 0" for name in COUNTS)).select("video_id")
            counts = served["counts"]
            video_ids = kept(of_gained.union(counts.rows.select("video_id")).distinct())
            now, before = (
                _of(with_measures(tables.at(VIEWS_BY_VIDEO, version), COUNTS).select("video_id", *COUNTS), video_ids)
                for version in (change.version, change.former)
            )
            totals = {VIEWS_BY_VIDEO_DAY: before.unionByName(_of(gained, video_ids)), VIEWS_BY_VIDEO: now}
            _, of_videos = compared_videos(totals | {SERVED: counts.rows})
        return counts.count, of_days + of_videos

    def _recorded(self, change: VersionChange) -> dict[str, Hours]:
        return self._store.hours_between(change.after, change.version.version)


def _changed_on(served: Mapping[str, Kept]) -> frozenset[date]:
    with_days = [each for each in served.values() if "event_day" in each.rows.columns]
    rows = reduce(DataFrame.union, [each.rows.select("event_day") for each in with_days])
    row_count = sum(each.count for each in with_days)
    return days_of(Kept(in_tasks(rows, row_count), row_count))


def _of(rows: DataFrame, video_ids: Kept) -> DataFrame:
    return rows.join(video_ids.joinable(), "video_id", "left_semi")


@dataclass(frozen=True)
class _Change:
    """The rows of the tables that versions have added or changed."""

    spark: SparkSession
    change: VersionChange
    recorded: Mapping[str, Hours]

    def at(self, name: str, version: PublishedVersion | None) -> DataFrame:
        """Return all rows of a table at a version; none before the first, or in an earlier release without it."""
        tables = IcebergTables(self.spark)
        if version is None or name not in version.snapshots:
            return tables.at(name, self.change.version.snapshots[name]).limit(0)
        return tables.at(name, version.snapshots[name])

    def received(self, name: str) -> DataFrame:
        """Return the rows at the offsets that these versions were the first to cover, in the hours on record.

        Offsets and times are ranges of columns of which every file has the bounds, so that older files are not opened.
        """
        hours = [place.hour for place in by_place(self.recorded)]
        ranges = [
            (F.col("partition") == each.partition) & (F.col("offset") >= each.start) & (F.col("offset") < each.end)
            for each in self.change.ranges
        ]
        rows = self.at(name, self.change.version)
        if not hours or not ranges:
            return rows.limit(0)
        is_received = (F.col("appended_at") >= F.lit(min(hours))) & (
            F.col("appended_at") < F.lit(max(hours) + timedelta(hours=1))
        )
        return rows.where(reduce(Column.__or__, ranges) & is_received)

    def gained(self, name: str, days: Days, keys: tuple[str, ...], measures: tuple[str, ...]) -> DataFrame:
        """Return the sums of measures by key at the version minus those at the former one, on these event days."""
        on_days = F.col("event_day").isin(*days) if days else F.lit(False)
        now, before = (
            with_measures(self.at(name, each), measures).where(on_days)
            for each in (self.change.version, self.change.former)
        )
        negated = [(-F.col(measure)).alias(measure) for measure in measures]
        signed = now.select(*keys, *measures).unionByName(before.select(*keys, *negated))
        return signed.groupBy(*keys).agg(*[F.sum(measure).alias(measure) for measure in measures])


def _raw_differences(recorded: Mapping[str, Hours], found: Mapping[str, Hours]) -> list[str]:
    """Return a sentence for each file that differs, if the content of any place does.

    The same rows may meanwhile be in other files.
    """
    if by_place(recorded) == by_place(found):
        return []
    paths = sorted({*recorded, *found})
    sentences = [file_sentence(path, CHANGED, recorded.get(path, {}), found.get(path, {})) for path in paths]
    return [each for each in sentences if each is not None]
