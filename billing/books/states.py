"""The states of everything a person may decide on, and the allowed steps. The database holds the same table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from billing.errors import StateError

OPEN = "open"
"""The state of every subject before its first step."""
RUN = "run"
"""The actor of a billing run's own steps; no person has this name."""

FIRST_KEPT = "first_kept"
"""The decision about a conflict: the first event of its id remains the one that counts."""

_TERMS: Mapping[str, frozenset[str]] = {
    OPEN: frozenset({"in_force", "proposed"}),
    "proposed": frozenset({"in_force", "refused"}),
}
"""Kinds that decide who is paid: the database takes the first step itself, a second person the next."""
ALLOWED: Mapping[str, Mapping[str, frozenset[str]]] = {
    "statement": {
        OPEN: frozenset({"calculated"}),
        "calculated": frozenset({"in_review", "approved", "held", "voided", "superseded"}),
        "in_review": frozenset({"approved", "held", "voided", "superseded"}),
        "approved": frozenset({"finalised", "held", "voided", "superseded"}),
        "finalised": frozenset({"paid", "superseded"}),
        "paid": frozenset({"superseded"}),
        "held": frozenset({"in_review", "voided", "superseded"}),
        "voided": frozenset({"superseded"}),
    },
    "hold": {OPEN: frozenset({"pending"}), "pending": frozenset({"released", "voided", "expired"})},
    "appeal": {OPEN: frozenset({"received"}), "received": frozenset({"accepted", "rejected", "withdrawn"})},
    "payout_batch": {
        OPEN: frozenset({"made"}),
        "made": frozenset({"approved", "voided"}),
        "approved": frozenset({"written", "voided"}),
    },
    "payout": {
        OPEN: frozenset({"instructed"}),
        "instructed": frozenset({"settled", "rejected", "voided"}),
        "settled": frozenset({"returned"}),
    },
    "catalogue": _TERMS,
    "contract": _TERMS,
    "bank_account": _TERMS,
    "policy": _TERMS,
    "restore": {OPEN: frozenset({"waits"}), "waits": frozenset({"released"})},
    "late_event": {OPEN: frozenset({"accepted", "rejected"})},
    "conflict": {OPEN: frozenset({FIRST_KEPT})},
}
"""Kind of subject → state → the states that may follow it. From `finalised` on, the money is in the ledger."""

POSTED = frozenset({"finalised", "paid"})
"""States of a statement that the ledger holds."""


@dataclass(frozen=True)
class Transition:
    """One stored step of a subject."""

    from_state: str
    to_state: str
    actor: str
    reason: str
    moved_at: datetime


@dataclass(frozen=True)
class Move:
    """A requested step."""

    to_state: str
    actor: str
    reason: str = ""


def check_move(kind: str, subject_id: str, from_state: str, to_state: str) -> None:
    """Refuse a step that the table does not allow.

    Raises:
        StateError: the sentence names the subject, its state and the allowed next states.
    """
    allowed = ALLOWED[kind].get(from_state, frozenset())
    if to_state not in allowed:
        ways = f"it can become {', '.join(sorted(allowed))}" if allowed else "this state is final"
        subject = f"{kind.replace('_', ' ')} {subject_id}"
        raise StateError(f"{subject} is {from_state} and cannot become {to_state}; {ways}")
