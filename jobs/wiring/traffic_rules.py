"""Wire the day rules of traffic: every policy that is in force, and the days that they rule."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from batch_layer.judging.traffic_rules import TrafficPolicyDays, TrafficRules
from ingestion.contract.traffic_policy import TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def traffic_rules(policies: Sequence[TrafficPolicy]) -> TrafficRules:
    """Return the rules with the policies in force. Without any, no new day is judged."""
    from batch_layer.traffic.spark_day_rules import day_outcomes

    by_version = {policy.version: policy for policy in policies}

    def outcomes(rows: "DataFrame", policy_version: int) -> "DataFrame":
        return day_outcomes(rows, by_version[policy_version])

    days = [TrafficPolicyDays(each.version, each.effective_from_on) for each in policies]
    sentences: Mapping[str, str] = {each.code: each.sentence for each in DayReason}
    return TrafficRules(days, outcomes, sentences)
