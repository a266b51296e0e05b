"""The page of a payee's earnings over HTTP, on fakes: every number with its origin, and what is there without any."""

import re
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from starlette.testclient import TestClient

from ingestion.contract.unavailable import Part
from serving_layer.money.todays_estimate import TodaysEstimate
from serving_layer.routes.examples import ESTIMATE
from tests.portal_fakes import ANNS, CORRECTED, SEPTEMBER, WAITING, FakePorts
from tests.unit.test_portal_pages import sign_in, signed_in

VOID = "7" * 32


@pytest.fixture
def ports() -> FakePorts:
    ports = FakePorts()
    ports.add_history()
    return ports


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    with signed_in(ports, "ann") as client:
        yield client


def rows_of(page: str, region: str) -> list[list[str]]:
    """The cells of a table's rows as text, without the spaces that align amounts."""
    table = page[page.index(f'aria-label="{region}"') :].partition("</table>")[0]
    cells = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.S)
    ]
    return [[re.sub(r"<[^>]+>|\u2007", "", cell).strip() for cell in row] for row in cells]


def micros(text: str) -> int:
    number = text.removesuffix(" USD").replace("\u2212", "-").replace(",", "")
    units, _, decimals = number.partition(".")
    sign = -1 if number.startswith("-") else 1
    return sign * (abs(int(units)) * 1_000_000 + int(decimals.ljust(6, "0")))


def test_the_causes_add_up_to_the_difference_and_each_leads_to_its_numbers(client: TestClient) -> None:
    page = client.get("/portal/earnings").text
    rows = rows_of(page, "Why it differs from the period before")
    assert rows[1] == ["Earned in 2026-09", "7,500", "22.50 USD"]
    assert rows[-1] == ["Earned in 2026-10", "9,000", "38.413333 USD"]
    assert [row[:2] for row in rows[2:6]] == [
        ["Events received", "+3,000"],
        ["Invalid traffic", "+500"],
        ["Counted and not billable", "\u22122,000"],
        ["Rates", ""],
    ]
    assert rows[-2][0] == "Corrections since"
    assert sum(micros(row[2]) for row in rows[2:-1]) == micros(rows[-1][2]) - micros(rows[1][2])
    for place in (f"{ANNS}#chain", f"{ANNS}#lines", CORRECTED, SEPTEMBER):
        assert f'href="/portal/statements/{place}"' in page
    for anchor in ("chain", "lines"):
        assert f'id="{anchor}"' in client.get(f"/portal/statements/{ANNS}").text


def test_an_estimate_is_labelled_as_what_it_is(client: TestClient) -> None:
    page = client.get("/portal/earnings").text
    tile = page[page.index("Estimate for 2026-11") :].partition("</dl>")[0]
    for words in ("so far, before tax", "12.345678 USD", "No money yet", "4,200", "10:30"):
        assert words in tile


def today_of(page: str) -> str:
    return re.sub(r"<[^>]+>", "", page[page.index('id="today"') :].partition("</p>")[0])


def test_today_is_shown_as_an_estimate_with_two_numbers(client: TestClient, ports: FakePorts) -> None:
    ports.todays["ann"] = msgspec.convert(ESTIMATE, TodaysEstimate)
    text = today_of(client.get("/portal/earnings").text)
    for words in ("Estimate for today, 2026-11-23 (UTC)", "at least 410 and at most 517 billable views", "no money",
                  "at least 0.82 EUR and at most 1.034 EUR"):  # fmt: skip
        assert words in text
    assert "days with views" not in text


@pytest.mark.parametrize(
    ("fields", "words", "never"),
    [
        ({"version": 0}, "nothing is settled yet", "at least"),
        ({"currency": None}, "no contract covers you", "EUR"),
        ({"billable_views_at_most": None, "earned_micros_at_most": None},
         "live views may be missing, or you have more than 1,000 videos", "1.034"),
        ({"checked_days": 3, "billable_views_at_least": 0}, "At least is 0 until 28 days", "410"),
    ],
)  # fmt: skip
def test_what_is_not_known_of_today_is_said(
    client: TestClient, ports: FakePorts, fields: dict[str, object], words: str, never: str
) -> None:
    ports.todays["ann"] = msgspec.structs.replace(msgspec.convert(ESTIMATE, TodaysEstimate), **fields)
    text = today_of(client.get("/portal/earnings").text)
    assert words in text
    assert never not in text


def test_a_payee_who_is_not_in_the_catalogue_has_no_today(client: TestClient) -> None:
    assert 'id="today"' not in client.get("/portal/earnings").text


def test_a_payment_is_shown_with_day_account_and_reference_and_the_balance_with_its_parts(client: TestClient) -> None:
    page = client.get("/portal/earnings").text
    assert rows_of(page, "Payouts")[1:] == [
        ["2026-11-27", "3.00 USD", "DE…3000", "sent to the bank", "e" * 32],
        ["2026-11-06", "26.442 USD", "DE…3000", "paid", "d" * 32],
        ["2026-10-05", "20.25 USD", "FR…0185", "came back, owed again", "c" * 32],
    ]
    assert "Next payout, 2026-11-27" in page
    assert "Last payout, 2026-11-06" in page
    rows = rows_of(page, "Balance in USD")
    assert rows[-1] == ["Balance", "25.38 USD"]
    assert sum(micros(row[1]) for row in rows[1:-1]) == 25_380_000
    assert "2.50 USD of it is on hold" in page


@pytest.mark.parametrize(
    ("payable_micros", "words"),
    [
        (34_572_000, "was paid out already; 8.13 USD more is owed, in your balance or in a payout that is on its way"),
        (20_000_000, "was paid out already, 6.442 USD too much; that is taken from what you are owed"),
        (26_442_000, "was paid out already; nothing more is owed"),
    ],
)
def test_a_correction_says_what_was_paid_and_what_is_owed(
    client: TestClient, ports: FakePorts, payable_micros: int, words: str
) -> None:
    ports.change(CORRECTED, payable_micros=payable_micros)
    assert words in client.get("/portal/earnings").text
    ports.recount(CORRECTED, "calculated", "approved", "finalised", "paid")
    page = client.get("/portal/earnings").text
    assert not [each for each in ("is owed,", "is payable in its place", "is taken from") if each in page]
    assert ("settled with a later payout" in page) == (payable_micros != 26_442_000)


def add_void_between(ports: FakePorts) -> None:
    """Let the corrected October be the second correction; the first one was declared void and never posted."""
    ports.rows = {CORRECTED: ports.rows[CORRECTED], VOID: ports.rows[CORRECTED]} | ports.rows
    ports.change(VOID, statement_id=VOID, earned_micros=99_000_000, payable_micros=88_000_000, posted_at=None)
    ports.recount(VOID, "calculated", "in_review", "voided")
    ports.change(CORRECTED, restatement_number=2, supersedes=VOID)


def test_what_was_void_was_never_replaced(client: TestClient, ports: FakePorts) -> None:
    add_void_between(ports)
    page = client.get("/portal/earnings").text
    assert "restatement 2</a> replaces a statement of 26.442 USD; 34.572 USD is payable in its place" in page
    assert "8.13 USD more is owed" in page
    assert "88" not in page[page.index("replaces a statement") :].partition("</div>")[0]
    assert rows_of(page, "Why it differs from the period before")[-2][2] == "+9.033333 USD"


@pytest.mark.parametrize("states", [("calculated", "held"), ("calculated", "in_review")])
def test_a_correction_that_is_not_in_the_ledger_is_none_yet(
    client: TestClient, ports: FakePorts, states: tuple[str, ...]
) -> None:
    ports.recount(CORRECTED, *states)
    page = client.get("/portal/earnings").text
    assert "in its place" not in page
    assert "Corrections since" not in page


def test_a_statement_that_replaced_one_that_was_never_posted_corrects_nothing(
    client: TestClient, ports: FakePorts
) -> None:
    ports.recount(ANNS, "calculated", "held", "superseded")
    page = client.get("/portal/earnings").text
    assert "in its place" not in page
    assert "Corrections since" not in page


def test_a_held_statement_does_not_read_payable(client: TestClient, ports: FakePorts) -> None:
    for each in (ANNS, CORRECTED):
        ports.recount(each, "calculated", "held")
    page = client.get("/portal/earnings").text
    tile = page[page.index("Last statement, 2026-10") :].partition("</dl>")[0]
    assert ("not payable yet" in tile, "payable after" in tile) == (True, False)
    ports.recount(ANNS, "calculated", "approved", "finalised")
    page = client.get("/portal/earnings").text
    assert ANNS in page[page.index("Last statement, 2026-10") :].partition("</dl>")[0], "the ledger's comes first"


def test_the_events_add_up_after_a_correction_of_the_views(client: TestClient, ports: FakePorts) -> None:
    ports.change(CORRECTED, billable_views=11_766)
    rows = rows_of(client.get("/portal/earnings").text, "Why it differs from the period before")
    assert rows[-2][:2] == ["Corrections since", "+2,766"]
    counted = [int(row[1].replace(",", "").replace("\u2212", "-")) for row in rows[1:] if row[1]]
    assert sum(counted[:-1]) == counted[-1]


def test_a_correction_of_what_was_never_paid_says_so(client: TestClient, ports: FakePorts) -> None:
    ports.recount(ANNS, "calculated", "approved", "finalised", "superseded")
    assert "was not paid out before" in client.get("/portal/earnings").text
    ports.recount(CORRECTED, "calculated", "approved", "finalised", "paid")
    assert "was not paid out before; the new one is paid" in client.get("/portal/earnings").text


def test_a_replaced_statement_and_its_successor_do_not_both_read_payable(client: TestClient) -> None:
    former, now = (client.get(f"/portal/statements/{each}").text for each in (ANNS, CORRECTED))
    assert ("Was payable, replaced since" in former, ">Payable</th>" in former) == (True, False)
    assert ("Was payable" in now, ">Payable</th>" in now) == (False, True)
    assert f'href="/portal/statements/{CORRECTED}"' in former
    assert f'href="/portal/statements/{ANNS}"' in now
    assert client.get("/portal/statements").text.count("<s>") == 1


def test_a_statement_that_was_replaced_before_it_was_posted_never_was_payable(
    client: TestClient, ports: FakePorts
) -> None:
    ports.rows[ANNS] = replace(ports.rows[ANNS], successor=None)
    ports.change(ANNS, posted_at=None)
    page = client.get(f"/portal/statements/{ANNS}").text
    assert ("Never payable, replaced" in page, "Was payable" in page) == (True, False)
    assert "The corrected statement" not in page
    ports.recount(ANNS, "calculated", "held")
    assert "Not payable yet, held" in client.get(f"/portal/statements/{ANNS}").text


def test_the_dashboard_strikes_what_is_not_owed_and_numbers_corrections(client: TestClient) -> None:
    page = client.get("/portal/dashboard").text
    assert page.count("<s>26.442 USD</s>") == 1
    assert f'/portal/statements/{CORRECTED}">2026-10 · restatement 1</a>' in page


def test_what_is_not_there_yet_says_what_will_be_there_and_when(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "bob")
    ports.rows = {each: whole for each, whole in ports.rows.items() if whole.detail.payee_id != "bob"}
    page = client.get("/portal/earnings").text
    for words in (
        "Each night an estimate",
        "The first statement appears here when",
        "appears here with your first",
        "No bank account of yours is in force",
        "appears here with your second statement",
        "No payout yet",
    ):
        assert words in page
    assert "USD" not in page


def test_nothing_of_a_statement_that_is_not_decided_is_shown(client: TestClient) -> None:
    assert WAITING not in client.get("/portal/earnings").text


def test_without_postgresql_the_page_says_so(client: TestClient, ports: FakePorts) -> None:
    """Nothing is said of an account, a payout or a statement that could not be read."""
    ports.away = {Part.POSTGRES}
    answer = client.get("/portal/earnings")
    assert (answer.status_code, "PostgreSQL does not answer" in answer.text) == (200, True)
    page = answer.text.partition('id="words"')[0]
    assert not [words for words in ("bank account", "No payout", "appears here", "Balance") if words in page]
