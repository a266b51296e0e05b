"""Viewers who act as one, in Spark; the same as `acting_as_one`."""

from collections.abc import Iterator

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from batch_layer.traffic.acting_as_one import IN_A_ROW, SCRIPT_SECONDS, TIMETABLE_SECONDS
from batch_layer.traffic.one_viewer import SECOND
from batch_layer.traffic.spark_findings import findings, first_met, floor_of
from batch_layer.traffic.spark_one_viewer import ORDER, in_progress
from batch_layer.traffic.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason

_VIDEOS = tuple(f"video_{number}" for number in range(IN_A_ROW))
_BOXES = tuple(f"box_{number}" for number in range(IN_A_ROW))


def found(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    """Yield findings. `rows` has begun, ended (microseconds since 1970) and is_left beside the columns of events."""
    yield _sessions(rows, policy)
    yield _scripts(rows, policy)
    yield _timetables(rows, policy)
    yield _turns(rows, policy)


def _sessions(rows: DataFrame, policy: TrafficPolicy) -> DataFrame:
    known = rows.where("session_id IS NOT NULL")
    shared = known.groupBy("session_id").agg((F.min("user_id") != F.max("user_id")).alias("is_shared"))
    views = known.join(shared.where("is_shared").select("session_id"), "session_id")
    most = views.where("payee_id IS NOT NULL").groupBy("session_id", "payee_id").count()
    of_one = most.groupBy("session_id").agg(F.max("count").alias("of_one_payee"))
    viewers, networks = F.count_distinct("user_id"), F.count_distinct("network")
    levels = (
        ((viewers >= policy.session_viewers_invalid) & (networks >= policy.session_networks_invalid), INVALID_POINTS),
        ((viewers >= policy.session_viewers_review) & (networks >= policy.session_networks_review), REVIEW_POINTS),
    )
    sums = views.groupBy("session_id").agg(F.count(F.lit(1)).alias("views"), first_met(levels).alias("points"))
    chosen = sums.where("points IS NOT NULL").join(of_one, "session_id").where("2 * of_one_payee >= views")
    return findings(
        views.join(chosen.select("session_id", "points"), "session_id"), DayReason.SHARED_SESSION, F.col("points")
    )


def _scripts(rows: DataFrame, policy: TrafficPolicy) -> DataFrame:
    left = rows.where((F.col("view_duration") >= policy.paid_seconds) & F.col("is_left"))
    in_rows = _in_a_row(left, "video_id", "session_id", "view_duration")
    of_videos = in_rows.groupBy(*_VIDEOS).agg(F.count(F.lit(1)).alias("all_rows"))
    boxed = _boxed(in_rows, "view_duration", SCRIPT_SECONDS)
    repeats, times = F.count(F.lit(1)), F.max("begun") - F.min("begun")
    is_several = (F.count_distinct("user_id") >= policy.script_viewers) & (F.count_distinct("network") >= 2)
    levels = (
        (repeats >= policy.script_repeats_invalid, INVALID_POINTS),
        ((repeats >= policy.script_repeats_review) & is_several, REVIEW_POINTS),
    )
    keys = ["box", *_VIDEOS, *_BOXES]
    sums = boxed.groupBy(*keys).agg(repeats.alias("repeats"), times.alias("spread"), first_met(levels).alias("points"))
    chosen = sums.where((F.col("points").isNotNull()) & (F.col("spread") >= policy.script_spread_seconds * SECOND))
    chosen = chosen.join(of_videos, [*_VIDEOS]).where(F.col("repeats") * policy.script_share >= F.col("all_rows"))
    return _of_sessions(rows, boxed.join(chosen.select(*keys, "points"), keys), DayReason.REPEATED_SCRIPT)


def _timetables(rows: DataFrame, policy: TrafficPolicy) -> DataFrame:
    in_rows = _in_a_row(rows, "video_id", "session_id", "begun", "payee_id")
    several = in_rows.where("NOT (payee_id_0 <=> payee_id_1 AND payee_id_1 <=> payee_id_2)")
    width = TIMETABLE_SECONDS * SECOND
    boxed = _boxed(several, "begun", width)
    begun = _in_boxes(rows.select("video_id", "user_id", "begun"), width)
    begun = begun.groupBy("box", F.col("video_id").alias("video_0"), F.col("box_of_begun").alias("box_0")).agg(
        F.count_distinct("user_id").alias("all_viewers")
    )
    viewers, networks = F.count_distinct("user_id"), F.count_distinct("network")
    is_spread = networks >= policy.lockstep_networks
    levels = (
        (is_spread & (viewers >= policy.lockstep_viewers_invalid), INVALID_POINTS),
        (is_spread & (viewers >= policy.lockstep_viewers_review), REVIEW_POINTS),
    )
    keys = ["box", *_VIDEOS, *_BOXES]
    sums = boxed.groupBy(*keys).agg(viewers.alias("viewers"), first_met(levels).alias("points"))
    chosen = sums.where("points IS NOT NULL").join(begun, ["box", "video_0", "box_0"])
    chosen = chosen.where(100 * F.col("viewers") >= policy.lockstep_share * F.col("all_viewers"))
    return _of_sessions(rows, boxed.join(chosen.select(*keys, "points"), keys), DayReason.LOCKSTEP)


def _turns(rows: DataFrame, policy: TrafficPolicy) -> DataFrame:
    known = rows.where("network IS NOT NULL AND agent IS NOT NULL AND payee_id IS NOT NULL")
    keys = ["network", "agent", "payee_id", "event_day"]
    watched = F.sum(F.col("view_duration").cast("bigint")) * SECOND
    groups = known.groupBy(*keys).agg(
        F.count(F.lit(1)).alias("views"),
        F.count_distinct("user_id").alias("viewers"),
        (2 * watched >= F.max("ended") - F.min("begun")).alias("is_busy"),
    )
    is_many = (F.col("views") >= policy.turn_views) & (F.col("viewers") >= policy.turn_viewers)
    many = groups.where(is_many & F.col("is_busy")).select(*keys, "views")
    of_device = known.groupBy("network", "agent").agg(F.count(F.lit(1)).alias("of_device"))
    of_payee = known.groupBy("payee_id").agg(F.count(F.lit(1)).alias("of_payee"))
    everything = known.agg(F.count(F.lit(1)).alias("of_all"))
    often = many.join(of_device, ["network", "agent"]).join(of_payee, "payee_id").crossJoin(F.broadcast(everything))
    ratio = F.col("of_device") * F.col("of_payee") * policy.turn_ratio
    often = often.where(F.col("views") * F.col("of_all") >= ratio).select(*keys, "views")
    counted = in_progress(known.join(often.select(*keys), keys), *keys)
    overlapping = F.sum((F.col("at_once") > 1).cast("int"))
    taking = counted.groupBy(*keys).agg(overlapping.alias("overlapping")).join(often, keys)
    taking = taking.where(F.col("overlapping") * policy.turn_overlap_share <= F.col("views")).select(*keys)
    return findings(known.join(taking, keys), DayReason.ACCOUNTS_IN_TURN, REVIEW_POINTS)


def _in_a_row(rows: DataFrame, *columns: str) -> DataFrame:
    """Return each first of three views that follow one another among these of one viewer, with columns of all three."""
    order = Window.partitionBy("user_id").orderBy(*ORDER)
    is_last = F.lead("begun", IN_A_ROW - 1).over(order).isNull()
    found_columns = [
        F.lead(name, number).over(order).alias(f"{name}_{number}") for name in columns for number in range(IN_A_ROW)
    ]
    found_rows = rows.where("user_id IS NOT NULL").select(
        "user_id", "network", "begun", is_last.alias("is_last"), *found_columns
    )
    renamed = {f"video_id_{number}": f"video_{number}" for number in range(IN_A_ROW)}
    return found_rows.where("NOT is_last").withColumnsRenamed(renamed)


def _boxed(in_rows: DataFrame, name: str, width: int) -> DataFrame:
    """Return the rows once for each kind of box, with the box of a column of each of the three."""
    boxes = {f"box_{number}": _box_of(f"{name}_{number}", width) for number in range(IN_A_ROW)}
    return _in_both_kinds(in_rows).withColumns(boxes)


def _in_boxes(rows: DataFrame, width: int) -> DataFrame:
    return _in_both_kinds(rows).withColumn("box_of_begun", _box_of("begun", width))


def _in_both_kinds(rows: DataFrame) -> DataFrame:
    return rows.withColumn("box", F.explode(F.array(F.lit(0), F.lit(1))))


def _box_of(name: str, width: int) -> Column:
    return floor_of(F.col(name) + F.col("box") * (width // 2), width)


def _of_sessions(rows: DataFrame, chosen: DataFrame, reason: DayReason) -> DataFrame:
    """Return a finding for all views of the viewers' sessions in which something was found."""
    three = F.array(*(f"session_id_{number}" for number in range(IN_A_ROW)))
    each = chosen.select("user_id", F.explode(three).alias("its_session"), "points")
    sessions = each.groupBy("user_id", "its_session").agg(F.max("points").alias("points"))
    is_same = F.col("session_id").eqNullSafe(F.col("its_session"))
    views = rows.join(
        sessions.withColumnRenamed("user_id", "its_user"), is_same & (F.col("user_id") == F.col("its_user"))
    )
    return findings(views, reason, F.col("points"))
