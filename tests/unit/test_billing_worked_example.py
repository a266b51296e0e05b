"""The worked example in docs/billing.md, computed again by the program from the figures on the page."""

import re
from datetime import date
from pathlib import Path

from billing.file_rate_cards import read_rate_contract
from billing.money import amount_text
from billing.posting import CarryHead, post_statement
from billing.preconditions import Waivable
from billing.rating import evidence_roots, make_bills, rate_views
from billing.statements import PayeeState, plan_payee
from tests.billing_fakes import Count, catalogue_of, events_of, run_of

PAGE = (Path(__file__).parents[2] / "docs" / "billing.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table on the page whose heading row begins so."""
    rows = PAGE[PAGE.index(heading) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_bill_on_the_page_is_what_the_program_computes(tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    contract = read_rate_contract(tmp_path / "rates.yaml")
    counts = [
        Count(video, date.fromisoformat(day), None if country == "–" else country, int(views), int(billable))
        for video, day, country, views, billable in table("| video | event day |")
    ]
    catalogue = catalogue_of(trailer="ann", walk="ann")
    rated = rate_views(counts, catalogue, contract)
    evidence = evidence_roots(events_of(counts), contract, rated.policy_by_day)
    (bill,) = make_bills(rated, evidence, catalogue, contract.currency)
    planned = plan_payee(run_of(), bill, PayeeState(carried_nanomicros=500_000_000))
    assert planned is not None
    transaction = post_statement(planned.statement, CarryHead(1, 500_000_000))

    rows, carried = [], 500_000_000
    for settled in planned.lines:
        line, carried_in = settled.line, carried
        carried = line.owed_nanomicros + carried_in - 10**9 * settled.amount_micros
        figures = [line.quantity, line.rate_per_thousand_micros, line.owed_nanomicros, carried_in]
        figures += [settled.amount_micros, carried]
        rows.append([line.video_id, line.effective_from_on.isoformat(), line.country, *map(str, figures)])
    assert rows == table("| video | rates from |")
    assert carried == planned.statement.carried_nanomicros_after
    entries = [[entry.account, str(entry.amount_micros)] for entry in transaction.entries]
    assert entries == table("| account | micros |")
    paid = planned.statement.earned_micros
    assert f"Paid {paid} micro-units = {amount_text(paid, 'USD')}." in PAGE
    owed = sum(line.owed_nanomicros for line in bill.lines)
    assert f"The check: {paid} × 10^9 + {carried} = {owed} + 500000000." in PAGE


def test_the_page_names_every_precondition_and_which_can_be_waived() -> None:
    rows = table("| name | it holds when |")
    assert {name.strip("`") for name, _, waivable in rows if waivable == "yes"} == set(Waivable)
    assert {name.strip("`") for name, _, waivable in rows if waivable == "no"} == {"settled", "rate"}
