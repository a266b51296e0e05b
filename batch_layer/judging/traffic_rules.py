"""The day rules of traffic as the batch layer is given them, and the policy of each event day. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

from ingestion.contract.policy import CountingPolicy
from ingestion.contract.version import DayRules

Rows = Any
"""Rows of the engine."""


class TrafficPolicyDays(NamedTuple):
    """A policy of traffic by its version, and the first event day that it rules."""

    version: int
    effective_from_on: date


def _no_outcomes(_rows: Rows, version: int) -> Rows:
    raise LookupError(f"no rules belong to version {version} of the traffic policy")


@dataclass(frozen=True)
class TrafficRules:
    """The day rules of traffic."""

    policies: Sequence[TrafficPolicyDays] = ()
    outcomes: Callable[[Rows, int], Rows] = _no_outcomes
    """The rows that the rules of some days see, each with its `judged_day`, and the version of their policy →
    partition, offset, event_day, outcome, reason, points: at most one row for an event, and only events of a judged
    day. The outcomes of a judged day are a function of its own rows alone."""
    sentences: Mapping[str, str] = field(default_factory=dict)
    """The code of every reason → a sentence for people."""

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
