"""The part of a payee's balance that is sent to the bank, and the ledger transactions on its way. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from billing.books.posting import BANK, CLEARING, Entry, LedgerTransaction, payable, transaction_id_of
from billing.money import amount_text, minor_unit_micros
from billing.payouts.bank_data import BankAccount, account_problems, is_in_sepa

SEPA = "EUR"
"""The currency of SEPA transfers."""
SEPA_AMOUNT_MAX_MICROS = 999_999_999_990_000
"""The most that one SEPA transfer carries: 999,999,999.99 EUR (EPC115-06)."""

SETTLED, REJECTED, RETURNED = "settled", "rejected", "returned"
OUTCOMES = (SETTLED, REJECTED, RETURNED)
"""The possible outcomes of a payment at the bank: done, not done, or done and sent back."""
EXECUTED = "executed"
"""The bank says that it has executed the payment. It moves nothing: the account does not show it yet."""
VOIDED = "voided"
"""State of a payment whose batch was voided before its file was written."""
UNSENT = "unsent"
"""The state name of a payment whose file was never written: no bank can have answered."""


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
        """Return the sum of its items."""
        return sum(item.amount_micros for item in self.items)


@dataclass(frozen=True)
class Payable:
    """The amount that a payee could be paid, and the obstacles."""

    payee_id: str
    balance_micros: int
    """Owed: positive; a negative balance is carried forward."""
    held_micros: int
    minimum_micros: int
    account: BankAccount | None
    """The newest; None without one."""
    account_version: int = 0


def item_id_of(batch_id: str, payee_id: str) -> str:
    """Return the id of a payee's payment in a batch, derived from both."""
    return hashlib.sha256(f"payout:{batch_id}:{payee_id}".encode()).hexdigest()[:32]


def plan_items(
    batch_id: str, currency: str, payables: Iterable[Payable], *, by_sepa: bool = False
) -> tuple[list[PayoutItem], list[tuple[str, str]]]:
    """Return the payments of a batch, and payee and reason of every creditor who is not paid now.

    An amount below the smallest unit that a bank pays, or below the minimum, stays owed and is paid with later ones.
    An account that no bank accepts excludes only its own payee; so does, with `by_sepa`, one that SEPA does not reach.
    """
    items, left = [], []
    unit = minor_unit_micros(currency)
    for each in payables:
        amount_micros = (each.balance_micros - each.held_micros) // unit * unit
        reason = _amount_problem(each, amount_micros, currency) or _account_problem(each, amount_micros, by_sepa)
        if reason:
            left.append((each.payee_id, reason))
        else:
            item_id = item_id_of(batch_id, each.payee_id)
            items.append(PayoutItem(item_id, batch_id, each.payee_id, each.account_version, amount_micros))
    return items, left


def _amount_problem(each: Payable, amount_micros: int, currency: str) -> str | None:
    if each.balance_micros < 0:
        return f"{amount_text(each.balance_micros, currency)} is carried forward"
    if amount_micros <= 0 and each.held_micros:
        return f"{amount_text(each.held_micros, currency)} is on hold"
    minimum_micros = max(each.minimum_micros, minor_unit_micros(currency))
    if amount_micros < minimum_micros:
        available = amount_text(each.balance_micros - each.held_micros, currency)
        return f"{available} is below the minimum of {amount_text(minimum_micros, currency)}"
    return None


def _account_problem(each: Payable, amount_micros: int, by_sepa: bool) -> str | None:
    if each.account is None:
        return "has no bank account in force; import one with `billing bank-accounts import`, another approves it"
    if problems := account_problems(each.account):
        reasons = "; ".join(f"{column}: {problem}" for column, problem in problems.items())
        return (
            f"has a bank account (version {each.account_version}) that no bank accepts: {reasons}; "
            "import the right one with `billing bank-accounts import`"
        )
    if by_sepa and not is_in_sepa(each.account.iban):
        country = each.account.iban[:2]
        return f"has a bank account in {country}, which SEPA does not reach; pay it in another currency"
    if by_sepa and amount_micros > SEPA_AMOUNT_MAX_MICROS:
        most = amount_text(SEPA_AMOUNT_MAX_MICROS, SEPA)
        return f"is owed more than one SEPA transfer carries ({most}); put the rest on hold and pay it with another"
    return None


@dataclass(frozen=True)
class _Legs:
    """The factors of a payment's amount on the payee's balance, on clearing and on the bank (debit +, credit -)."""

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
    """Return the ledger's expected sums for a payment in a state, by account; `payable` means the payee's account."""
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
