"""The viewers of each video and day: who comes with the changes of a run, who goes, and all of them for a rebuild.

A viewer is in the rows as 32 hex digits of a hash, one row for each video and day with a counted event of that viewer.
An event whose personal columns were removed names nobody: whether it counts or not changes no row.
"""

from collections.abc import Collection
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept, kept, kept_together
from batch_layer.lake.spark_stored import PLACE, matching, on_days

_DAY = ["video_id", "event_day"]
_VIEWER = [*_DAY, "user_id", "viewer_hash"]
VIEWER_ROW = (*_DAY, "viewer", "is_known")
"""The columns of a row: `is_known` is false for a row that stands for an event of somebody unknown."""


def changed_viewers(
    changes: TableChanges, events: DataFrame, viewers: DataFrame, days: Collection[date]
) -> TableChanges | None:
    """Return the rows of viewers that come and go by these changes of the events, which lie on these days; None: none.

    `events` and `viewers` are the tables with the changes.
    """
    net = kept(_net(changes))
    if not net.count:
        return None
    near = on_days(viewers, days)
    persons = matching(near, "id_hash", Kept(net.rows.select("id_hash"), net.count))
    named = net.rows.join(persons.select(*PLACE, "user_id", "viewer_hash"), PLACE)
    touched = kept(named.groupBy(*_VIEWER).agg(F.sum("sign").alias("gain")).where("gain <> 0"))
    counts = _event_counts(touched, on_days(events, days), near)
    now = F.coalesce("event_count", F.lit(0))
    before = now - F.col("gain")
    change = F.when(now > 0, 1).otherwise(0) - F.when(before > 0, 1).otherwise(0)
    found = touched.rows.join(counts, _VIEWER, "left").select(
        *_DAY, _hash_of(F.col("user_id")).alias("viewer"), F.lit(True).alias("is_known"), change.alias("change")
    )
    parts = {name: found.where(F.col("change") == sign).drop("change") for name, sign in (("come", 1), ("gone", -1))}
    sides = kept_together(parts)
    if not any(each.count for each in sides.values()):
        return None
    return TableChanges(sides["gone"], sides["come"].rows)


def viewer_rows(events: DataFrame, viewers: DataFrame) -> DataFrame:
    """Return the viewers of all counted events; an event of somebody unknown counts as that of a viewer of its own."""
    persons = viewers.select(*PLACE, "user_id")
    joined = events.where("verdict = 'counted'").select(*PLACE, *_DAY).join(persons, PLACE, "left")
    is_known = F.col("user_id").isNotNull()
    name = F.when(is_known, F.col("user_id")).otherwise(F.concat_ws(" ", *PLACE))
    return joined.select(*_DAY, _hash_of(name).alias("viewer"), is_known.alias("is_known")).distinct()


def _hash_of(text: Column) -> Column:
    """Return as many bits of a hash as a UUID has, so that no two viewers share one; see `viewer_key`."""
    return F.substring(F.sha2(text, 256), 1, 32)


def _net(changes: TableChanges) -> DataFrame:
    """Return the events that count since the changes, with 1, and those that no longer do, with -1."""
    signed = [
        rows.where("verdict = 'counted'").select(*PLACE, "id_hash", *_DAY, F.lit(sign).alias("sign"))
        for rows, sign in ((changes.added, 1), (changes.removed.rows, -1))
    ]
    together = signed[0].unionByName(signed[1]) if changes.removed.count else signed[0]
    return together.groupBy(*PLACE, "id_hash", *_DAY).agg(F.sum("sign").alias("sign")).where("sign <> 0")


def _event_counts(touched: Kept, events: DataFrame, viewers: DataFrame) -> DataFrame:
    """Return how many counted events each of these viewers has of a video and day; none is absent."""
    hashes = Kept(touched.rows.select("viewer_hash"), touched.count)
    seen = kept(matching(viewers, "viewer_hash", hashes).select(*PLACE, "id_hash", "user_id", "viewer_hash"))
    ids = Kept(seen.rows.select("id_hash"), seen.count)
    counted = matching(events.where("verdict = 'counted'"), "id_hash", ids).select(*PLACE, *_DAY)
    return counted.join(seen.joinable(), PLACE).groupBy(*_VIEWER).agg(F.count(F.lit(1)).alias("event_count"))
