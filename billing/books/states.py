"""States of what a person may decide on, and which may follow which. The database holds the same table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from billing.errors import StateError

OPEN = "open"
"""Where everything begins, before its first transition."""
RUN = "run"
"""The actor of what a billing run does by itself; no person has this name."""

FIRST_KEPT = "first_kept"
"""What is decided about a conflict: the first event of its id stays the one that counts."""

_TERMS: Mapping[str, frozenset[str]] = {
    OPEN: frozenset({"in_force", "proposed"}),
    "proposed": frozenset({"in_force", "refused"}),
}
"""Of what decides who is paid: the database takes the first step itself, a second person the next."""
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
    "late_event": {OPEN: frozenset({"accepted", "rejected"})},
    "conflict": {OPEN: frozenset({FIRST_KEPT})},
}
"""Kind of subject → state → the states that may follow it. Money is in the ledger from `finalised` on."""

POSTED = frozenset({"finalised", "paid"})
"""States of a statement that the ledger holds."""


@dataclass(frozen=True)
class Transition:
    """One step of a subject, as it is stored."""

    from_state: str
    to_state: str
    actor: str
    reason: str
    moved_at: datetime


@dataclass(frozen=True)
class Move:
    """A step that somebody wants to take."""

    to_state: str
    actor: str
    reason: str = ""


def check_move(kind: str, subject_id: str, from_state: str, to_state: str) -> None:
    """Refuse a step that the table does not have.

    Raises:
        StateError: naming the subject, where it stands and where it could go.
    """
    allowed = ALLOWED[kind].get(from_state, frozenset())
    if to_state not in allowed:
        ways = f"it can become {', '.join(sorted(allowed))}" if allowed else "this state is final"
        subject = f"{kind.replace('_', ' ')} {subject_id}"
        raise StateError(f"{subject} is {from_state} and cannot become {to_state}; {ways}")
