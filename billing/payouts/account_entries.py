"""What the bank booked on the account that pays, as the books keep it. Pure.

Every movement becomes rows of the books: it settles or returns a payment, is a fee, or waits in suspense with a reason.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from billing.books.posting import BANK, Entry, LedgerTransaction
from billing.payouts.payouts import RETURNED, SETTLED

SUSPENSE_OF_BANK = "suspense:bank"
"""The account of movements that nobody has explained yet; it stands in the place of their payee, too."""
BANK_FEES = "expense:bank-fees"
SETTLES, RETURNS, FEE, UNKNOWN, NAMED = "settles", "returns", "fee", "unknown", "named"
STEP_OF = {SETTLES: SETTLED, RETURNS: RETURNED}
"""Purpose → the step of the payment that it rests on."""


@dataclass(frozen=True)
class EntryPart:
    """One payment in a movement, as the bank details it."""

    item_id: str
    """The end-to-end id; empty if the bank names none."""
    amount_micros: int
    """What the account gained; negative: what left it."""
    charges_micros: int = 0
    """What the bank says it charged for it, within the amount or beside it."""
    reason: str = ""


@dataclass(frozen=True)
class AccountEntry:
    """One movement that the bank has booked."""

    statement: str
    reference: str
    booked_on: date
    currency: str
    parts: tuple[EntryPart, ...]
    """At least one; their amounts add up to the movement."""
    place: str
    batch_id: str = ""
    """The batch that the bank names for the whole movement."""
    is_fee: bool = False

    @property
    def amount_micros(self) -> int:
        """Return what the account gained; negative: what left it."""
        return sum(each.amount_micros for each in self.parts)


@dataclass(frozen=True)
class AccountReport:
    """The booked movements of one account in a file of the bank."""

    iban: str
    entries: tuple[AccountEntry, ...]
    pending_count: int = 0
    """Movements that the bank has not booked yet: they have no effect."""


@dataclass(frozen=True)
class BankEntry:
    """A movement, or one payment of it, as the books keep it."""

    entry_id: str
    account: str
    """In the form that may be shown."""
    statement: str
    reference: str
    booked_on: date
    currency: str
    amount_micros: int
    charges_micros: int
    """Of the amount, what the bank kept for itself."""
    item_id: str | None
    purpose: str
    reason: str
    named_id: str | None = None
    """The total that this row takes out of suspense; None of any other row."""


def mask(iban: str) -> str:
    """Return the country and the last four characters of an account."""
    return f"{iban[:2]}…{iban[-4:]}"


def bank_transaction(row: BankEntry) -> LedgerTransaction | None:
    """Return the transaction of a movement itself, or of its charges; None if the payment's step posts it all."""
    is_unknown = row.purpose in (UNKNOWN, NAMED)
    amount_micros = row.charges_micros if row.purpose in STEP_OF else -row.amount_micros
    if not amount_micros:
        return None
    kind, account = ("bank_unknown", SUSPENSE_OF_BANK) if is_unknown else ("bank_fee", BANK_FEES)
    return LedgerTransaction(
        idempotency_key=f"{kind}:{row.entry_id}",
        inputs_hash=hashlib.sha256(f"{row.amount_micros}:{row.charges_micros}:{row.currency}".encode()).hexdigest(),
        kind=kind,
        payee_id=SUSPENSE_OF_BANK,
        currency=row.currency,
        effective_at=datetime.combine(row.booked_on, time(), UTC),
        entries=(Entry(account, amount_micros), Entry(BANK, -amount_micros)),
    )
