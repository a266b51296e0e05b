"""Payouts: what of a payee's balance is sent to the bank, and the ledger transactions of its way there. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing.books.posting import BANK, CLEARING, Entry, LedgerTransaction, payable, transaction_id_of
from billing.money import MICROS, amount_text

_WITHOUT_MINOR_UNIT = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THOUSAND_MINOR_UNITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

SETTLED, REJECTED, RETURNED = "settled", "rejected", "returned"
OUTCOMES = (SETTLED, REJECTED, RETURNED)
"""What a bank can say of a payment: done, not done, or done and sent back."""
VOIDED = "voided"
"""State of a payment whose batch was voided before its file was written."""
UNSENT = "unsent"
"""How a payment is named whose file was never written: no bank can have answered."""


@dataclass(frozen=True)
class BankAccount:
    """Where a payee is paid. Its text never appears in a message or log."""

    payee_id: str
    holder_name: str
    iban: str
    bic: str | None = None

    def __repr__(self) -> str:
        return f"BankAccount({self.payee_id}, {self.masked})"

    @property
    def masked(self) -> str:
        """The country and the last four characters."""
        return f"{self.iban[:2]}…{self.iban[-4:]}"


@dataclass(frozen=True)
class PayoutItem:
    """One payment of a batch; `item_id` is the end-to-end id that the bank gives back."""

    item_id: str
    batch_id: str
    payee_id: str
    account_version: int
    amount_micros: int


@dataclass(frozen=True)
class PayoutBatch:
    """The payments of one file."""

    batch_id: str
    currency: str
    execution_on: date
    created_at: datetime
    items: tuple[PayoutItem, ...]
    accounts: Mapping[str, BankAccount]
    """Payee → the account that the item pays to."""

    @property
    def amount_micros(self) -> int:
        """Σ over its items."""
        return sum(item.amount_micros for item in self.items)


@dataclass(frozen=True)
class ListedBatch:
    """The payments of a batch that stand in one state."""

    batch_id: str
    currency: str
    execution_on: date
    made_by: str
    batch_state: str
    payment_state: str
    payment_count: int
    amount_micros: int


@dataclass(frozen=True)
class Payable:
    """What a payee could be paid, and what stands in the way."""

    payee_id: str
    balance_micros: int
    """Owed: positive; a negative balance is carried forward."""
    held_micros: int
    minimum_micros: int
    account_version: int | None
    """None without a bank account."""


@dataclass(frozen=True)
class Acknowledgement:
    """One line of what the bank says."""

    item_id: str
    outcome: str
    amount_micros: int
    currency: str
    reason: str
    place: str
    """Where in the file, for messages."""


def minor_unit_micros(currency: str) -> int:
    """Return the smallest amount that a bank pays: a cent, a yen, a fils (ISO 4217)."""
    if currency in _WITHOUT_MINOR_UNIT:
        return MICROS
    return MICROS // 1000 if currency in _THOUSAND_MINOR_UNITS else MICROS // 100


def is_iban(text: str) -> bool:
    """Return whether the check digits are right (ISO 13616: the number modulo 97 is 1)."""
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", text, re.ASCII):
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def item_id_of(batch_id: str, payee_id: str) -> str:
    """Return the id that a payee's payment of a batch always gets."""
    return hashlib.sha256(f"payout:{batch_id}:{payee_id}".encode()).hexdigest()[:32]


def plan_items(
    batch_id: str, currency: str, payables: Iterable[Payable]
) -> tuple[list[PayoutItem], list[tuple[str, str]]]:
    """Return the payments of a batch, and payee and reason of everybody who is owed something and not paid now.

    What is below the smallest unit that a bank pays, or below the minimum, stays owed and is paid with what follows.
    """
    items, left = [], []
    unit = minor_unit_micros(currency)
    for each in payables:
        available = each.balance_micros - each.held_micros
        amount_micros = available // unit * unit
        if each.balance_micros < 0:
            left.append((each.payee_id, f"{amount_text(each.balance_micros, currency)} is carried forward"))
        elif amount_micros <= 0 and each.held_micros:
            left.append((each.payee_id, f"{amount_text(each.held_micros, currency)} is on hold"))
        elif amount_micros < max(each.minimum_micros, unit):
            least = amount_text(max(each.minimum_micros, unit), currency)
            left.append((each.payee_id, f"{amount_text(available, currency)} is below the minimum of {least}"))
        elif each.account_version is None:
            left.append((each.payee_id, "has no bank account; import one with `billing bank-accounts`"))
        else:
            item_id = item_id_of(batch_id, each.payee_id)
            items.append(PayoutItem(item_id, batch_id, each.payee_id, each.account_version, amount_micros))
    return items, left


@dataclass(frozen=True)
class _Legs:
    """How often a payment's amount goes to the payee's balance, to clearing and to the bank (debit +, credit -)."""

    payable: int
    clearing: int
    bank: int
    undoes: str = ""


_LEGS = {
    "payout": _Legs(1, -1, 0),
    "payout_settled": _Legs(0, 1, -1),
    "payout_rejected": _Legs(-1, 1, 0, undoes="payout"),
    "payout_voided": _Legs(-1, 1, 0, undoes="payout"),
    "payout_returned": _Legs(-1, 0, 1, undoes="payout_settled"),
}


def payout_transaction(kind: str, item: PayoutItem, currency: str, effective_at: datetime) -> LedgerTransaction:
    """Return the transaction of one step of a payment; each step is posted at most once."""
    legs = _LEGS[kind]
    signs = {payable(item.payee_id): legs.payable, CLEARING: legs.clearing, BANK: legs.bank}
    return LedgerTransaction(
        idempotency_key=f"{kind}:{item.item_id}",
        inputs_hash=hashlib.sha256(f"{item.payee_id}:{item.amount_micros}:{currency}".encode()).hexdigest(),
        kind=kind,
        payee_id=item.payee_id,
        currency=currency,
        effective_at=effective_at,
        entries=tuple(Entry(account, sign * item.amount_micros) for account, sign in signs.items() if sign),
        reverses=transaction_id_of(f"{legs.undoes}:{item.item_id}") if legs.undoes else None,
    )


def expected_balances(state: str, amount_micros: int) -> dict[str, int]:
    """Return what the ledger should hold for a payment in a state, by account; `payable` stands for the payee's."""
    steps = {
        "instructed": ("payout",),
        SETTLED: ("payout", "payout_settled"),
        REJECTED: ("payout", "payout_rejected"),
        VOIDED: ("payout", "payout_voided"),
        RETURNED: ("payout", "payout_settled", "payout_returned"),
    }[state]
    legs = [_LEGS[kind] for kind in steps]
    return {
        "payable": sum(each.payable for each in legs) * amount_micros,
        CLEARING: sum(each.clearing for each in legs) * amount_micros,
        BANK: sum(each.bank for each in legs) * amount_micros,
    }


_KNOWN_OR_NEXT = frozenset(
    {("instructed", SETTLED), ("instructed", REJECTED), (SETTLED, RETURNED), (RETURNED, SETTLED)}
)
"""State of a payment and what the bank may say of it; a file that is older than the state says nothing new."""


def check_acknowledgements(
    acknowledgements: Sequence[Acknowledgement], known: Mapping[str, tuple[PayoutItem, str, str]]
) -> list[str]:
    """Return a sentence for every line that does not fit a payment; `known` has item, currency and state by id."""
    problems, seen = [], dict[str, str]()
    for each in acknowledgements:
        found = known.get(each.item_id)
        if found is None:
            problems.append(f"{each.place}: payment {each.item_id} was never instructed from these books")
            continue
        item, currency, state = found
        if (each.amount_micros, each.currency) != (item.amount_micros, currency):
            problems.append(
                f"{each.place}: payee {item.payee_id}, payment {each.item_id}: "
                f"the bank says {amount_text(each.amount_micros, each.currency)}, "
                f"the ledger {amount_text(item.amount_micros, currency)}"
            )
        elif seen.setdefault(each.item_id, each.outcome) != each.outcome:
            problems.append(f"{each.place}: payment {each.item_id} is also {seen[each.item_id]} in this file")
        elif state != each.outcome and (state, each.outcome) not in _KNOWN_OR_NEXT:
            problems.append(
                f"{each.place}: payee {item.payee_id}, payment {each.item_id} is {state} "
                f"and cannot become {each.outcome}"
            )
    return problems
