"""Read what the rules of traffic see: the events of a day and of the day before, or of weeks, without what rules said.

The input of a day is a function of the log below its pinned end and of the pinned catalogue: the events of the day and
of the day before that would be counted if there were no day rules. So the outcomes of one day never decide about
another, and a rebuild gets the same.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.judging.due_days import in_pieces
from batch_layer.judging.recomputed_days import days_before, days_in_reach
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_judging import COMPARED, Stored
from batch_layer.judging.spark_traffic import TrafficOfDays, is_beyond, literal
from batch_layer.judging.spark_verdicts import CANDIDATES, repeat_verdicts
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, on_days
from ingestion.contract.counting import Verdict
from ingestion.contract.day_traffic import INVALID_OUTCOMES
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.traits import have_one_key
from ingestion.contract.version import SeenTraffic

JUDGED_DAY = "judged_day"
_SENT = ("event_id", "event_day", "happened_at", "video_id", "view_duration", "country", "device_type")
_PERSON = ("user_id", "session_id", "network", "network_kind", "agent", "referrer_host")
_HASHES = ("network", "agent")
_ONE = timedelta(days=1)


@dataclass(frozen=True)
class Videos:
    """What the day rules are given of the videos of a catalogue."""

    lengths: Kept
    """video_id, length_seconds"""
    owners: Kept
    """video_id, payee_id, share_ppm, from_on, to_on"""

    @classmethod
    def of(cls, catalogue: CatalogueFacts, version: int) -> "Videos":
        """Read them once."""
        lengths = catalogue.facts(version).select("video_id", "length_seconds")
        return cls(kept(lengths), kept(catalogue.owners(version)))


@dataclass(frozen=True)
class DayRows:
    """The events of a branch as day rules see them."""

    stored: Stored
    traffic: TrafficOfDays
    """What the day rules say of the stored events until now."""

    def pieces(self, days: Collection[date], events_max: int) -> Iterator[tuple[date, ...]]:
        """Yield days to be judged at once; see `in_pieces`."""
        if len(days) == 1:
            yield tuple(days)
            return
        events = on_days(self.stored.events, {*days, *days_before(days, self.stored.days)})
        counts = {row.event_day: row["count"] for row in events.groupBy("event_day").count().collect()}
        yield from in_pieces(days, counts, events_max)

    def rows(self, seen: Mapping[date, SeenTraffic], videos: Mapping[int, Videos]) -> DataFrame:
        """Return what the rules of some days see, each row with its `judged_day`.

        Days whose rules saw the log as far and by the same catalogue are read together. The views of a viewer are
        together and in order, which many rules ask for.
        """
        alike: defaultdict[tuple[OffsetVector, int], list[date]] = defaultdict(list)
        for day, each in sorted(seen.items()):
            alike[each.end, each.catalogue_version].append(day)
        found = (self._rows_below(end, days, videos[catalogue]) for (end, catalogue), days in alike.items())
        return _by_viewer(reduce(DataFrame.unionByName, found))

    def rows_of_weeks(self, days: Sequence[date], end: OffsetVector, videos: Videos) -> DataFrame:
        """Return what the rules of a period see on these days, in order; `judged_day` is the last of them.

        Hashes by another key than that of the last day are left out: equal ones would look like two.
        """
        known = self._known(days, days, end, videos).withColumn(JUDGED_DAY, F.lit(days[-1]))
        unlike = [day for day in days if not have_one_key(days[-1], day)]
        hashes = {name: F.when(~F.col("event_day").isin(unlike), F.col(name)) for name in _HASHES}
        return _by_viewer(known.withColumns(hashes) if unlike else known)

    def _rows_below(self, end: OffsetVector, days: Collection[date], videos: Videos) -> DataFrame:
        near = {day - step * _ONE for day in days for step in (0, 1)}
        known = self._known(near, days, end, videos)
        return comparable(known.join(_judged_days(known.sparkSession, days), "event_day"), days)

    def _known(self, near: Collection[date], days: Collection[date], end: OffsetVector, videos: Videos) -> DataFrame:
        persons = on_days(self.stored.viewers, near).select(*PLACE, *_PERSON)
        events = self._would_be_counted(near, days, end).select(*PLACE, *_SENT).join(persons, PLACE, "left")
        return events.join(videos.lengths.joinable(), "video_id", "left").join(
            payees_on(videos.owners.rows, near), ["video_id", "event_day"], "left"
        )

    def _would_be_counted(self, near: Collection[date], days: Collection[date], end: OffsetVector) -> DataFrame:
        """Return the events of judged days and of those before that would be counted below `end` without day rules.

        An event that lost its first place to one beyond `end` had it then.
        """
        in_reach = on_days(self.stored.events, days_in_reach(days, self.stored.days))
        events = in_reach.where(F.col("verdict").isin(*CANDIDATES))
        placed = events.withColumn("is_beyond", is_beyond(literal(end)))
        seen = placed.where("NOT is_beyond")
        invalid = self.traffic.of(INVALID_OUTCOMES, near).withColumn("is_by_day", F.lit(True))
        by_day = on_days(seen, near).join(invalid, PLACE, "left")
        is_invalid_by_day = (F.col("verdict") == Verdict.INVALID_TRAFFIC.value) & F.col("is_by_day")
        first = by_day.where((F.col("verdict") == Verdict.COUNTED.value) | is_invalid_by_day)
        beyond = kept(placed.where("is_beyond").select("event_id").distinct())
        if not beyond.count:
            return first
        then = by_day.join(beyond.joinable(), "event_id", "left_semi")
        same = seen.join(beyond.joinable(), "event_id", "left_semi")
        repeats = kept(repeat_verdicts(same.select(*COMPARED)))
        # an event with a general reason is invalid wherever it stands
        then_first = then.where("reasons IS NULL OR is_by_day").join(repeats.joinable(*PLACE), PLACE, "left_anti")
        return first.join(beyond.joinable(), "event_id", "left_anti").unionByName(then_first)


def _by_viewer(rows: DataFrame) -> DataFrame:
    by_viewer = rows.repartition(JUDGED_DAY, "user_id")
    return by_viewer.sortWithinPartitions(JUDGED_DAY, "user_id", "happened_at", "event_id", *PLACE)


def days_without_persons(events: DataFrame, viewers: DataFrame, days: Collection[date]) -> frozenset[date]:
    """Return the days of which personal columns were removed, or of the day before.

    Judged again without what some viewers sent, a robot's views would be counted: such days keep their outcomes. Those
    that no rule has judged yet, since their first event was accepted so late, have no rules.
    """
    near = frozenset(day - step * _ONE for day in days for step in (0, 1))
    sent = on_days(events, near).where("verdict <> 'rejected'").select("event_day", F.lit(1).alias("sign"))
    persons = on_days(viewers, near).select("event_day", F.lit(-1).alias("sign"))
    left = sent.unionByName(persons).groupBy("event_day").agg(F.sum("sign").alias("count"))
    lost_on = {row.event_day for row in left.where("count <> 0").collect()}
    return frozenset(day for day in days if lost_on & {day, day - _ONE})


def comparable(rows: DataFrame, days: Collection[date]) -> DataFrame:
    """Return what rules of some days see, without hashes of the day before by another key than the day's own.

    An equal network or agent would look like two, and one person like somebody who moves.
    """
    with_another_key = [day for day in sorted(days) if not have_one_key(day, day - _ONE)]
    if not with_another_key:
        return rows
    is_unlike = F.col(JUDGED_DAY).isin(with_another_key) & (F.col("event_day") != F.col(JUDGED_DAY))
    return rows.withColumns({name: F.when(~is_unlike, F.col(name)) for name in _HASHES})


def payees_on(owners: DataFrame, days: Collection[date]) -> DataFrame:
    """Return `(video_id, event_day, payee_id)`: the owner of the largest share on each day, of equal ones the first."""
    values = ", ".join(f"(DATE'{day}')" for day in sorted(days))
    each = F.broadcast(owners.sparkSession.sql(f"SELECT * FROM VALUES {values} AS days(event_day)"))  # noqa: S608 - days only
    owned = owners.join(each, (F.col("from_on") <= F.col("event_day")) & (F.col("event_day") < F.col("to_on")))
    largest = F.min_by("payee_id", F.struct(-F.col("share_ppm"), "payee_id")).alias("payee_id")
    return owned.groupBy("video_id", "event_day").agg(largest)


def _judged_days(spark: SparkSession, days: Collection[date]) -> DataFrame:
    """Return `(event_day, judged_day)`: the days under whose rules the events of a day are seen."""
    pairs = ", ".join(f"(DATE'{day - step * _ONE}', DATE'{day}')" for day in sorted(days) for step in (0, 1))
    return F.broadcast(spark.sql(f"SELECT * FROM VALUES {pairs} AS days(event_day, {JUDGED_DAY})"))  # noqa: S608 - days only
