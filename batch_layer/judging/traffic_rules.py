"""The rules of traffic as the batch layer is given them, and the policy of each event day. Pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

from batch_layer.errors import RefusedError
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.version import DayRules

Rows = Any
"""Rows of the engine."""


class TrafficPolicyDays(NamedTuple):
    """A policy of traffic by its version, and the first event day that it rules."""

    version: int
    effective_from_on: date
    period_days: int = 0
    """On how many days at least the rules of a period look; 0: the policy has none."""


def _no_outcomes(_rows: Rows, version: int) -> Rows:
    raise LookupError(f"no rules belong to version {version} of the traffic policy")


def _nothing_found(_rows: Rows, _payee_viewers: Rows, version: int) -> Rows:
    return _no_outcomes(_rows, version)


@dataclass(frozen=True)
class TrafficRules:
    """The rules of traffic that look at many events: those of a day, and those of a period."""

    policies: Sequence[TrafficPolicyDays] = ()
    outcomes: Callable[[Rows, int], Rows] = _no_outcomes
    """The rows that the rules of some days see, each with its `judged_day`, and the version of their policy →
    partition, offset, event_day, outcome, reason, points: at most one row for an event, and only events of a judged
    day. The outcomes of a judged day are a function of its own rows alone."""
    period_outcomes: Callable[[Rows, Rows, int], Rows] = _nothing_found
    """The same for the rows that the rules of a period see, with the viewers who are payees (payee_id, user_id)."""
    sentences: Mapping[str, str] = field(default_factory=dict)
    """The code of every reason → a sentence for people."""

    def by_policy(self, days: Mapping[date, DayRules]) -> dict[TrafficPolicyDays, list[date]]:
        """Return the days of each policy, in order.

        Raises:
            RefusedError: a day was judged by a policy that is not in force.
        """
        known = {each.version: each for each in self.policies}
        found: defaultdict[TrafficPolicyDays, list[date]] = defaultdict(list)
        for day, each in sorted(days.items()):
            if each.traffic_policy_version not in known:
                raise RefusedError(
                    f"version {each.traffic_policy_version} of the traffic policy judges {day}, and no policy of "
                    "that version is in force; put the rows of billing.policies back"
                )
            found[known[each.traffic_policy_version]].append(day)
        return found

    def version_on(self, day: date) -> int:
        """Return the version of the policy that rules a new event day; 0 if there is none."""
        in_force = [each for each in self.policies if each.effective_from_on <= day]
        return max(in_force, key=lambda each: (each.effective_from_on, each.version)).version if in_force else 0


NO_TRAFFIC_RULES = TrafficRules()


def rules_of(
    former: Mapping[date, DayRules],
    policies: Mapping[date, CountingPolicy],
    catalogue_version: int,
    rules: TrafficRules,
) -> dict[date, DayRules]:
    """Return the rules of every event day, stored or new; a day keeps the policy of traffic that it began with."""
    new = {day: DayRules(each.version, catalogue_version, rules.version_on(day)) for day, each in policies.items()}
    return new | {day: replace(each, catalogue_version=catalogue_version) for day, each in former.items()}
