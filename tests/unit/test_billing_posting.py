"""Statements become transactions: read as an accountant reads a ledger."""

from dataclasses import replace

import pytest

from billing.books.bounds import Bounds, PastStatement, amount_out_of_bounds
from billing.books.posting import CarryHead, Finalising, finalise, post_statement
from billing.books.statements import PayeeState, Planned, Statement, plan_payee
from billing.rating.rated_lines import PayeeBill
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, line, run_of

# Σ (views × rate × share) + carried in = Σ amount × 10^9 + carried on, in nano-micros; here the share is the whole.
# The debit goes to expense:creator-revenue, the credit to payable:ann.
LEDGER = """
views x rate per 1000    | carried in | amounts             |               debit |               credit | carried on
1000x2500000             |          0 | 2500000             |             2500000 |             -2500000 |          0
1x2500000                |          0 | 2500                |                2500 |                -2500 |          0
1x1                      |          0 | 0                   |                   0 |                    0 |    1000000
1x1                      |  999000000 | 1                   |                   1 |                   -1 |          0
1x1                      |  998999999 | 0                   |                   0 |                    0 |  999999999
333x1001                 |  667000000 | 334                 |                 334 |                 -334 |          0
1x999, 1x999, 1x999      |          0 | 0, 1, 1             |                   2 |                   -2 |  997000000
7x1234567, 3x3500001     |  500000000 | 8642, 10500         |               19142 |               -19142 |  472000000
5x0                      |         12 | 0                   |                   0 |                    0 |         12
1000000000x1000000000000 |          1 | 1000000000000000000 | 1000000000000000000 | -1000000000000000000 |          1
"""
ROWS = [[cell.strip() for cell in row.split("|")] for row in LEDGER.strip().splitlines()[1:]]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_bill_becomes_this_transaction(row: list[str]) -> None:
    sold, carried_in, amounts, debit, credit, carried_on = row
    pairs = [tuple(map(int, each.split("x"))) for each in sold.split(",")]
    lines = [line(f"video-{index}", views, rate) for index, (views, rate) in enumerate(pairs)]
    planned = plan(bill("ann", *lines), PayeeState(carried_nanomicros=int(carried_in)))
    assert [settled.amount_micros for settled in planned.lines] == [int(each) for each in amounts.split(",")]
    transaction = post_statement(planned.statement, CarryHead(4, int(carried_in)))
    entries = {entry.account: entry.amount_micros for entry in transaction.entries}
    assert entries == {"expense:creator-revenue": int(debit), "payable:ann": int(credit)}
    assert transaction.chained is not None
    assert (transaction.chained.payee_sequence, transaction.chained.remainder_micros) == (5, 0)
    assert transaction.chained.carried_nanomicros_after == int(carried_on)
    assert transaction.effective_at == OCTOBER.end_at


def plan(of: PayeeBill, held: PayeeState | None = None, **changes: object) -> Planned:
    planned = plan_payee(run_of(**changes), of, held or PayeeState())
    assert planned is not None
    return planned


def statement(before: int, after: int, *, payable: int, tax: int = 0) -> Statement:
    """A statement whose lines began with one remainder and ended with another."""
    whole = plan(bill("ann")).statement
    return replace(
        whole,
        carried_nanomicros_before=before,
        carried_nanomicros_after=after,
        payable_micros=payable,
        tax_micros=tax,
        tax_country="FR",
    )


# What the lines say, what the chain of the payee carries when it is posted, and what follows; nano-micros in millions.
# `replaces` is the statement that is reversed first: its remainder before and after, what it paid and withheld.
CHAINS = """
before > after | payable + tax | replaces       | head | expense, payable, tax of each transaction | remainders | carry
  0 > 333      |    1 + 0      |                |    0 |  1, -1                                    |  0         |  333
  0 > 333      |    1 + 0      |                |  666 |  1, -1                                    |  0         |  999
  0 > 333      |    1 + 0      |                |  667 |  2, -2                                    |  1         |    0
500 > 400      |    7 + 3      |                |  500 | 10, -7, -3                                |  0         |  400
500 > 400      |    7 + 3      |                |   99 |  9, -6, -3                                | -1         |  999
  0 > 999      |    3 + 0      | 0 > 333, 1 + 0 |  333 | -1, 1; 3, -3                              | 0, 0       |  999
  0 > 999      |    3 + 0      | 0 > 333, 1 + 0 |  200 | -2, 2; 4, -4                              | -1, 1      |  866
  0 > 0        |    0 + 0      | 0 > 333, 1 + 1 |  333 | -2, 1, 1; 0, 0                            | 0, 0       |    0
"""
CHAIN_ROWS = [[cell.strip() for cell in row.split("|")] for row in CHAINS.strip().splitlines()[1:]]


def statement_from(remainders: str, paid: str) -> Statement:
    before, after = (int(each) * 10**6 for each in remainders.split(">"))
    payable, tax = (int(each) for each in paid.split("+"))
    return statement(before, after, payable=payable, tax=tax)


@pytest.mark.parametrize("row", CHAIN_ROWS, ids=[f"{row[0]}, head {row[3]}, {row[2]}" for row in CHAIN_ROWS])
def test_a_statement_and_what_it_replaces_are_posted_so(row: list[str]) -> None:
    remainders, paid, replaces, head, legs, expected_remainders, carry = row
    replaced = statement_from(*replaces.split(",")) if replaces else None
    transactions = finalise(
        Finalising(statement_from(remainders, paid), CarryHead(7, int(head) * 10**6), replaced=replaced)
    )
    assert [[entry.amount_micros for entry in each.entries] for each in transactions] == [
        [int(leg) for leg in each.split(",")] for each in legs.split(";")
    ]
    chains = [each.chained for each in transactions if each.chained]
    assert [each.remainder_micros for each in chains] == [int(each) for each in expected_remainders.split(",")]
    assert chains[-1].carried_nanomicros_after == int(carry) * 10**6
    assert [each.kind for each in transactions] == (["reversal"] if replaces else []) + ["statement"]
    assert transactions[0].reverses == (transactions[-1].transaction_id if replaces else None)


def test_the_same_inputs_again_are_the_same_statement() -> None:
    first = plan(bill("ann")).statement
    again = plan(bill("ann"), PayeeState(first, "finalised", first, 1), batch_version=9)
    assert (again.is_new, again.is_changed, again.statement) == (False, False, first)


@pytest.mark.parametrize(
    "changed",
    [
        line(views=1001),
        line(rate=2_500_001),
        line(country="US"),
        line(video_id="video-b"),
        replace(line(), evidence_root="0" * 64),
    ],
    ids=["views", "rate", "country", "video", "as many other events"],
)
def test_other_inputs_of_a_posted_statement_change_nothing(changed: object) -> None:
    first = plan(bill("ann")).statement
    now = plan(bill("ann", changed), PayeeState(first, "paid", first, 1))  # type: ignore[arg-type]
    assert (now.is_new, now.is_changed, now.statement) == (False, True, first)


def test_a_payee_whose_views_vanished_is_changed_too() -> None:
    first = plan(bill("ann")).statement
    assert plan(PayeeBill("ann", "USD", ()), PayeeState(first, "finalised", first, 1)).is_changed


def test_a_payee_without_views_now_and_before_has_no_statement() -> None:
    gone = PayeeState(past=(PastStatement("2026-09", 0, 0), PastStatement("2026-08", 5, 5)))
    assert plan_payee(run_of(), PayeeBill("ann", "USD", ()), gone) is None


def test_the_run_id_follows_from_period_versions_and_restatement_number_alone() -> None:
    ids = {
        run_of().run_id,
        run_of(NOVEMBER).run_id,
        run_of(batch_version=4).run_id,
        run_of(catalogue_version=4).run_id,
        run_of(contract_version=4).run_id,
        run_of(restatement_number=1).run_id,
    }
    assert len(ids) == 6
    assert run_of(unknown_views=5, actor="max", approval_limit_micros=1).run_id == run_of().run_id
    assert run_of().run_id == "7c6381724ce8c6801eb9b40348c3db0e"


def test_a_bill_has_its_lines_in_order_each_once() -> None:
    with pytest.raises(ValueError, match="each once and in order"):
        bill("ann", line(), line())


# Amount and the amounts of the periods before, newest first, in currency units; with a change of 10 times at most.
BOUNDS = """
amount | before             | out of bounds
  1000 |                    | no
  5000 | 100 100            | no
  1000 | 100 100 100        | no
  1001 | 100 100 100        | yes
    10 | 100 100 100        | no
     9 | 101 101 101        | yes
     0 | 101 101 101        | yes
    99 | 1 1 1              | no
   101 | 1 1 1              | yes
   700 | 1 100 70 70 70 1 9000 9000 9000 | no
"""
BOUND_ROWS = [[cell.strip() for cell in row.split("|")] for row in BOUNDS.strip().splitlines()[1:]]


@pytest.mark.parametrize(("amount", "before", "out"), BOUND_ROWS)
def test_a_change_against_the_median_of_the_past_is_out_of_bounds(amount: str, before: str, out: str) -> None:
    past = [int(each) * 10**6 for each in before.split()]
    assert bool(amount_out_of_bounds(Bounds(), "x", int(amount) * 10**6, past, "USD")) == (out == "yes")


def test_a_run_that_was_killed_and_recalculated_from_other_counts_needs_no_approval() -> None:
    left = plan(bill("ann")).statement
    now = plan(bill("ann", line(views=999)), PayeeState(left, "calculated", None, 1))
    assert (now.state, now.replaced) == ("calculated", left)


def test_a_change_is_told_cause_by_cause_and_the_causes_add_up() -> None:
    billed = plan(bill("ann", line(views=1000))).statement
    counted = bill("ann", line(views=1200))
    moved = replace(bill("ann", line("other", views=300)), cause="catalogue", before=counted)
    now = replace(bill("ann", line("other", views=300, rate=5_000_000)), cause="contract", before=moved)
    held = PayeeState(billed, "finalised", billed, 1)
    restated = plan(now, held, restatement_number=1, cause="all at once").statement
    assert restated.causes == {"events": 500_000, "catalogue": -2_250_000, "contract": 750_000}
    assert sum(restated.causes.values()) == restated.earned_micros - billed.earned_micros
