"""The day rules of traffic as the batch layer is given them, and the policy of each event day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from pyspark.sql import DataFrame

from ingestion.contract.policy import CountingPolicy
from ingestion.contract.version import DayRules


class TrafficPolicyDays(NamedTuple):
    """A policy of traffic by its version, and the first event day that it rules."""

    version: int
    effective_from_on: date


@dataclass(frozen=True)
class TrafficRules:
    """The day rules of traffic."""

    policies: Sequence[TrafficPolicyDays] = ()
    outcomes: Callable[[DataFrame, date, int], DataFrame] | None = None
    """The rows that the rules of a day see, the day, the version of its policy → partition, offset, event_day, outcome,
    reason, points: at most one row for an event, and only events of the day. A function of these alone."""
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
