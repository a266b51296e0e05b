"""Find ids that are counted more than once over all days; a run only compares an id's day and the adjacent days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_verdicts import more_than
from batch_layer.lake.spark_errors import translated
from ingestion.contract.counting import Billability, Verdict

NAMED_MAX = 1_000


@dataclass(frozen=True)
class CountedEvent:
    """One counted event."""

    event_day: date
    place: str
    """Its place in the log: `partition:offset`."""
    video_id: str
    is_billable: bool


@dataclass(frozen=True)
class RepeatedId:
    """An id that is counted more than once, with every event that is counted under it, by day and place."""

    event_id: str
    counted: Sequence[CountedEvent]

    def __str__(self) -> str:
        """Return it as one line."""
        events = ", ".join(
            f"{each.event_day} (video {each.video_id}, {'' if each.is_billable else 'not '}billable, at {each.place})"
            for each in self.counted
        )
        return f"event {self.event_id} is counted {len(self.counted)} times: {events}"


@translated
def repeated_ids(events: DataFrame) -> tuple[int, list[RepeatedId]]:
    """Return how many ids are counted more than once, and the first `NAMED_MAX` of them.

    Only an eight-byte hash of each id is shuffled; the ids themselves only if a hash occurs more than once.
    """
    counted = events.where(F.col("verdict") == Verdict.COUNTED.value).withColumn("id_hash", F.xxhash64("event_id"))
    event = F.struct(
        "event_day",
        "partition",
        "offset",
        F.concat_ws(":", "partition", "offset"),
        "video_id",
        F.col("billability") == Billability.BILLABLE.value,
    )
    repeated = (
        counted.join(more_than(counted.select("id_hash"), 1), "id_hash", "left_semi")
        .groupBy("event_id")
        .agg(F.array_sort(F.collect_list(event)).alias("counted"))
        .where(F.size("counted") > 1)
        .persist()
    )
    named = repeated.orderBy("event_id").limit(NAMED_MAX).collect()
    return repeated.count(), [
        RepeatedId(
            event_id,
            [CountedEvent(day, place, video_id, is_billable) for day, _, _, place, video_id, is_billable in found],
        )
        for event_id, found in named
    ]
