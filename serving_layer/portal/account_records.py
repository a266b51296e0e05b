"""The records of the page of a payee's bank account. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_MEANINGS = {
    "proposed": "waits for a second person; you are paid to the account on file until then",
    "in_force": "on file: you are paid to it",
    "replaced": "was on file until the next one was approved",
    "refused": "not accepted",
}


@dataclass(frozen=True)
class AccountRow:
    """One account of a payee, masked."""

    account: str
    holder_name: str
    asked_at: datetime
    state: str
    moved_at: datetime
    reason: str
    address: str | None = None
    """Where notices go, masked; None: nowhere."""

    @property
    def meaning(self) -> str:
        """Return what became of it, in words."""
        return _MEANINGS.get(self.state, self.state)


@dataclass(frozen=True)
class OwnAccount:
    """Where a payee is paid and taxed."""

    changes: Sequence[AccountRow]
    """The newest first."""
    tax_country: str | None
    """By the catalogue in force."""

    @property
    def in_force(self) -> AccountRow | None:
        """Return the account that payouts go to."""
        return next((each for each in self.changes if each.state == "in_force"), None)

    @property
    def waiting(self) -> AccountRow | None:
        """Return the change that waits for a second person."""
        return next((each for each in self.changes if each.state == "proposed"), None)
