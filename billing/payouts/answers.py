"""Compare a bank's answers about payouts with the ledger. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from billing.money import amount_text
from billing.payouts.payouts import EXECUTED, REJECTED, RETURNED, SETTLED, PayoutItem
from ingestion.contract.printable import counted


@dataclass(frozen=True)
class Acknowledgement:
    """The bank's answer about one payment; None where a status report does not repeat an optional part."""

    item_id: str
    outcome: str
    amount_micros: int | None
    """None where the bank does not repeat it: an optional part of a status report."""
    currency: str
    reason: str
    place: str
    """The place in the file, for messages."""
    batch_id: str = ""
    """The batch that the bank names with it, if any."""


@dataclass(frozen=True)
class BatchAcknowledgement:
    """The bank's answer about a whole batch, which applies to each of its payments."""

    batch_id: str
    outcome: str
    reason: str
    place: str
    payment_count: int | None = None
    amount_micros: int | None = None
    """Count and sum in the bank's answer; None if it does not repeat them."""


@dataclass(frozen=True)
class Answer:
    """The answers in one file of the bank, in its order."""

    payments: tuple[Acknowledgement, ...] = ()
    batches: tuple[BatchAcknowledgement, ...] = ()
    on_their_way: tuple[str, ...] = ()
    """A sentence for each status that is not final and so has no effect yet."""


Known = Mapping[str, tuple[PayoutItem, str, str]]
"""Payment → itself, its currency and its state."""

_KNOWN_OR_NEXT = frozenset(
    {("instructed", SETTLED), ("instructed", REJECTED), (SETTLED, RETURNED), (RETURNED, SETTLED)}
    | {("instructed", EXECUTED), (SETTLED, EXECUTED), (RETURNED, EXECUTED)}
)
"""State of a payment and the outcomes that the bank may report; an outcome older than the state has no effect."""


def of_each_payment(answer: Answer, known: Known) -> tuple[list[Acknowledgement], list[str]]:
    """Return the answer for every single payment, and a sentence for each batch that does not match the ledger.

    The answer about a payment itself is kept beside the one about its batch, so that contradictions are found.
    """
    found, problems = list(answer.payments), []
    by_itself = {(each.item_id, each.outcome) for each in answer.payments}
    for batch in answer.batches:
        items = [(item, currency) for item, currency, _ in known.values() if item.batch_id == batch.batch_id]
        problems += _batch_problems(batch, items)
        found += [
            Acknowledgement(item.item_id, batch.outcome, None, currency, batch.reason, batch.place, batch.batch_id)
            for item, currency in items
            if (item.item_id, batch.outcome) not in by_itself
        ]
    return found, problems


def _batch_problems(batch: BatchAcknowledgement, items: Sequence[tuple[PayoutItem, str]]) -> list[str]:
    if not items:
        return [f"{batch.place}: batch {batch.batch_id[:40]!r} was never made from these books"]
    problems, currency = [], items[0][1]
    if batch.payment_count not in (None, len(items)):
        problems.append(
            f"{batch.place}: the bank says {counted(batch.payment_count, 'payment')}, and batch "
            f"{batch.batch_id} has {len(items)}"
        )
    total_micros = sum(item.amount_micros for item, _ in items)
    if batch.amount_micros not in (None, total_micros):
        problems.append(
            f"{batch.place}: the bank says {amount_text(batch.amount_micros or 0, currency)}, "
            f"and batch {batch.batch_id} is {amount_text(total_micros, currency)}"
        )
    return problems


def check_acknowledgements(acknowledgements: Sequence[Acknowledgement], known: Known) -> list[str]:
    """Return a sentence for every line that does not match a payment."""
    problems, seen = [], dict[str, str]()
    for each in acknowledgements:
        found = known.get(each.item_id)
        if found is None:
            problems.append(f"{each.place}: payment {each.item_id[:40]!r} was never instructed from these books")
            continue
        item, currency, state = found
        of_payee = f"{each.place}: payee {item.payee_id}, payment {each.item_id}"
        if each.batch_id not in ("", item.batch_id):
            problems.append(f"{of_payee} is of batch {item.batch_id}, and the bank names {each.batch_id[:40]!r}")
        elif each.amount_micros is not None and (each.amount_micros, each.currency) != (item.amount_micros, currency):
            problems.append(
                f"{of_payee}: the bank says {amount_text(each.amount_micros, each.currency)}, "
                f"the ledger {amount_text(item.amount_micros, currency)}"
            )
        elif seen.setdefault(each.item_id, each.outcome) != each.outcome:
            problems.append(f"{each.place}: payment {each.item_id} is also {seen[each.item_id]} in this file")
        elif state != each.outcome and (state, each.outcome) not in _KNOWN_OR_NEXT:
            problems.append(f"{of_payee} is {state} and cannot become {each.outcome}")
    return problems
