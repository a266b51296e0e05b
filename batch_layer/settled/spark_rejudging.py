"""Judge a period's counted views by a proposed policy, without storing anything: the input of a backtest."""

from collections.abc import Iterable
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_billability import RulesByDay, facts_frame, judge_alone, over_cap, with_cap
from batch_layer.settled.spark_attribution import within
from ingestion.contract.counting import VideoFacts
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy

_CATALOGUE = 0
"""All days are judged by the same catalogue."""


def rejudged(
    events: DataFrame, period: Period, policy: CountingPolicy, facts: Iterable[tuple[str, VideoFacts]]
) -> DataFrame:
    """Return the period's events with the billability that a policy gives them.

    The cap looks back on the day before the period, whose billable views keep their verdicts.
    """
    spark = events.sparkSession
    days = period.days()
    rules = RulesByDay(dict.fromkeys(days, policy), dict.fromkeys(days, _CATALOGUE))
    known = facts_frame(spark, ((_CATALOGUE, video_id, each) for video_id, each in facts))
    is_judged = within(F.col("event_day"), period)
    unjudged = events.where(is_judged).drop("billability", "policy_version", "catalogue_version")
    judged = judge_alone(unjudged, rules.as_rows(spark), known)
    before = events.where(F.col("event_day") == F.lit(period.start_on - timedelta(days=1)))
    dropped = over_cap(
        judged.where("billability = 'billable'"), before.where("billability = 'billable'"), rules.policies
    )
    # events of other days can belong to the period, too: late ones, by their own timestamp
    return with_cap(judged, dropped).unionByName(events.where(~is_judged))
