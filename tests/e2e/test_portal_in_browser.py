"""The stories of a creator and of an operator in a real browser, wide and narrow, with accessibility checks."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from jobs.wiring.access import issuer_at, sign_in_at
from jobs.wiring.oidc_settings import OidcSettings
from serving_layer.access.identification import Access
from serving_layer.access.jwt_tokens import TokenVerifier
from serving_layer.portal.http_visit import Portal
from tests.browser import ARGUMENTS, CHROMIUM, needs_chromium
from tests.oidc_provider import CLIENT_ID, FakeProvider, running_provider
from tests.portal_browser import SIZES, looked_at, served
from tests.portal_fakes import EVENT, FakePorts, fake_portal
from tests.serving_access import FakeKeys

pytestmark = needs_chromium
expect.set_options(timeout=30_000)  # milliseconds; a busy machine draws a page slowly


@pytest.fixture
def address() -> Iterator[str]:
    with served(lambda _: fake_portal(FakePorts(), live_seconds=60.0)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["wide", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    scheme = "dark" if request.param == "phone" else "light"
    context = browser.new_context(
        base_url=address, viewport=SIZES[request.param], color_scheme=scheme, timezone_id="Asia/Kolkata", locale="en-GB"
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def sign_in(page: Page, who: str) -> None:
    page.goto("/portal")
    looked_at(page, "sign-in", "Sign in")
    page.get_by_label("Token or API key").fill(who)
    page.get_by_role("button", name="Sign in").click()


def test_a_creator_goes_from_signing_in_to_the_download(page: Page) -> None:
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Ann Ápple")).to_be_visible()
    expect(page.locator(".chart canvas")).to_have_count(3)
    expect(page.locator('[data-field="views"]')).not_to_have_text("72,400")
    expect(page.locator('[data-field="settled_views"]')).to_have_text("72,000")
    expect(page.locator(".u-legend .u-value")).not_to_have_text(["–"] * 7)
    legend = page.locator(".u-legend .u-value").all_text_contents()
    assert len(legend) == 7, "day and two lines of views; day and one line of watch time; day and one line of viewers"
    assert all(re.fullmatch(r"[\d,-]+", each) for each in legend[:4]), legend
    assert re.fullmatch(r"\d+:\d\d:\d\d", legend[4]), legend
    looked_at(page, "dashboard", "Ann Ápple")
    page.get_by_label("Days").select_option("last 7 days")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="In the last 7 days")).to_be_visible()

    page.get_by_role("link", name="Videos", exact=True).click()
    page.get_by_label("Title or id").fill("_01")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("_01"))
    looked_at(page, "videos", "Videos")
    page.get_by_role("link", name="A walk <b>by the sea</b>").click()
    expect(page.get_by_text("-walk_01")).to_be_visible()
    expect(page.get_by_text("40", exact=True)).to_be_visible()
    looked_at(page, "video", "A walk <b>by the sea</b>")

    page.get_by_label("Event id").fill(EVENT)
    page.get_by_role("button", name="Look it up").click()
    expect(page.get_by_text("shorter than the minimum").first).to_be_visible()
    looked_at(page, "event", "Why is this not counted?")

    page.get_by_role("link", name="Invalid traffic").click()
    by_class = page.get_by_role("region", name="Invalid traffic by class")
    expect(by_class.get_by_role("row", name="robot")).to_contain_text("1,234")
    expect(by_class.get_by_role("row", name="origin")).to_contain_text("0")
    looked_at(page, "invalid", "Invalid traffic")
    page.get_by_role("link", name="Appeal: unnatural of 2026-11-18").click()
    looked_at(page, "invalid-appeal", "Appeal: unnatural, 2026-11-18")
    page.get_by_label("Why are they real?").fill("a school class")
    page.get_by_role("button", name="Appeal").click()
    expect(page.get_by_role("status")).to_contain_text("Your appeal is recorded")
    expect(page.get_by_role("row", name="a school class")).to_contain_text("received")
    looked_at(page, "invalid-appealed", "Invalid traffic")
    by_class.get_by_role("row", name="robot").get_by_role("link").first.click()
    expect(page.get_by_text("shorter than the minimum").first).to_be_visible()

    page.get_by_role("link", name="Statements").click()
    looked_at(page, "statements", "Statements")
    page.get_by_role("row", name="finalised").get_by_role("link").click()
    expect(page.get_by_role("row", name="Payable 26.442 USD")).to_be_visible()
    expect(page.get_by_text("16:00 GMT+5:30").first).to_be_visible()
    looked_at(page, "statement", "Statement")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert "amount_micros" in download.value.path().read_text()

    page.get_by_label("What is wrong?").fill("two videos are missing")
    page.get_by_role("button", name="Appeal").click()
    expect(page.get_by_role("status")).to_contain_text("Your appeal is recorded")
    looked_at(page, "notices", "Notices and appeals")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def with_history() -> Portal:
    ports = FakePorts()
    ports.add_history()
    return fake_portal(ports)


@pytest.mark.parametrize("with_script", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_creator_sees_what_is_earned_and_paid_and_follows_a_number_to_its_origin(
    browser: Browser, size: str, scheme: Literal["light", "dark"], with_script: bool
) -> None:
    with served(lambda _: with_history()) as address:
        context = browser.new_context(
            base_url=address, viewport=SIZES[size], color_scheme=scheme, java_script_enabled=with_script
        )
        page = context.new_page()
        page.goto("/portal")
        page.get_by_label("Token or API key").fill("ann")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Earnings").click()
        expect(page.get_by_text("No money yet")).to_be_visible()
        if with_script:
            looked_at(page, f"earnings-{scheme}", "Earnings")
        expect(page.get_by_role("row", name="Rates")).to_contain_text("+")
        page.get_by_role("link", name="Rates").click()
        expect(page).to_have_url(re.compile("#lines$"))
        expect(page.get_by_role("row", name="Was payable, replaced since")).to_be_visible()
        if with_script:
            looked_at(page, f"replaced-{scheme}", "Statement 2026-10")
        page.get_by_role("link", name="The corrected statement").click()
        expect(page.get_by_role("row", name="Payable 34.572 USD")).to_be_visible()
        context.close()


@pytest.mark.parametrize(
    ("size", "scheme"), [("wide", "light"), ("wide", "dark"), ("phone", "light"), ("phone", "dark")]
)
def test_a_creator_follows_a_year_and_asks_for_another_account(
    browser: Browser, size: str, scheme: Literal["light", "dark"]
) -> None:
    with served(lambda _: with_history()) as address:
        context = browser.new_context(base_url=address, viewport=SIZES[size], color_scheme=scheme)
        page = context.new_page()
        page.goto("/portal")
        page.get_by_label("Token or API key").fill("ann")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Earnings").click()
        page.get_by_role("link", name="Year 2026").click()
        expect(page.get_by_role("row", name="Balance at the end")).to_contain_text("29.38 USD")
        expect(page.get_by_role("link", name="Statement that was replaced 2026-10")).to_be_visible()
        looked_at(page, f"year-{scheme}", "Year 2026")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert "balance_at_end" in download.value.path().read_text()
        page.get_by_role("link", name="2025").click()
        expect(page.get_by_role("row", name="Balance at the end")).to_contain_text("1.00 USD")

        page.get_by_role("link", name="Account").click()
        looked_at(page, f"account-{scheme}", "Account")
        page.get_by_label("Holder's name").fill("Ann Apple")
        page.get_by_label("IBAN").fill("NL91 ABNA 0417 1643 00")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_contain_text("when a second person approves it")
        expect(page.get_by_role("note")).to_contain_text("A change to NL…4300 of Ann Apple")
        looked_at(page, f"account-asked-{scheme}", "Account")
        context.close()


def test_an_operator_looks_at_everything_and_sends_a_message_again(page: Page) -> None:
    sign_in(page, "olga")
    expect(page.get_by_role("row", name="Kafka")).to_contain_text("no broker answers")
    expect(page.get_by_role("row", name="10 behind")).to_contain_text("30,000")
    expect(page.get_by_text("10 of 12", exact=True)).to_be_visible()
    looked_at(page, "health", "Health")
    page.get_by_role("link", name="Runs").click()
    looked_at(page, "runs", "Batch runs")
    page.get_by_role("link", name="run-8").click()
    expect(page.get_by_text("tally: 3 events too few")).to_be_visible()
    looked_at(page, "run", "Run run-8")
    page.get_by_role("link", name="Versions").click()
    expect(page.get_by_text("raw and batch differ first in partition 3")).to_be_visible()
    looked_at(page, "versions", "Versions")
    page.get_by_role("link", name="Dead letters").click()
    looked_at(page, "dead-letters", "Dead letters")
    page.get_by_role("button", name="Send message 3:17 again").click()
    expect(page.get_by_role("status")).to_contain_text("sent again")


def test_an_approver_goes_from_signing_in_to_a_decision(page: Page) -> None:
    sign_in(page, "fay")
    looked_at(page, "close", "Close 2026-10")
    page.get_by_role("link", name="See: conflicts").click()
    expect(page.get_by_role("row", name="3:1721")).to_contain_text("differs in view_duration")
    looked_at(page, "conflicts", "Conflicts")
    page.goto("/portal/finance?period=2026-11")
    expect(page.get_by_text("1,234.50 USD")).to_be_visible()
    looked_at(page, "close-open", "Close 2026-11")
    page.get_by_role("link", name="The month", exact=True).click()
    expect(page.get_by_role("row", name="Valid views 1,150,042")).to_be_visible()
    looked_at(page, "month", "2026-10: from events to payouts")
    page.goto("/portal/finance/month?period=2026-11")
    looked_at(page, "month-open", "2026-11: from events to payouts")
    page.get_by_role("link", name="Statements", exact=True).click()
    page.get_by_label("State", exact=True).select_option("in review")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("1 to 5 of 5")).to_be_visible()
    looked_at(page, "finance-statements", "Statements")
    page.get_by_role("link", name="Payments", exact=True).click()
    expect(page.get_by_text("AC04 closed account")).to_be_visible()
    looked_at(page, "payments", "Payments")
    page.get_by_role("link", name="Payees", exact=True).click()
    looked_at(page, "payees", "Payees and balances")
    page.get_by_role("link", name="Approvals", exact=True).click()
    looked_at(page, "approvals", "Approvals and holds")
    page.get_by_role("link", name="2026-10").click()
    looked_at(page, "waiting", "Statement")
    page.get_by_label("Reason").fill("wrong rates")
    page.get_by_role("button", name="Void").click()
    expect(page.get_by_text("The statement is void.")).to_be_visible()
    looked_at(page, "voided", "Statement")


def test_an_analyst_looks_at_a_month_and_takes_its_sql_and_file_along(page: Page) -> None:
    sign_in(page, "aud")
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_role("row", name="2026-11-24").first).to_be_visible()
    expect(page.locator(".chart canvas")).to_have_count(3)
    looked_at(page, "data", "Data: 2026-11")
    page.get_by_text("SQL", exact=True).first.click()
    expect(page.get_by_role("region", name="SQL of days")).to_contain_text("FROM reporting.day_sums")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").first.click()
    assert "settled_until" in download.value.path().read_text()
    page.get_by_label("Span").select_option("week")
    page.get_by_label("Country").select_option("DE")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("rankings of videos are kept of the whole platform").first).to_be_visible()
    looked_at(page, "data-week", "Data: Week of 2026-10-26")
    page.get_by_role("region", name="Most viewed channels").get_by_role("link", name="Ann's <b>walks</b>").click()
    expect(page.get_by_label("Channel (id of the payee)")).to_have_value("ann")
    expect(page.get_by_label("Country")).to_have_value("DE")


def test_somebody_looks_at_a_group_of_traffic_and_decides(page: Page) -> None:
    sign_in(page, "rita")
    expect(page.get_by_role("row", name="2026-11-18")).to_contain_text("3 days")
    looked_at(page, "traffic", "Groups under review")
    page.get_by_role("link", name="2026-11-18").click()
    looked_at(page, "traffic-group", "Group of 2026-11-18")
    charts = page.locator("svg.bars")
    expect(charts).to_have_count(6)
    # a bar is drawn as high as its share, in a colour of its own
    hour = charts.first.locator("rect").nth(3 * 3)
    box, colours = (
        hour.bounding_box(),
        [
            charts.first.locator(f"rect.{series}").first.evaluate("bar => getComputedStyle(bar).fill")
            for series in ("group", "videos", "all")
        ],
    )
    assert box is not None
    assert box["height"] > 50
    assert len(set(colours)) == 3
    page.get_by_text("When in the day, in numbers").click()
    expect(page.get_by_role("row", name="03 40 100.0 % 0 0.0 % 100 10.0 %")).to_be_visible()
    page.get_by_label("Reason").fill("one machine, one hour")
    page.get_by_role("button", name="Confirm as invalid").click()
    expect(page.get_by_role("status")).to_contain_text("confirmed as invalid")
    expect(page.get_by_role("row", name="confirmed")).to_contain_text("one machine, one hour")
    looked_at(page, "traffic-decided", "Groups under review")


def test_a_page_that_nobody_looks_at_holds_no_stream_open(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    sign_in(page, "ann")
    views = page.locator('[data-field="views"]')
    expect(views).not_to_have_text("72,400")

    def become(state: str) -> None:
        page.evaluate(
            """state => { Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
                          document.dispatchEvent(new Event("visibilitychange")); }""",
            state,
        )

    with page.expect_event("requestfailed", lambda request: request.url.endswith("/live")):
        become("hidden")
    before = views.text_content()
    assert before is not None
    with page.expect_request("**/portal/dashboard/live"):
        become("visible")
    expect(views).not_to_have_text(before)
    context.close()


@pytest.mark.parametrize("with_script", [True, False])
def test_somebody_signs_in_at_the_identity_provider_and_is_brought_to_the_page_they_wanted(
    browser: Browser, with_script: bool
) -> None:
    with running_provider() as provider, served(lambda address: portal_with(provider, address)) as address:
        context = browser.new_context(base_url=address, viewport=SIZES["wide"], java_script_enabled=with_script)
        page = context.new_page()
        page.goto("/portal/notices")
        if with_script:
            looked_at(page, "sign-in-at-provider", "Sign in")
        page.get_by_role("link", name="Sign in at 127.0.0.1").click()
        expect(page.get_by_role("heading", name="Notices and appeals")).to_be_visible()
        expect(page.get_by_text("ann · creator", exact=True)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        provider.claims = {"nonce": "another"}
        page.get_by_role("link", name="Sign in at 127.0.0.1").click()
        expect(page.get_by_text("its nonce differs")).to_be_visible()
        if with_script:
            looked_at(page, "not-signed-in", "Not signed in")
        context.close()


def portal_with(provider: FakeProvider, address: str) -> Portal:
    """A portal at an address whose people sign in at the provider."""
    oidc = OidcSettings.from_environ({**provider.environ(address), "VIEWLEDGER_OIDC_ALGORITHMS": "ES256"})
    assert oidc is not None
    issuer = issuer_at(oidc)
    tokens = TokenVerifier([replace(issuer, audiences=(CLIENT_ID,))])
    access = Access(find_key=FakeKeys().find, tokens=tokens, clock=time.time)
    provided = sign_in_at(oidc, issuer)
    return fake_portal(FakePorts(), provider=provided, credentials=access, now=lambda: datetime.now(UTC))


def test_pages_are_whole_without_script(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/portal")
    page.get_by_label("Token or API key").fill("ann")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("row", name="2026-11-25 2,513 1,713")).to_be_visible()
    expect(page.get_by_text("2026-11-25 10:30 UTC").first).to_be_visible()
    expect(page.locator('[data-field="views"]')).to_have_text("72,400")
    context.close()
