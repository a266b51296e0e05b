"""What a recount takes as it was published, because the raw values that it rests on were removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.archive.removals import Removals
from batch_layer.judging.spark_billability import CONTEXT_WINDOW_MAX
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE
from ingestion.contract.version import DayRules

_ONE = timedelta(days=1)


@dataclass(frozen=True)
class SealedRows:
    """The rows that are not counted again."""

    before: date | None
    """All rows of days until this one: their cap may rest on views of which nobody knows the viewer any more."""
    days: frozenset[date]
    """Days that the day rules of traffic judged with what was removed since: their rows stay as a whole."""
    removed: Kept | None
    """The places of events without raw values; None if nothing was removed."""

    @classmethod
    def of(
        cls, published: DataFrame, raw: DataFrame, rules: Mapping[date, DayRules], removals: Removals
    ) -> "SealedRows":
        """Return what is sealed of a version with these events and raw events.

        What was received before a day happened on that day at the latest, and the cap looks back from the next one.
        The rules of a day look at the day before, too.
        """
        if not removals.is_any:
            return cls(None, frozenset(), None)
        lost = kept(published.join(raw.select(*PLACE), PLACE, "left_anti").select(*PLACE, "event_day"))
        lost_on = {row.event_day for row in lost.rows.select("event_day").distinct().collect()}
        before = removals.before + CONTEXT_WINDOW_MAX if removals.before else None
        near = {day + step * _ONE for day in lost_on for step in (0, 1)}
        judged = {day for day, each in rules.items() if each.seen is not None}
        until = {day for day in judged if before is not None and day <= before}
        return cls(before, frozenset((near & judged) | until), lost)

    @property
    def is_any(self) -> bool:
        """Return whether anything is sealed."""
        return self.removed is not None

    @property
    def is_sealed(self) -> Column:
        """Return whether an event, by its day, is not counted again although its raw values may be there."""
        day = F.col("event_day")
        of_days = day.isin(sorted(self.days)) if self.days else F.lit(False)
        return of_days if self.before is None else of_days | (day <= F.lit(self.before))

    def rows(self, published: DataFrame) -> DataFrame:
        """Return the sealed rows of a table by place."""
        if self.removed is None:
            return published.where(F.lit(False))
        places = self.removed.joinable(*PLACE).withColumn("is_removed", F.lit(True))
        found = published.join(places, PLACE, "left").where(F.col("is_removed").isNotNull() | self.is_sealed)
        return found.drop("is_removed")
