"""Read what the rules of the day saw and said of the judged days of a version: what an auditor judges them again by."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_day_rows import JUDGED_DAY, DayRows, Videos
from batch_layer.judging.spark_judging import Stored
from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.spark_stored import PLACE, on_days
from batch_layer.lake.tables import EVENTS, TRAFFIC_OUTCOMES, VIEWERS
from batch_layer.settled.iceberg_settled_views import streamed
from ingestion.contract.periods import Period
from ingestion.contract.version import PublishedVersion

HASH_CHARACTERS = 32
NO_REFERRER = "none"
_ONE = timedelta(days=1)


class SparkJudgedViews:
    """See billing's port `TrafficEvidence`. A reader can tell equal viewers from others, and find none of them."""

    def __init__(
        self,
        spark: SparkSession,
        version: PublishedVersion,
        catalogue: CatalogueFacts,
        period: Period,
        key: bytes,
        allowed: Callable[[int], Column],
    ) -> None:
        """Read the days of a period.

        `key`: of the hashes in place of names; made for this reading and kept nowhere. `allowed`: a version of the
        policy of traffic → the numbers of its entries that a row's view is of.
        """
        self._catalogue, self._key, self._allowed = catalogue, key.hex(), allowed
        tables = IcebergTables(spark)
        rules = version.day_rules
        days = frozenset(day for day in period.days() if day in rules and rules[day].seen is not None)
        events = tables.at(EVENTS, version.snapshots[EVENTS])
        # no version pins personal columns: the newest ones are all there are
        self._stored = Stored(events, tables.newest(VIEWERS), frozenset(rules))
        self._days_left_out = _without_viewers(self._stored, days)
        self._days = days - self._days_left_out
        self._rules = rules
        self._outcomes = tables.at(TRAFFIC_OUTCOMES, version.snapshots[TRAFFIC_OUTCOMES]) if days else None

    @property
    def days_left_out(self) -> frozenset[date]:
        """Return the judged days of which, or of the day before, the personal columns of an event are gone."""
        return self._days_left_out

    def views(self) -> Iterator[Sequence[Any]]:
        """Yield what the rules of each day see, by day and time; see the port."""
        if self._outcomes is None or not self._days:
            return iter(())
        seen = {day: each for day in self._days if (each := self._rules[day].seen) is not None}
        videos = {
            number: Videos.of(self._catalogue, number) for number in {each.catalogue_version for each in seen.values()}
        }
        rows = DayRows(self._stored, TrafficOfDays(self._outcomes, ends_of(self._rules))).rows(seen, videos)
        begun = F.unix_micros("happened_at").alias("begun")
        shown = rows.select(
            JUDGED_DAY,
            *PLACE,
            "event_id",
            "event_day",
            begun,
            "video_id",
            "payee_id",
            "length_seconds",
            self._hashed("user_id").alias("viewer"),
            self._hashed("session_id").alias("session"),
            "view_duration",
            "country",
            self._hashed("device_type").alias("device_type"),
            self._hashed("network").alias("network"),
            "network_kind",
            self._hashed("agent").alias("agent"),
            F.when(F.col("referrer_host") == "", NO_REFERRER)
            .otherwise(self._hashed("referrer_host"))
            .alias("referrer"),
            self._allowed_numbers(),
        )
        return streamed(shown.orderBy(JUDGED_DAY, "begun", "event_id", *PLACE))

    def outcomes(self) -> Iterator[Sequence[Any]]:
        """Yield the stored outcomes, by day and place; see the port."""
        if self._outcomes is None or not self._days:
            return iter(())
        columns = (*PLACE, "event_day", "payee_id", "outcome", "reason", "points")
        return streamed(on_days(self._outcomes, self._days).select(*columns).orderBy("event_day", *PLACE))

    def _allowed_numbers(self) -> Column:
        """Return the entries of the policy of each judged day that its own views are of."""
        days_of: defaultdict[int, list[date]] = defaultdict(list)
        for day in sorted(self._days):
            days_of[self._rules[day].traffic_policy_version].append(day)
        found = F.lit("")
        for version, days in days_of.items():
            is_ruled = F.col(JUDGED_DAY).isin(days) & (F.col("event_day") == F.col(JUDGED_DAY))
            found = F.when(is_ruled, self._allowed(version)).otherwise(found)
        return found.alias("allowed")

    def _hashed(self, name: str) -> Column:
        """Return a column whose equal values are equal; null stays null."""
        return F.substring(F.sha2(F.concat(F.lit(f"{self._key}:{name}:"), name), 256), 1, HASH_CHARACTERS)


def _without_viewers(stored: Stored, days: frozenset[date]) -> frozenset[date]:
    near = frozenset(day - step * _ONE for day in days for step in (0, 1))
    events = on_days(stored.events, near).where("verdict <> 'rejected'").select(*PLACE, "event_day")
    persons = on_days(stored.viewers, near).select(*PLACE, "event_day")
    lost: DataFrame = events.join(persons, [*PLACE, "event_day"], "left_anti").select("event_day").distinct()
    lost_on = {row.event_day for row in lost.collect()}
    return frozenset(day for day in days if lost_on & {day, day - _ONE})
