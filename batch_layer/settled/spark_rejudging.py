"""Judge a period's counted views by a proposed policy, without storing anything: the input of a backtest."""

from collections.abc import Iterable
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_billability import facts_frame, judge_alone, over_cap, with_cap
from batch_layer.judging.spark_traffic import PAID, TrafficOfDays
from batch_layer.lake.spark_kept import kept
from batch_layer.settled.spark_attribution import within
from ingestion.contract.counting import VideoFacts
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy


def rejudged(
    events: DataFrame,
    viewers: DataFrame,
    period: Period,
    policy: CountingPolicy,
    facts: Iterable[tuple[str, VideoFacts]],
    traffic: TrafficOfDays,
) -> DataFrame:
    """Return the period's events with the billability that a policy gives them.

    The cap looks back on the day before the period, whose billable views keep their verdicts. `viewers` are the
    personal columns; an event without any, because they were erased, is a viewer of its own. What the rules of traffic
    say stays.
    """
    if "attested" not in events.columns:  # of a version of an earlier release, which a policy that asks is not tried on
        events = events.withColumn("attested", F.lit(False))
    before_on = period.start_on - timedelta(days=1)
    person = F.coalesce("user_id", F.concat_ws(":", "partition", "offset")).alias("user_id")
    near = viewers.where(F.col("event_day").between(F.lit(before_on), F.lit(period.end_on)))
    known = near.select("partition", "offset", "user_id")
    with_viewer = events.join(known, ["partition", "offset"], "left").select(*events.columns, person)
    policies = dict.fromkeys(period.days(), policy)
    is_judged = within(F.col("event_day"), period)
    unjudged = with_viewer.where(is_judged).drop("billability", "policy_version")
    judged = judge_alone(unjudged, policies, facts_frame(events.sparkSession, facts))
    before = with_viewer.where(F.col("event_day") == F.lit(before_on))
    paid_before = before.where(F.col("billability").isin(*PAID))
    dropped = kept(over_cap(judged.where("billability = 'billable'"), paid_before, policies))
    settled = traffic.settled(with_cap(judged, dropped).drop("user_id"), period.days())
    # events of other days can belong to the period, too: late ones, by their own timestamp
    return settled.select(*events.columns).unionByName(events.where(~is_judged))
