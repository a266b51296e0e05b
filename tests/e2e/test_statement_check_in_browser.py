"""A payee checks a statement in a real browser: what is right agrees, and any change is shown as a failure."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from billing.proof.canonical import canonical_json
from billing.proof.ed25519_keys import SigningKey, create_key
from ingestion.contract.unavailable import Part
from serving_layer.money.proofs import PaidEvent
from serving_layer.money.statements import StatementLine
from tests.browser import ARGUMENTS, CHROMIUM, needs_chromium
from tests.bundle_makers import month_with, signed
from tests.portal_browser import SIZES, looked_at, served
from tests.portal_fakes import ANNS, FakePorts, fake_portal
from tests.statement_bundles import bundle_of, events_of, statements_of

pytestmark = needs_chromium
expect.set_options(timeout=30_000)  # milliseconds; a busy machine draws a page slowly
CHECKS = ("Chain", "Signatures", "Journal", "Sums", "Ledger", "Events")


@dataclass
class Checked:
    """A portal with a real statement of a random month, its bundle and its events."""

    ports: FakePorts
    statement_id: str
    bundle: dict[str, Any]
    events: list[PaidEvent]
    public_key: str

    @property
    def path(self) -> str:
        return f"/portal/statements/{self.statement_id}"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return create_key(tmp_path_factory.mktemp("key") / "books.key")


def is_wanted(content: dict[str, Any]) -> bool:
    return content["kind"] == "statement" and content["row"]["payee_id"] == "ann" and len(content["lines"]) > 5


def checked(key: SigningKey, *, unsigned: int = 0) -> Checked:
    month = month_with(
        lambda content: (
            content["kind"] == "statement" and content["row"]["payee_id"] == "ann" and len(content["lines"]) > 5
        ),
        4,
    )
    record = next(each for each in statements_of(month) if each["row"]["payee_id"] == "ann" and len(each["lines"]) > 5)
    row, count = record["row"], len(month.records)
    chain = signed(month.records, key, count // 3, count - unsigned)
    bundle = json.loads(bundle_of(month, row["statement_id"], chain))
    states = [json.loads(each["record"])["row"].get("to_state") for each in bundle["records"]]
    ports, events = FakePorts(), events_of(month, record)
    whole = ports.rows.pop(ANNS)
    lines = msgspec.convert([_shown(each) for each in record["lines"]], list[StatementLine])
    names = (
        "statement_id",
        "currency",
        "billable_views",
        "over_cap_micros",
        "tax_country",
        "tax_micros",
        "payable_micros",
    )
    sums = {name: row[name] for name in (*names, "carried_nanomicros_before", "carried_nanomicros_after", "line_count")}
    state = next(each for each in reversed(states) if each)
    detail = msgspec.structs.replace(whole.detail, **sums, lines=lines, state=state)
    ports.rows[row["statement_id"]] = replace(whole, detail=detail)
    ports.bundles[row["statement_id"]] = canonical_json(bundle)
    ports.paid_events = events
    return Checked(ports, row["statement_id"], bundle, events, key.public_key)


def _shown(line: dict[str, Any]) -> dict[str, Any]:
    names = [field.name for field in msgspec.structs.fields(StatementLine) if field.name != "title"]
    return {name: line[name] for name in names}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def statement_page(
    browser: Browser, found: Checked, size: str = "wide", scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    with served(lambda _: fake_portal(found.ports)) as address:
        context = browser.new_context(base_url=address, viewport=SIZES[size], color_scheme=scheme)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
        page.goto("/portal")
        page.get_by_label("Token or API key").fill("ann")
        page.get_by_role("button", name="Sign in").click()
        page.goto(found.path)
        yield page
        context.close()
        assert errors == []


def result_of(page: Page, name: str) -> tuple[str, str]:
    """Press the button; return the word and the sentence of a check, after the last one ended."""
    page.get_by_role("button", name="Check it here").click()
    expect(page.locator("[data-result].notice")).to_be_visible()
    row = page.locator("[data-checks] li").filter(has_text=f" {name}: ")
    return row.locator(".badge").inner_text(), row.inner_text()


@pytest.mark.parametrize(
    ("size", "scheme"), [("wide", "light"), ("wide", "dark"), ("phone", "light"), ("phone", "dark")]
)
def test_everything_agrees_and_the_page_says_what_that_does_not_show(
    browser: Browser, key: SigningKey, size: str, scheme: Literal["light", "dark"]
) -> None:
    found = checked(key)
    assert len(found.events) > 3
    with statement_page(browser, found, size, scheme) as page:
        word, sentence = result_of(page, "Signatures")
        assert (word, found.public_key in sentence) == ("agrees", True)
        assert page.locator("[data-checks] .badge").all_inner_texts() == ["agrees"] * len(CHECKS)
        expect(page.get_by_text("Everything agrees.")).to_be_visible()
        expect(page.get_by_text(f"{len(found.events)} events are exactly those")).to_be_visible()
        expect(page.get_by_text("This cannot show that the server gave your browser the right script")).to_be_visible()
        looked_at(page, f"checked-{scheme}", "Statement")


Spoil = Callable[[dict[str, Any]], None]


def _in_record(kind: str, old: str, new: str) -> Spoil:
    def spoil(bundle: dict[str, Any]) -> None:
        each = next(each for each in bundle["records"] if json.loads(each["record"])["kind"] == kind)
        assert old in each["record"]
        each["record"] = each["record"].replace(old, new, 1)

    return spoil


def _a_digit(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


def _in_link(name: str) -> Spoil:
    def spoil(bundle: dict[str, Any]) -> None:
        link = bundle["checkpoints"][-1]
        root = json.loads(link["body"])["root"]
        link[name] = _a_digit(link[name]) if name == "signature" else link[name].replace(root, _a_digit(root))

    return spoil


def _in_path(bundle: dict[str, Any]) -> None:
    path = next(each["audit_path"] for each in bundle["records"])
    path[0] = _a_digit(path[0])


def _without_a_step(bundle: dict[str, Any]) -> None:
    steps = [each for each in bundle["records"] if json.loads(each["record"])["kind"] == "transition"]
    bundle["records"].remove(steps[0])


SPOILT: dict[str, tuple[Spoil, str, str]] = {
    "a byte of the statement": (
        _in_record("statement", '"tax_country":"', '"tax_country": "'),
        "Journal",
        "is not what",
    ),
    "a byte of a step": (_in_record("transition", '"actor":"', '"actor":"x'), "Journal", "is not what"),
    "a byte of the posting": (
        _in_record("transaction", '"currency":"USD"', '"currency":"USd"'),
        "Journal",
        "is not what",
    ),
    "a digit of an audit path": (_in_path, "Journal", "is not what"),
    "a digit of a signature": (_in_link("signature"), "Signatures", "is not that of its key"),
    "a digit of a signed root": (_in_link("body"), "Signatures", "is not that of its key"),
    "a step left out": (_without_a_step, "Ledger", "A step is missing"),
    "a checkpoint left out": (lambda bundle: bundle["checkpoints"].pop(0), "Chain", "missing or out of order"),
    "no record at all": (lambda bundle: bundle["records"].clear(), "Sums", "cannot be read"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_bundle_that_was_tampered_with_is_shown_as_wrong(browser: Browser, key: SigningKey, what: str) -> None:
    spoil, name, words = SPOILT[what]
    found = checked(key)
    spoil(found.bundle)
    found.ports.bundles[found.statement_id] = json.dumps(found.bundle).encode()
    with statement_page(browser, found) as page:
        word, sentence = result_of(page, name)
        assert (word, words in sentence) == ("wrong", True), sentence
        expect(page.get_by_text("Something is wrong.")).to_be_visible()
        if what == "a byte of the statement":
            looked_at(page, "checked-and-wrong", "Statement")


def test_an_amount_on_the_page_that_nobody_signed_is_shown_as_wrong(browser: Browser, key: SigningKey) -> None:
    found = checked(key)
    found.ports.change(found.statement_id, payable_micros=1)
    with statement_page(browser, found) as page:
        assert result_of(page, "Sums")[1].endswith("This page shows another amount than the signed statement.")


def test_lines_that_do_not_come_to_their_amount_are_wrong_though_they_are_signed(
    browser: Browser, key: SigningKey
) -> None:
    found = checked(key)
    first = found.bundle["records"][0]
    record = json.loads(first["record"])
    record["lines"][0]["amount_micros"] += 1
    first["record"] = canonical_json(record).decode()
    found.ports.bundles[found.statement_id] = json.dumps(found.bundle).encode()
    with statement_page(browser, found) as page:
        assert result_of(page, "Sums") == ("wrong", "wrong Sums: Line 1 does not come to its amount.")


@pytest.mark.parametrize("change", ["another event", "one less"])
def test_other_events_than_those_that_are_paid_are_shown_as_wrong(
    browser: Browser, key: SigningKey, change: str
) -> None:
    found = checked(key)
    first = found.events[0]
    other = PaidEvent(first.number, first.video_id, _a_digit(first.event_id), first.lines)
    found.ports.paid_events = [other, *found.events[1:]] if change == "another event" else found.events[:-1]
    with statement_page(browser, found) as page:
        word, sentence = result_of(page, "Events")
        assert (word, "pays other events than those that are listed" in sentence) == ("wrong", True)


def test_what_cannot_be_checked_is_said_and_is_not_called_right(browser: Browser, key: SigningKey) -> None:
    found = checked(key, unsigned=2)
    found.ports.away = {Part.SQL}
    with statement_page(browser, found) as page:
        assert result_of(page, "Events") == (
            "not checked",
            "not checked Events: The events cannot be read now; try again later.",
        )
        page.add_init_script(
            "SubtleCrypto.prototype.importKey = () => { throw new DOMException('no', 'NotSupportedError') }"
        )
        page.reload()
        assert "cannot check Ed25519 signatures" in result_of(page, "Signatures")[1]
        expect(page.get_by_text("What was checked agrees; not everything was checked.")).to_be_visible()
        page.route("**/bundle", lambda route: route.abort())
        page.get_by_role("button", name="Check it here").click()
        expect(page.get_by_text("What the server gave is not a bundle")).to_be_visible()
