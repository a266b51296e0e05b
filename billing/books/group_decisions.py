"""Take a decision about a group under review: once, about exactly the events that were looked at. Knows only ports."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from billing.errors import StateError, UnknownNameError
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup


@dataclass(frozen=True)
class StoredDecision:
    """A decision with who took it."""

    decision: TrafficDecision
    actor: str
    reason: str
    decided_at: datetime
    is_expiry: bool
    """Whether the database wrote it, since nobody had decided."""
    version: int | None
    """The first version that applies it; None: none yet."""


class GroupDecisions(Protocol):
    """Stores decisions about groups; they are final."""

    def all(self) -> Sequence[StoredDecision]:
        """Return all decisions, oldest first."""

    def store(self, decision: TrafficDecision, *, actor: str, reason: str) -> None:
        """Store a decision; raise StateError if the group is decided by now."""


@dataclass(frozen=True)
class TakenDecision:
    """The answer to a decision."""

    decision: TrafficDecision
    is_new: bool
    """False: the same person had decided the same before."""
    version: int | None
    """The version that applied it."""


def decide_group(
    store: GroupDecisions,
    present: Callable[[], Collection[TrafficGroup]],
    name: str,
    outcome: TrafficOutcome,
    *,
    actor: str,
    reason: str,
) -> TakenDecision:
    """Store a decision about the group with a name; the same one again changes nothing.

    `present` returns the groups under review; it is asked only if nobody has decided on the name.

    Raises:
        StateError: somebody decided otherwise, or the group has other events by now.
        UnknownNameError: there is no such group.
        DatabaseRefusedError: nobody decides on their own payee.
    """
    if before := next((each for each in store.all() if each.decision.group.name == name), None):
        if (before.decision.outcome, before.actor, before.reason) != (outcome, actor, reason):
            raise StateError(
                f"group {name} was {before.decision.outcome.value} before by {before.actor}: {before.reason}; "
                "a decision is final"
            )
        return TakenDecision(before.decision, is_new=False, version=before.version)
    decision = TrafficDecision(group_named(name, present()), outcome)
    store.store(decision, actor=actor, reason=reason)
    return TakenDecision(decision, is_new=True, version=None)


def group_named(name: str, groups: Collection[TrafficGroup]) -> TrafficGroup:
    """Return the group with a name.

    Raises:
        StateError: its events are others by now.
        UnknownNameError: there is none.
    """
    found = {each.name: each for each in sorted(groups)}
    if name in found:
        return found[name]
    same = [other for other in found if other.rpartition("/")[0] == name.rpartition("/")[0] and "/" in name]
    if same:
        raise StateError(
            f"group {name} has other events by now, as {same[0]}; look at it with `traffic review` and decide again"
        )
    raise UnknownNameError(f"{name!r} is not a group under review; `traffic review` lists them by their names")
