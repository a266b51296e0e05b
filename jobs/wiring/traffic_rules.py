"""Wire the rules of traffic: every policy that is in force, and the days that they rule."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from batch_layer.errors import RefusedError
from batch_layer.judging.traffic_rules import TrafficPolicyDays, TrafficRules
from batch_layer.traffic.allowed import allowed_views
from ingestion.contract.allowed_traffic import AllowedKind
from ingestion.contract.traffic_policy import TrafficPolicy
from ingestion.contract.traffic_reasons import RULE_REASONS
from ingestion.contract.traits import TraitsKey
from jobs.settings.declared.pipeline import TRAFFIC_RULED_FROM, TRAITS_KEY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def traffic_rules(policies: Sequence[TrafficPolicy], key: TraitsKey | None = None) -> TrafficRules:
    """Return the rules with the policies in force. Without any, no new day is judged.

    `key`: see `key_of_allowed`.
    """
    from batch_layer.traffic.spark_day_rules import day_outcomes
    from batch_layer.traffic.spark_period_rules import period_outcomes

    by_version = {policy.version: (policy, allowed_views(policy, key)) for policy in policies}

    def outcomes(rows: "DataFrame", policy_version: int) -> "DataFrame":
        return day_outcomes(rows, *by_version[policy_version])

    def of_period(rows: "DataFrame", payee_viewers: "DataFrame", policy_version: int) -> "DataFrame":
        return period_outcomes(rows, payee_viewers, *by_version[policy_version])

    days = [TrafficPolicyDays(each.version, each.effective_from_on, each.period_days) for each in policies]
    sentences: Mapping[str, str] = {each.code: each.sentence for each in RULE_REASONS}
    return TrafficRules(days, outcomes, of_period, sentences)


def allowed_numbers(policies: Sequence[TrafficPolicy], key: TraitsKey | None) -> "Callable[[int], Column]":
    """Return what finds, by a version of the policy, the numbers of its entries that a row's view is of."""
    from batch_layer.traffic.spark_allowed import entry_numbers

    entries = {policy.version: allowed_views(policy, key) for policy in policies}
    return lambda version: entry_numbers(entries[version])


def key_of_allowed(
    environ: Mapping[str, str], session: "SparkSession", policies: Sequence[TrafficPolicy]
) -> TraitsKey | None:
    """Return the key by which networks and agents that a policy allows are found; None where no entry names one.

    Raises:
        CommandError: the setting is wrong, or not set.
        RefusedError: it is another key than that of the tables.
    """
    if all(each.kind is AllowedKind.PAYEE for policy in policies for each in policy.allowed):
        return None
    from batch_layer.lake.iceberg_tables import IcebergTables
    from batch_layer.lake.traits_key import check_traits_key

    key = TraitsKey(bytes.fromhex(TRAITS_KEY.read(environ)))
    check_traits_key(IcebergTables(session), key)
    return key


def refuse_unruled(ruled_from: date | None, policies: Sequence[TrafficPolicy]) -> None:
    """Raise RefusedError if the settings name the first day of a policy of traffic, and none is in force.

    Without this, days after an upgrade whose `migrate` was not given the setting would be judged by no rule unseen.
    """
    if ruled_from is not None and not policies:
        raise RefusedError(
            f"{TRAFFIC_RULED_FROM.name} is {ruled_from}, and no policy of traffic is in force, for `migrate` was not "
            "given it; propose one with `traffic policy propose`, or unset it if no rule is to judge traffic"
        )
