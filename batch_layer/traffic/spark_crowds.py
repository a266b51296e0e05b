"""How a crowd's views end, in Spark; the same as `crowds`."""

from collections.abc import Collection, Iterator

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from batch_layer.lake.spark_kept import kept
from batch_layer.traffic.crowds import (
    BROAD,
    FEW_VIEWS,
    IN_STEP,
    KINDS,
    LENGTHS,
    LESS,
    MILLION,
    TESTS,
    WHOLE,
    WINDOWS,
    Ends,
)
from batch_layer.traffic.one_viewer import HOUR
from batch_layer.traffic.spark_findings import JUDGED_DAY, PLACE, first_met, floor_of
from batch_layer.traffic.spark_one_viewer import ORDER, VIEWER
from ingestion.contract.traffic_policy import INVALID_POINTS, STRONG_HINT_POINTS, TrafficPolicy

_KEY = (JUDGED_DAY, "kind", "of", "value")
_ENDS = Ends._fields
_LOOKED_AT = (
    *PLACE, "length_class", *_ENDS, "user_id", "network", "network_kind", "referrer_host", "payee_id", "agent",
    "device_type", "country", "video_id", "begun", "is_witness",
)  # fmt: skip


def found(rows: DataFrame, policy: TrafficPolicy, kinds: Collection[str] = KINDS) -> Iterator[DataFrame]:
    """Yield findings of crowds of some kinds. `rows` has begun and is_left beside the columns of events."""
    ended = _ended(rows, policy)
    looked_at = kept(_with_witnesses(_looked_at(ended), policy).select(*_LOOKED_AT)).rows
    crowds = kept(_suspicious(looked_at, policy, kinds))
    if not crowds.count:
        return
    members = _in_crowds(looked_at, kinds).join(crowds.joinable(), [*_KEY])
    members = members.join(_viewers(ended), [*VIEWER], "left")
    found_of = F.array_compact(F.array(*(_finding(test) for test in TESTS)))
    yield members.select(*PLACE, F.explode(found_of).alias("found")).select(*PLACE, "found.*")


def _finding(test: str) -> Column:
    """Return what a test found of a member of a crowd: reason and points; null if nothing."""
    is_meant = F.col("early") == 0 if test == "early" else F.col("middle" if test == "edges" else test) == 1
    points = F.col(f"{test}_points")
    if test in WHOLE:
        is_like_all = F.coalesce(f"is_like_{test}", F.lit(False)) & F.col("is_witness")
        is_doubted = F.col("kind").isin(sorted(BROAD)) & ~is_like_all
        less = F.when(points == INVALID_POINTS, LESS[INVALID_POINTS]).otherwise(LESS[STRONG_HINT_POINTS])
        points = F.when(is_doubted, less).otherwise(points)
    finding = F.struct(F.lit(TESTS[test].code).alias("reason"), points.cast("int").alias("points"))
    return F.when(is_meant & F.col(f"{test}_points").isNotNull(), finding)


def _ended(rows: DataFrame, policy: TrafficPolicy) -> DataFrame:
    beyond = F.col("view_duration").cast("bigint") - policy.paid_seconds
    early, middle = F.col("is_left") & (beyond < 0), F.col("is_left") & (beyond >= 0)
    windows = [(middle & (beyond < each)).cast("int") for each in WINDOWS]
    ends = (early.cast("int"), middle.cast("int"), (~middle).cast("int"), *windows)
    return rows.withColumns(dict(zip(_ENDS, ends, strict=True)))


def _looked_at(ended: DataFrame) -> DataFrame:
    number: Column = F.lit(0)
    for each in LENGTHS:
        number = number + (F.col("length_seconds") >= each).cast("int")
    return ended.where(F.col("length_seconds") >= LENGTHS[0]).withColumn("length_class", number)


def _in_crowds(rows: DataFrame, kinds: Collection[str]) -> DataFrame:
    """Return each row once for each crowd that it belongs to, with kind, of and value."""
    nothing = F.lit("")
    crowds = {
        "viewer": ("user_id", nothing),
        "network": ("network", nothing),
        "referrer": ("referrer_host", nothing),
        "payee": ("payee_id", nothing),
        "payee_network": ("payee_id", F.col("network")),
        "payee_network_kind": ("payee_id", F.col("network_kind")),
        "payee_agent": ("payee_id", F.col("agent")),
        "payee_device": ("payee_id", F.col("device_type")),
        "payee_country": ("payee_id", F.col("country")),
        "payee_referrer": ("payee_id", F.coalesce("referrer_host", nothing)),
        "video_hour": ("video_id", floor_of(F.col("begun"), HOUR).cast("string")),
    }
    numbered = rows.withColumn("number", F.explode(F.array(*(F.lit(KINDS.index(each) + 1) for each in kinds))))
    number = F.col("number")
    named = {
        "kind": F.elt(number, *(F.lit(kind) for kind in KINDS)),
        "of": F.elt(number, *(F.col(crowds[kind][0]) for kind in KINDS)),
        "value": F.elt(number, *(crowds[kind][1] for kind in KINDS)),
    }
    return numbered.withColumns(named).where("of IS NOT NULL AND value IS NOT NULL")


def _large(rows: DataFrame, policy: TrafficPolicy) -> DataFrame:
    """Return the rows in crowds that are not too small for any test: most crowds are one viewer or room.

    Crowds are counted by a hash. A small one that shares it with others is let through, and no test finds it.
    """
    names = [f"{test}_least_{level}" for test in ("early", "edges", "window") for level in ("review", "invalid")]
    hashed = rows.withColumn("crowd_hash", F.xxhash64(*_KEY))
    counts = hashed.groupBy("crowd_hash").count()
    large = kept(counts.where(F.col("count") >= min(getattr(policy, name) for name in names)).drop("count"))
    return hashed.join(large.joinable(), "crowd_hash")


def _with_witnesses(looked_at: DataFrame, policy: TrafficPolicy) -> DataFrame:
    """Return the views with is_witness. An event without a network or viewer is in a group of its own."""

    def alone(name: str) -> tuple[Column, Column]:
        return F.when(F.col(name).isNull(), F.col("partition")), F.when(F.col(name).isNull(), F.col("offset"))

    room = Window.partitionBy(JUDGED_DAY, "video_id", "network", floor_of(F.col("begun"), IN_STEP), *alone("network"))
    is_first = F.row_number().over(room.orderBy(*ORDER)) == 1
    firsts = looked_at.withColumn("is_first", is_first)
    person = Window.partitionBy(*VIEWER, "payee_id", "is_first", *alone("user_id"))
    is_evidence = F.row_number().over(person.orderBy(*ORDER)) <= policy.witness_views_max
    return firsts.withColumn("is_witness", F.col("is_first") & is_evidence)


def _suspicious(looked_at: DataFrame, policy: TrafficPolicy, kinds: Collection[str]) -> DataFrame:
    """Return the crowds of which something is found, with the points of each test."""
    seen = looked_at.where("is_witness")
    totals = seen.groupBy(JUDGED_DAY, "length_class").agg(
        F.count(F.lit(1)).alias("views"), *(F.sum(each).alias(each) for each in _ENDS)
    )
    left, stayed = F.col("early") + F.col("middle"), F.col("views") - F.col("early")
    usual_middle = F.call_function("div", F.col("middle") * MILLION, F.col("views"))
    without_early = F.call_function("div", F.col("middle") * MILLION, F.greatest(stayed, F.lit(1)))
    usual = {
        "usual_early": F.call_function("div", F.col("early") * MILLION, F.greatest(left, F.lit(1))),
        "usual_middle": F.call_function("div", usual_middle + without_early, F.lit(2)),
        **{f"usual_{each}": F.call_function("div", F.col(each) * MILLION, F.col("views")) for each in _ENDS[2:]},
    }
    per_class = F.broadcast(
        totals.select(JUDGED_DAY, "length_class", *(value.alias(name) for name, value in usual.items()))
    )
    crowds = _large(_in_crowds(seen, kinds), policy).join(per_class, [JUDGED_DAY, "length_class"])
    expected = [F.sum((F.col("early") + F.col("middle")) * F.col("usual_early")).alias("expected_early")]
    expected += [F.sum(f"usual_{each}").alias(f"expected_{each}") for each in _ENDS[1:]]
    sums = crowds.groupBy(*_KEY).agg(*(F.sum(each).alias(each) for each in _ENDS), *expected)
    points = {test: first_met(_levels(test, policy)).alias(f"{test}_points") for test in TESTS}
    judged = sums.select(*_KEY, *points.values())
    return judged.where(F.coalesce(*(F.col(f"{test}_points") for test in TESTS)).isNotNull())


def _levels(test: str, policy: TrafficPolicy) -> Iterator[tuple[Column, int]]:
    seen, expected = F.col(test), F.col(f"expected_{test}")
    for level, points in (("invalid", INVALID_POINTS), ("review", STRONG_HINT_POINTS)):
        least = getattr(policy, f"{test if test in WHOLE else 'window'}_least_{level}")
        ratio = getattr(policy, f"{test}_ratio_{level}")
        if test in WHOLE:
            do_leave = F.col("middle") * MILLION >= F.col("expected_middle") if test == "early" else F.lit(True)
            yield do_leave & (expected >= least * MILLION) & (seen * MILLION * ratio <= expected), points
        else:
            yield (seen >= least) & (seen * MILLION >= expected * ratio), points


def _viewers(ended: DataFrame) -> DataFrame:
    """Return whether each viewer did what a crowd did, and saw videos of one payee alone; no payee is one too."""
    known = ended.where("user_id IS NOT NULL")
    payees = F.count_distinct("payee_id") + F.max(F.col("payee_id").isNull().cast("int"))
    early, middle, edges = F.sum("early"), F.sum("middle"), F.sum("edges")
    is_like_early = (early == 0) & ((middle > 0) | (edges <= FEW_VIEWS))
    return known.groupBy(*VIEWER).agg(
        ((payees == 1) & is_like_early).alias("is_like_early"),
        ((payees == 1) & (edges <= middle)).alias("is_like_edges"),
    )
