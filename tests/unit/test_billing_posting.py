"""Bills become transactions: read as an accountant reads a ledger."""

from dataclasses import replace

import pytest

from billing.errors import PostingConflictError
from billing.posting import CarryHead, LedgerState, PostedBefore, compose, plan_posting
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
    transaction = compose(run_of(), bill("ann", *lines), CarryHead(4, int(carried_in)))
    assert [settled.amount_micros for settled in transaction.lines] == [int(each) for each in amounts.split(",")]
    entries = {entry.account: entry.amount_micros for entry in transaction.entries}
    assert entries == {"expense:creator-revenue": int(debit), "payable:ann": int(credit)}
    assert transaction.carried_nanomicros_after == int(carried_on)
    assert transaction.payee_sequence == 5
    assert transaction.effective_at == OCTOBER.end_at


def before(payee_id: str, inputs_hash: str) -> PostedBefore:
    return PostedBefore("t", "r", payee_id, "USD", inputs_hash, 2_500_000, 0)


def test_the_same_inputs_again_are_a_replay() -> None:
    ann = bill("ann")
    state = LedgerState([before("ann", ann.inputs_hash(OCTOBER))], [], {})
    result = plan_posting(run_of(), [ann], state)
    assert (result.posted, len(result.replayed), result.amount_micros) == ((), 1, 2_500_000)


def test_a_newer_batch_version_that_changes_nothing_is_a_replay_too() -> None:
    state = LedgerState([before("ann", bill("ann").inputs_hash(OCTOBER))], [], {})
    assert plan_posting(run_of(batch_version=9), [bill("ann")], state).posted == ()


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
def test_other_inputs_under_the_same_key_are_a_conflict_that_names_payee_period_and_remedy(changed: object) -> None:
    state = LedgerState([before("ann", bill("ann").inputs_hash(OCTOBER))], [], {})
    with pytest.raises(PostingConflictError) as caught:
        plan_posting(run_of(), [bill("ann", changed), bill("bob")], state)  # type: ignore[arg-type]
    assert caught.value.conflicts == (
        "payee ann was billed 2.500000 USD for period 2026-10-01/2026-11-01 in run r and now has other views or rates; "
        "a posted bill is never changed: it needs a restatement",
    )


def test_a_payee_whose_views_vanished_is_a_conflict() -> None:
    state = LedgerState([before("ann", bill("ann").inputs_hash(OCTOBER))], [], {})
    with pytest.raises(PostingConflictError, match=r"payee ann .* has no billable views in it now"):
        plan_posting(run_of(), [bill("bob")], state)


def test_a_period_that_shares_days_with_a_billed_one_is_a_conflict() -> None:
    with pytest.raises(PostingConflictError, match="would be paid twice"):
        plan_posting(run_of(), [bill("ann")], LedgerState([], [NOVEMBER], {}))


def test_the_run_id_follows_from_period_versions_and_waivers_alone() -> None:
    ids = {
        run_of().run_id,
        run_of(NOVEMBER).run_id,
        run_of(batch_version=4).run_id,
        run_of(catalogue_version=4).run_id,
        run_of(contract_version=4).run_id,
        run_of(waived={"conflict": "ann"}).run_id,
    }
    assert len(ids) == 6
    assert run_of(unattributed_views=5).run_id == run_of().run_id
    assert run_of().run_id == "21156194c23b7e976b1a193f839808e1"


def test_a_bill_needs_lines_in_order_each_once() -> None:
    with pytest.raises(ValueError, match="each once and in order"):
        bill("ann", line(), line())
