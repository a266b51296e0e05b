"""Rate a period once for each cause of a change, so that every cause is shown with its effect. Pure."""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from billing.rating.rated_lines import PayeeBill

POLICY = "policy"
"""The cause "another counting policy judged the days since"."""
CATALOGUE = "catalogue"
CONTRACT = "contract"


def with_causes(rated: Sequence[tuple[str, Iterable[PayeeBill]]], currency: str) -> Iterator[PayeeBill]:
    """Yield the bills of the last rating, by payee id, each with the bills before it and the cause of each.

    `rated`: cause → the bills with it and all causes before it. A payee with a bill in any rating gets one of each:
    a payee who loses everything by the last cause gets a notice, too. One payee in memory at a time.
    """
    causes = [cause for cause, _ in rated]
    every = heapq.merge(*(_numbered(index, bills) for index, (_, bills) in enumerate(rated)), key=lambda each: each[:2])
    for payee_id, of_payee in itertools.groupby(every, key=lambda each: each[0]):
        found = {index: bill for _, index, bill in of_payee}
        before: PayeeBill | None = None
        for index, cause in enumerate(causes):
            bill = found.get(index) or PayeeBill(payee_id, currency, ())
            before = replace(bill, cause=cause, before=before)
        if before is not None:
            yield before


def _numbered(index: int, bills: Iterable[PayeeBill]) -> Iterator[tuple[str, int, PayeeBill]]:
    return ((bill.payee_id, index, bill) for bill in bills)
