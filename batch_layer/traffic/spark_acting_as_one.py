"""Viewers who act as one, in Spark; the same as `acting_as_one`."""

from collections.abc import Iterator

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.traffic.acting_as_one import IN_A_ROW, SCRIPT_SECONDS, TIMETABLE_SECONDS
from batch_layer.traffic.one_viewer import SECOND
from batch_layer.traffic.spark_findings import IS_OF_DAY, JUDGED_DAY, findings, first_met, floor_of
from batch_layer.traffic.spark_one_viewer import ORDER, VIEWER, in_progress
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason

_VIDEOS = tuple(f"video_{number}" for number in range(IN_A_ROW))
_BOXES = tuple(f"box_{number}" for number in range(IN_A_ROW))
_BOXED = (JUDGED_DAY, "box", *_VIDEOS, *_BOXES)


def found(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    """Yield findings. `rows` has begun, ended (microseconds since 1970) and is_left beside the columns of events."""
    yield from _sessions(rows, policy)
    yield from _scripts(rows, policy)
    yield from _timetables(rows, policy)
    yield from _turns(rows, policy)


def _sessions(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    known = rows.where("session_id IS NOT NULL")
    keys = [JUDGED_DAY, "session_id"]
    shared = known.groupBy(*keys).agg((F.min("user_id") != F.max("user_id")).alias("is_shared"))
    views = known.join(kept(shared.where("is_shared").select(*keys)).joinable(), keys)
    most = views.where("payee_id IS NOT NULL").groupBy(*keys, "payee_id").count()
    of_one = most.groupBy(*keys).agg(F.max("count").alias("of_one_payee"))
    viewers, networks = F.count_distinct("user_id"), F.count_distinct("network")
    levels = (
        ((viewers >= policy.session_viewers_invalid) & (networks >= policy.session_networks_invalid), INVALID_POINTS),
        ((viewers >= policy.session_viewers_review) & (networks >= policy.session_networks_review), REVIEW_POINTS),
    )
    sums = views.groupBy(*keys).agg(F.count(F.lit(1)).alias("views"), first_met(levels).alias("points"))
    chosen = sums.where("points IS NOT NULL").join(of_one, keys).where("2 * of_one_payee >= views")
    yield from findings(views, chosen.select(*keys, "points"), keys, DayReason.SHARED_SESSION)


def _scripts(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    left = rows.where((F.col("view_duration") >= policy.paid_seconds) & F.col("is_left"))
    in_rows = _in_a_row(left, "video_id", "session_id", "view_duration")
    of_videos = in_rows.groupBy(JUDGED_DAY, *_VIDEOS).agg(F.count(F.lit(1)).alias("all_rows"))
    least = min(policy.script_repeats_review, policy.script_repeats_invalid)
    boxed = _repeated(_boxed(in_rows, "view_duration", SCRIPT_SECONDS), least)
    if not boxed.count:
        return
    repeats, times = F.count(F.lit(1)), F.max("begun") - F.min("begun")
    is_several = (F.count_distinct("user_id") >= policy.script_viewers) & (F.count_distinct("network") >= 2)
    levels = (
        (repeats >= policy.script_repeats_invalid, INVALID_POINTS),
        ((repeats >= policy.script_repeats_review) & is_several, REVIEW_POINTS),
    )
    sums = boxed.rows.groupBy(*_BOXED).agg(
        repeats.alias("repeats"), times.alias("spread"), first_met(levels).alias("points")
    )
    chosen = sums.where((F.col("points").isNotNull()) & (F.col("spread") >= policy.script_spread_seconds * SECOND))
    chosen = chosen.join(of_videos, [JUDGED_DAY, *_VIDEOS]).where(
        F.col("repeats") * policy.script_share >= F.col("all_rows")
    )
    yield from _of_sessions(rows, boxed.rows, chosen.select(*_BOXED, "points"), DayReason.REPEATED_SCRIPT)


def _timetables(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    in_rows = _in_a_row(rows, "video_id", "session_id", "begun", "payee_id")
    several = in_rows.where("NOT (payee_id_0 <=> payee_id_1 AND payee_id_1 <=> payee_id_2)")
    width = TIMETABLE_SECONDS * SECOND
    least = min(policy.lockstep_viewers_review, policy.lockstep_viewers_invalid)
    boxed = _repeated(_boxed(several, "begun", width), least)
    if not boxed.count:
        return
    begun = _in_boxes(rows.select(JUDGED_DAY, "video_id", "user_id", "begun"), width)
    begun = begun.groupBy(
        JUDGED_DAY, "box", F.col("video_id").alias("video_0"), F.col("box_of_begun").alias("box_0")
    ).agg(F.count_distinct("user_id").alias("all_viewers"))
    viewers, networks = F.count_distinct("user_id"), F.count_distinct("network")
    is_spread = networks >= policy.lockstep_networks
    levels = (
        (is_spread & (viewers >= policy.lockstep_viewers_invalid), INVALID_POINTS),
        (is_spread & (viewers >= policy.lockstep_viewers_review), REVIEW_POINTS),
    )
    sums = boxed.rows.groupBy(*_BOXED).agg(viewers.alias("viewers"), first_met(levels).alias("points"))
    chosen = sums.where("points IS NOT NULL").join(begun, [JUDGED_DAY, "box", "video_0", "box_0"])
    chosen = chosen.where(100 * F.col("viewers") >= policy.lockstep_share * F.col("all_viewers"))
    yield from _of_sessions(rows, boxed.rows, chosen.select(*_BOXED, "points"), DayReason.LOCKSTEP)


def _turns(rows: DataFrame, policy: TrafficPolicy) -> Iterator[DataFrame]:
    known = rows.where("network IS NOT NULL AND agent IS NOT NULL AND payee_id IS NOT NULL")
    of_day = known.where(IS_OF_DAY)
    keys = [JUDGED_DAY, "network", "agent", "payee_id"]
    watched = F.sum(F.col("view_duration").cast("bigint")) * SECOND
    groups = of_day.groupBy(*keys).agg(
        F.count(F.lit(1)).alias("views"),
        F.count_distinct("user_id").alias("viewers"),
        (2 * watched >= F.max("ended") - F.min("begun")).alias("is_busy"),
    )
    is_many = (F.col("views") >= policy.turn_views) & (F.col("viewers") >= policy.turn_viewers)
    many = kept(groups.where(is_many & F.col("is_busy")).select(*keys, "views"))
    if not many.count:
        return
    of_device = known.groupBy(JUDGED_DAY, "network", "agent").agg(F.count(F.lit(1)).alias("of_device"))
    of_payee = known.groupBy(JUDGED_DAY, "payee_id").agg(F.count(F.lit(1)).alias("of_payee"))
    everything = known.groupBy(JUDGED_DAY).agg(F.count(F.lit(1)).alias("of_all"))
    often = many.rows.join(of_device, [JUDGED_DAY, "network", "agent"]).join(of_payee, [JUDGED_DAY, "payee_id"])
    often = often.join(F.broadcast(everything), JUDGED_DAY)
    ratio = F.col("of_device") * F.col("of_payee") * policy.turn_ratio
    unusual = kept(often.where(F.col("views") * F.col("of_all") >= ratio).select(*keys, "views"))
    counted = in_progress(of_day.join(unusual.joinable(*keys), keys), *keys)
    overlapping = F.sum((F.col("at_once") > 1).cast("int"))
    taking = counted.groupBy(*keys).agg(overlapping.alias("overlapping")).join(unusual.joinable(), keys)
    taking = taking.where(F.col("overlapping") * policy.turn_overlap_share <= F.col("views")).select(*keys)
    taking = taking.withColumn("points", F.lit(REVIEW_POINTS))
    yield from findings(of_day, taking, keys, DayReason.ACCOUNTS_IN_TURN)


def _in_a_row(rows: DataFrame, *columns: str) -> DataFrame:
    """Return each first of three views that follow one another among these of one viewer, with columns of all three."""
    order = Window.partitionBy(*VIEWER).orderBy(*ORDER)
    is_last = F.lead("begun", IN_A_ROW - 1).over(order).isNull()
    found_columns = [
        F.lead(name, number).over(order).alias(f"{name}_{number}") for name in columns for number in range(IN_A_ROW)
    ]
    found_rows = rows.where("user_id IS NOT NULL").select(
        *VIEWER, "network", "begun", is_last.alias("is_last"), *found_columns
    )
    renamed = {f"video_id_{number}": f"video_{number}" for number in range(IN_A_ROW)}
    return found_rows.where("NOT is_last").withColumnsRenamed(renamed)


def _boxed(in_rows: DataFrame, name: str, width: int) -> DataFrame:
    """Return the rows once for each kind of box, with the box of a column of each of the three."""
    boxes = {f"box_{number}": _box_of(f"{name}_{number}", width) for number in range(IN_A_ROW)}
    return _in_both_kinds(in_rows).withColumns(boxes)


def _repeated(boxed: DataFrame, least: int) -> Kept:
    """Return the rows that are alike at least this often: nearly all are like no other."""
    often = boxed.groupBy(*_BOXED).count().where(F.col("count") >= least).drop("count")
    return kept(boxed.join(kept(often).joinable(), [*_BOXED]))


def _in_boxes(rows: DataFrame, width: int) -> DataFrame:
    return _in_both_kinds(rows).withColumn("box_of_begun", _box_of("begun", width))


def _in_both_kinds(rows: DataFrame) -> DataFrame:
    return rows.withColumn("box", F.explode(F.array(F.lit(0), F.lit(1))))


def _box_of(name: str, width: int) -> Column:
    return floor_of(F.col(name) + F.col("box") * (width // 2), width)


def _of_sessions(rows: DataFrame, in_rows: DataFrame, chosen: DataFrame, reason: DayReason) -> Iterator[DataFrame]:
    """Yield a finding for all views of the viewers' sessions in which something was found."""
    found_keys = kept(chosen)
    if not found_keys.count:
        return
    three = F.array(*(f"session_id_{number}" for number in range(IN_A_ROW)))
    repeated = in_rows.join(found_keys.joinable(), [*_BOXED])
    each = repeated.select(*VIEWER, F.explode(three).alias("its_session"), "points")
    sessions = each.groupBy(*VIEWER, "its_session").agg(F.max("points").alias("points"))
    yield from findings(rows, sessions, VIEWER, reason, where="session_id <=> its_session")
