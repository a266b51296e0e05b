"""Wire the day rules of traffic: every policy that the program knows, and the days that they rule."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from batch_layer.judging.traffic_rules import TrafficPolicyDays, TrafficRules
from batch_layer.traffic.traffic_policy import POLICIES
from ingestion.contract.traffic_reasons import DayReason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BY_VERSION = {policy.version: policy for policy in POLICIES}
_NEVER = date.max


def traffic_rules(ruled_from: date | None) -> TrafficRules:
    """Return the rules. New event days before `ruled_from`, or all without it, have none.

    A day that a version has ruled is judged by its own policy, even if nothing is set any more.
    """
    from batch_layer.traffic.spark_day_rules import day_outcomes

    def outcomes(rows: "DataFrame", policy_version: int) -> "DataFrame":
        return day_outcomes(rows, _BY_VERSION[policy_version])

    first = ruled_from or _NEVER
    policies = [TrafficPolicyDays(each.version, max(each.effective_from_on, first)) for each in POLICIES]
    sentences: Mapping[str, str] = {each.code: each.sentence for each in DayReason}
    return TrafficRules(policies, outcomes, sentences)
