"""Which views an allow-list is about, and what the rules find of all others. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.findings import Finding
from ingestion.contract.allowed_traffic import AllowedKind
from ingestion.contract.traffic_policy import TrafficPolicy
from ingestion.contract.traits import TraitsKey, hashes_of


class AllowedViews(NamedTuple):
    """An entry of an allow-list as it is compared with events."""

    column: str
    """`network`, `agent` or `payee_id`."""
    values: frozenset[str]
    """A network or agent has another hash in each quarter."""
    until: date
    reasons: frozenset[str]

    def are_of(self, event: DayEvent) -> bool:
        """Return whether an event is one of them."""
        return getattr(event, self.column) in self.values and event.event_day < self.until


Allowed = Sequence[AllowedViews]


def allowed_views(policy: TrafficPolicy, key: TraitsKey | None) -> tuple[AllowedViews, ...]:
    """Return the entries of a policy, in its order.

    Raises:
        ValueError: there is no key, and an entry names a network or an agent.
    """
    found = []
    for each in policy.allowed:
        column, values = "payee_id", frozenset({each.name})
        if each.kind is not AllowedKind.PAYEE:
            if key is None:
                raise ValueError(
                    f"traffic policy {policy.version} allows views by their {each.kind}, and no key is given"
                )
            column = each.kind.value
            values = hashes_of(key, column, each.name, policy.effective_from_on, each.until)
        found.append(AllowedViews(column, values, each.until, frozenset(each.reasons)))
    return tuple(found)


def without_allowed(
    findings: Iterable[Finding], events: Sequence[DayEvent], allowed: Allowed
) -> Iterator[Finding] | Iterable[Finding]:
    """Return the findings that no entry exempts their event from."""
    if not allowed:
        return findings
    exempt = {
        (each.partition, each.offset): reasons
        for each in events
        if (reasons := frozenset().union(*(entry.reasons for entry in allowed if entry.are_of(each))))
    }
    return (each for each in findings if each.reason.code not in exempt.get(each.place, ()))
