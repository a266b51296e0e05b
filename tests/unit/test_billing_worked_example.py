"""The worked example in docs/concepts/billing.md, computed again by the program from the figures on the page."""

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from billing.books.posting import CarryHead, post_statement
from billing.books.statements import PayeeState, plan_payee
from billing.money import amount_text
from billing.rating.attribution import Attribution
from billing.rating.preconditions import failed_preconditions
from billing.rating.rated_lines import PayeeBill
from billing.rating.rating import rate_period
from billing.rating.view_chain import view_chain
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.file_contracts import read_contracts
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from ingestion.contract.periods import Period
from ingestion.contract.version import DayRules
from tests.billing_fakes import OCTOBER, Count, FakeSettledViews, published, run_of
from tests.shipped_policies import POLICIES

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "billing.md").read_text()
CATALOGUE = Catalogue(
    (Payee("ann", "Ann", None, "FR"), Payee("ben", "Ben")),
    (Video("trailer"), Video("walk")),
    (
        whole_share("trailer", "ann"),
        OwnerShare("walk", SINCE_EVER, WITHOUT_END, "ann", 333_333),
        OwnerShare("walk", SINCE_EVER, WITHOUT_END, "ben", 666_667),
    ),
)
CARRIED_IN = 500_000_000


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table on the page whose heading row begins so."""
    rows = PAGE[PAGE.index(heading) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def bill_of_ann(folder: Path) -> PayeeBill:
    (folder / "rates.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    counts = [
        replace(
            Count(video, date.fromisoformat(day), None if country == "–" else country, int(views), int(billable)),
            others={"duplicate": int(duplicates)} if int(duplicates) else {},
            ads={"pre_roll": int(ads)} if int(ads) else {},
        )
        for video, day, country, duplicates, views, billable, ads in table("| video | event day |")
    ]
    attribution = Attribution(OCTOBER, CATALOGUE, read_contracts(folder / "rates.yaml", POLICIES))
    ann, ben = rate_period(FakeSettledViews(counts, published()).pieces(attribution), attribution)
    assert (ann.payee_id, ben.payee_id) == ("ann", "ben")
    return ann


def test_the_statement_on_the_page_is_what_the_program_computes(tmp_path: Path) -> None:
    bill = bill_of_ann(tmp_path)
    planned = plan_payee(run_of(), bill, PayeeState(carried_nanomicros=CARRIED_IN))
    assert planned is not None
    transaction = post_statement(planned.statement, CarryHead(1, CARRIED_IN))
    rows, carried = [], CARRIED_IN
    for settled in planned.lines:
        line = settled.line
        place = [line.video_id, line.kind, line.effective_from_on.isoformat(), line.country]
        slice_ = f"{line.event_start}–{line.event_end}"
        figures = [line.tier_index, slice_, line.quantity, line.rate_per_thousand_micros, line.share_ppm]
        figures += [line.owed_nanomicros, carried, settled.amount_micros, settled.carried_nanomicros]
        rows.append([*place, *map(str, figures)])
        carried = settled.carried_nanomicros
    assert rows == table("| video | what |")
    assert carried == planned.statement.carried_nanomicros_after
    entries = [[entry.account, str(entry.amount_micros)] for entry in transaction.entries]
    assert entries == table("| account | micros |")
    paid = planned.statement.earned_micros
    _, payable, tax = (abs(entry.amount_micros) for entry in transaction.entries)
    assert f"Lines {paid} = tax {tax} + payable {payable} micro-units = {amount_text(payable, 'USD')}." in PAGE
    owed = sum(line.owed_nanomicros for line in bill.lines)
    assert f"The check: {paid} × 10^9 + {carried} = {owed} + {CARRIED_IN}." in PAGE


def test_the_chain_on_the_page_is_what_the_program_computes(tmp_path: Path) -> None:
    links = view_chain(bill_of_ann(tmp_path).outcomes)
    assert [[link.name, str(link.events)] for link in links] == table("| what became of the events |")


def test_the_page_names_every_precondition_and_no_other() -> None:
    unjudged = {OCTOBER.start_on: DayRules(1, 1, traffic_policy_version=1)}
    early = published(settled_until=OCTOBER.start_at, rules=unjudged)
    billed = [OCTOBER, Period.parse("2026-10-20/2026-11-03")]
    failures = failed_preconditions(OCTOBER, early, ["x"], allowed_lateness=timedelta(), billed=billed)
    named = [name.strip("`") for name, _ in table("| name | it holds when |")]
    assert [failure.kind for failure in failures] == named


def test_the_page_names_every_key_of_a_card() -> None:
    schema = (Path(__file__).parents[2] / "billing" / "terms" / "contract_schema.json").read_text()
    for key, _ in table("| key of a card | meaning |"):
        assert f'"{key.strip("… `")}"' in schema, key
