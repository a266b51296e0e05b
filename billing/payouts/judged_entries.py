"""Judge what the bank booked by the payments of the books. Pure.

The rows depend on the movements alone, not on the order or the number of the files that report them; except that a
credit takes back a second debit only if that debit is known, so files are imported in the order of the bank.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from billing.money import amount_text
from billing.payouts.account_entries import (
    FEE,
    NAMED,
    RETURNS,
    SETTLES,
    UNKNOWN,
    AccountEntry,
    BankEntry,
    EntryPart,
    mask,
)
from billing.payouts.answers import Known
from billing.payouts.payouts import REJECTED, RETURNED, SETTLED, VOIDED, PayoutItem


@dataclass
class JudgedReport:
    """The rows that are new, and what a person must know."""

    new: list[BankEntry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """A sentence for each movement that cannot be kept as it is: nothing of the file is."""
    differences: list[str] = field(default_factory=list)
    """A sentence for each movement in suspense that names a payment and does not fit it."""
    repeated_count: int = 0


def judge(iban: str, entries: Iterable[AccountEntry], known: Known, booked: Iterable[BankEntry]) -> JudgedReport:
    """Return what is new in a report; `booked` has at least the rows of its references and of its payments."""
    of_report = _Judge(iban, known, booked)
    for entry in sorted(entries, key=lambda each: each.amount_micros > 0):  # a return follows what it returns
        of_report.take(entry)
    return of_report.judged


class _Judge:
    def __init__(self, iban: str, known: Known, booked: Iterable[BankEntry]) -> None:
        self.judged = JudgedReport()
        self._iban = iban
        self._account = mask(iban)
        self._known = known
        self._of_item: dict[str | None, list[BankEntry]] = defaultdict(list)
        self._of_reference: dict[tuple[str, str, str], list[BankEntry]] = defaultdict(list)
        self._named: set[str] = set()
        for row in booked:
            self._keep(row)

    def take(self, entry: AccountEntry) -> None:
        """Add the rows of a movement, unless it is known."""
        entry = replace(entry, parts=self._of_batch(entry) or entry.parts)
        ids = list(self._ids(entry))
        before = [
            each
            for each in self._of_reference[self._account, entry.reference, entry.currency]
            if (each.amount_micros > 0) == (entry.amount_micros > 0) and each.purpose != NAMED
        ]
        days = {each.booked_on for each in before} - {entry.booked_on}
        if days:
            self.judged.problems.append(
                f"{entry.place}: the bank booked {entry.reference!r} before on {min(days)}, and now on "
                f"{entry.booked_on}; ask the bank which day is right, or for one reference for each movement"
            )
            return
        total = sum(each.amount_micros for each in before if each.entry_id not in self._named)
        names_nothing = entry.is_fee or not any(each.item_id in self._known for each in entry.parts)
        if {each.entry_id for each in before} >= set(ids) or (
            before and names_nothing and total == entry.amount_micros
        ):
            self.judged.repeated_count += 1
            return
        if before:
            (whole, *more) = before
            if more or whole.purpose != UNKNOWN or whole.item_id or whole.amount_micros != entry.amount_micros:
                self.judged.problems.append(
                    f"{entry.place}: the bank booked {entry.reference!r} before as "
                    f"{amount_text(total, entry.currency)} in {len(before)} parts, and now as "
                    f"{amount_text(entry.amount_micros, entry.currency)} in {len(ids)}; ask the bank which is right"
                )
                return
            named = self._row(entry, _id_of("named", whole.entry_id), -whole.amount_micros, purpose=NAMED)
            self._add(replace(named, named_id=whole.entry_id))
        for entry_id, part in zip(ids, entry.parts, strict=True):
            self._add(self._judged(entry, part, entry_id))

    def _add(self, row: BankEntry) -> None:
        self._keep(row)
        self.judged.new.append(row)

    def _keep(self, row: BankEntry) -> None:
        self._of_item[row.item_id].append(row)
        self._of_reference[row.account, row.reference, row.currency].append(row)
        if row.named_id is not None:
            self._named.add(row.named_id)

    def _row(
        self, entry: AccountEntry, entry_id: str, amount_micros: int, *, purpose: str, reason: str = ""
    ) -> BankEntry:
        of_entry = (self._account, entry.statement, entry.reference, entry.booked_on, entry.currency)
        return BankEntry(entry_id, *of_entry, amount_micros, 0, None, purpose, reason[:500])

    def _ids(self, entry: AccountEntry) -> Iterator[str]:
        """Yield an id for each part, which any other report of it gives it, too."""
        seen: dict[tuple[str, int], int] = {}
        for part in entry.parts:
            item_id = part.item_id if part.item_id in self._known and not entry.is_fee else ""
            number = seen[item_id, part.amount_micros] = seen.get((item_id, part.amount_micros), 0) + 1
            of_entry = (self._iban, entry.reference, entry.currency)
            yield _id_of(*of_entry, item_id, str(part.amount_micros), str(number))

    def _of_batch(self, entry: AccountEntry) -> tuple[EntryPart, ...]:
        """Return the payments of a movement that names a whole batch and none of its payments, if the sums agree."""
        of_batch = (entry.batch_id, entry.currency)
        if not _is_bare(entry.parts) or not entry.batch_id or entry.is_fee:
            return ()
        sign = 1 if entry.amount_micros > 0 else -1
        items = sorted(
            (item for item, currency, _ in self._known.values() if (item.batch_id, currency) == of_batch),
            key=lambda each: each.item_id,
        )
        sent = [each for each in items if self._state(each.item_id) not in (REJECTED, VOIDED)]
        debited = [each for each in sent if self._state(each.item_id) != "instructed"]
        for some in (sent,) if sign < 0 else (debited, sent):
            if some and sum(each.amount_micros for each in some) == abs(entry.amount_micros):
                reason = entry.parts[0].reason
                return tuple(EntryPart(each.item_id, sign * each.amount_micros, 0, reason) for each in some)
        return ()

    def _state(self, item_id: str) -> str:
        """Return the state of a payment after the movements that were judged so far."""
        (_, _, state) = self._known[item_id]
        purposes = {each.purpose for each in self._of_item[item_id]}
        if state == "instructed" and SETTLES in purposes:
            state = SETTLED
        return RETURNED if state == SETTLED and RETURNS in purposes else state

    def _judged(self, entry: AccountEntry, part: EntryPart, entry_id: str) -> BankEntry:
        found = self._known.get(part.item_id)
        purpose = FEE if entry.is_fee else UNKNOWN
        row = self._row(entry, entry_id, part.amount_micros, purpose=purpose, reason=part.reason)
        if found is None:
            batch = f"not the sum of batch {entry.batch_id[:40]!r}" if entry.batch_id else ""
            named = f"payment {part.item_id[:40]!r} is not of these books" if part.item_id else batch
            return replace(row, reason="; ".join(filter(None, (named, part.reason)))[:500])
        row = replace(row, item_id=part.item_id)
        if entry.is_fee:
            return row
        item, currency, _ = found
        charges = _charges_within(part, item) if currency == entry.currency else None
        if self._takes_back(entry, part, part.amount_micros):
            return replace(row, reason="; ".join(filter(None, ("a debit in suspense comes back", part.reason)))[:500])
        wrong = self._wrong(entry, part, charges)
        if wrong is None:
            purpose = SETTLES if part.amount_micros < 0 else RETURNS
            return replace(row, purpose=purpose, charges_micros=charges or 0)
        name = f"payment {item.item_id} of payee {item.payee_id} over {amount_text(item.amount_micros, currency)}"
        booked = amount_text(part.amount_micros, entry.currency)
        self.judged.differences.append(f"{entry.place}: {name} {wrong}, and the bank booked {booked}: in suspense")
        return replace(row, reason=f"the payment {wrong}"[:500])

    def _wrong(self, entry: AccountEntry, part: EntryPart, charges: int | None) -> str | None:
        """Return why a movement does not settle or return the payment that it names; None if it does.

        `charges` is what the bank kept of it; None if it is not of the payment's amount.
        """
        state = self._state(part.item_id)
        rows = [each for each in self._of_item[part.item_id] if each.purpose != FEE]
        purposes = {each.purpose for each in rows}
        if part.amount_micros < 0:
            if charges is None:
                return "is of another amount or currency"
            if SETTLES in purposes:
                return "was debited before"
            return None if state in ("instructed", SETTLED, RETURNED) else f"is {state}"
        if state == "instructed" and not any(each.amount_micros < 0 for each in rows):
            self.judged.problems.append(
                f"{entry.place}: payment {part.item_id} comes back, and no statement shows yet that it left; import "
                "the one that does, then this one again"
            )
            return "was not debited yet"
        if charges is None:
            return "is of another amount or currency"
        if self._takes_back(entry, part, part.amount_micros + charges):
            return "was debited twice and comes back less charges"
        if RETURNS in purposes:
            return "was returned before"
        return None if state in (SETTLED, RETURNED) else f"is {state}"

    def _takes_back(self, entry: AccountEntry, part: EntryPart, gross_micros: int) -> bool:
        """Return whether a credit takes back a debit of this amount in suspense: then the payment stays as it is."""
        waiting = [
            each.amount_micros
            for each in self._of_item[part.item_id]
            if (each.currency, each.purpose) == (entry.currency, UNKNOWN)
        ]
        is_open = waiting.count(-gross_micros) > waiting.count(gross_micros)
        return is_open and 0 < part.amount_micros <= -sum(waiting)


def _is_bare(parts: Sequence[EntryPart]) -> bool:
    return len(parts) == 1 and not parts[0].item_id


def _charges_within(part: EntryPart, item: PayoutItem) -> int | None:
    """Return how much of a movement the bank kept for itself; None if the movement is not of the payment's amount."""
    kept = (
        -item.amount_micros - part.amount_micros if part.amount_micros < 0 else item.amount_micros - part.amount_micros
    )
    return kept if kept in (0, part.charges_micros) else None


def _id_of(*parts: str) -> str:
    return hashlib.sha256("\n".join(("bank entry", *parts)).encode()).hexdigest()[:32]
