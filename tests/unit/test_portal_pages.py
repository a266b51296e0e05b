"""The portal's pages over HTTP, on fakes: who sees what, forms, wrong input, parts that are away."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import msgspec
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ingestion.contract.traffic import InvalidReason
from ingestion.contract.traffic_reasons import DayReason
from ingestion.contract.unavailable import Part
from serving_layer.access.access import GRANTS, Scope
from serving_layer.counts.merge import ServedVersion
from serving_layer.money.statements import ChainLink
from serving_layer.portal.formatting import duration
from serving_layer.portal.http_portal import portal_routes
from serving_layer.portal.http_templates import STATIC_FOLDER
from serving_layer.portal.http_visit import PLACES
from serving_layer.portal.records import DayCount
from tests.portal_fakes import ANNS, BOBS, CALLERS, DISCLAIMER, EVENT, WAITING, FakePorts, fake_portal
from tests.portal_traffic_fakes import ODD

PAGES = {
    "/portal/dashboard": {"ann"},
    "/portal/dashboard/live": {"ann"},
    "/portal/days.csv": {"ann"},
    "/portal/days.csv?video_id=-walk_01": {"ann"},
    "/portal/earnings": {"ann"},
    "/portal/account": {"ann"},
    "/portal/years/2026": {"ann"},
    "/portal/years/2026.csv": {"ann"},
    "/portal/videos": {"ann"},
    "/portal/videos/-walk_01": {"ann"},
    "/portal/videos/-walk_01/live": {"ann"},
    "/portal/invalid": {"ann"},
    "/portal/invalid/appeal?day=2026-11-22&class=robot": {"ann"},
    "/portal/statements": {"ann", "fay", "aud"},
    f"/portal/statements/{ANNS}": {"ann", "fay", "aud"},
    f"/portal/statements/{ANNS}.csv": {"ann", "fay", "aud"},
    f"/portal/statements/{ANNS}.json": {"ann", "fay", "aud"},
    f"/portal/statements/{ANNS}/bundle": {"ann", "fay", "aud"},
    f"/portal/statements/{ANNS}/events": {"ann", "fay", "aud"},
    "/portal/events": {"ann", "bob", "fay", "aud"},
    "/portal/notices": {"ann", "bob"},
    "/portal/operator": {"olga", "aud"},
    "/portal/operator/runs": {"olga", "aud"},
    "/portal/operator/runs/run-7": {"olga", "aud"},
    "/portal/operator/versions": {"olga", "aud"},
    "/portal/operator/dead-letters": {"olga", "aud"},
    "/portal/operator/approvals": {"fay", "aud"},
    "/portal/finance": {"fay", "aud"},
    "/portal/finance/month": {"fay", "aud"},
    "/portal/data": {"fay", "aud"},
    "/portal/data/days.csv": {"fay", "aud"},
    "/portal/finance/waiting/conflicts": {"fay", "aud"},
    "/portal/finance/statements.csv": {"fay", "aud"},
    "/portal/finance/payments": {"fay", "aud"},
    "/portal/finance/payments.csv": {"fay", "aud"},
    "/portal/finance/payees": {"fay", "aud"},
    "/portal/traffic": {"rita"},
    f"/portal/traffic/group?name={quote(ODD)}": {"rita"},
    "/portal/finance/payees.csv": {"fay", "aud"},
}
"""Page → who may see it; `bob` is another creator."""
OWN_FOR_BOB = {
    "/portal/dashboard", "/portal/dashboard/live", "/portal/days.csv", "/portal/earnings", "/portal/videos",
    "/portal/account", "/portal/years/2026", "/portal/years/2026.csv",
    "/portal/invalid", "/portal/invalid/appeal?day=2026-11-22&class=robot", "/portal/statements",
}  # fmt: skip
"""Pages on which every creator sees what is their own."""
FORMS = (
    "/portal/account",
    "/portal/appeals",
    "/portal/operator/dead-letters/replay",
    f"/portal/operator/statements/{WAITING}/approve",
)


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts()


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    app = FastAPI(routes=portal_routes(fake_portal(ports)))
    with TestClient(app, follow_redirects=False) as client:
        yield client


def form_token(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found.group(1)


def sign_in(client: TestClient, who: str) -> None:
    client.cookies.clear()
    csrf = form_token(client.get("/portal/sign-in").text)
    answer = client.post("/portal/sign-in", data={"csrf": csrf, "credential": who})
    assert answer.status_code == 303


@contextmanager
def signed_in(ports: FakePorts, who: str) -> Iterator[TestClient]:
    """A browser at the portal over these ports, in which somebody has signed in."""
    with TestClient(FastAPI(routes=portal_routes(fake_portal(ports))), follow_redirects=False) as client:
        sign_in(client, who)
        yield client


def sign_in_for(path: str) -> str:
    """Where somebody who is not signed in is sent, to come back to the page."""
    return f"/portal/sign-in?{urlencode({'return': path})}"


def request_key(page: str) -> str:
    found = re.search(r'name="request_key" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def send(client: TestClient, path: str, page: str, **fields: str) -> tuple[int, str, str]:
    text = client.get(page).text
    keyed = {"request_key": request_key(text)} if "request_key" in text else {}
    answer = client.post(path, data={"csrf": form_token(text), **keyed, **fields})
    return answer.status_code, answer.headers.get("location", ""), answer.text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("who", [*CALLERS, None])
def test_every_page_is_seen_by_those_it_is_for_and_by_nobody_else(
    client: TestClient, path: str, who: str | None
) -> None:
    if who:
        sign_in(client, who)
    answer = client.get(path)
    if who is None:
        assert (answer.status_code, answer.headers["location"]) == (303, sign_in_for(path))
    elif who in PAGES[path] or (who == "bob" and path in OWN_FOR_BOB):
        assert answer.status_code == 200
    else:
        assert answer.status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_what_could_not_be_read_is_not_called_empty(client: TestClient, ports: FakePorts, path: str) -> None:
    ports.away.update(Part)
    for who in ("ann", "fay", "olga", "rita"):
        sign_in(client, who)
        assert 'class="empty"' not in client.get(path).text, who


def test_the_table_above_names_every_page(client: TestClient) -> None:
    routes = portal_routes(fake_portal(FakePorts()))
    asked = {route.path for route in routes if "POST" not in (route.methods or ())}
    named = {
        re.sub("-walk_01", "{video_id:path}", re.sub(ANNS, "{statement_id}", re.sub("run-7", "{run_id}", path)))
        .replace("waiting/conflicts", "waiting/{kind}")
        .replace("data/days.csv", "data/{question}.csv")
        .replace("years/2026", "years/{year}")
        .partition("?")[0]
        for path in PAGES
    }
    assert asked - named == {"/portal", "/portal/static/{path:path}"}


@pytest.mark.parametrize("who", ["ann", "fay", "aud", "olga"])
def test_everything_in_the_navigation_is_there(client: TestClient, who: str) -> None:
    sign_in(client, who)
    places = [place.path for place in PLACES if place.is_for(CALLERS[who])]
    assert len(places) >= 3
    assert client.get("/portal").headers["location"] == places[0]
    assert [client.get(path).status_code for path in places] == [200] * len(places)


def test_before_the_first_version_a_page_says_that_there_is_none(ports: FakePorts) -> None:
    portal = replace(fake_portal(ports), version=lambda: ServedVersion(0, (0,) * 12, None))
    with TestClient(FastAPI(routes=portal_routes(portal))) as client:
        page = client.get("/portal/sign-in").text
    assert "No version is published yet" in page
    assert "Version 0" not in page


def test_a_runs_short_facts_are_in_one_table_and_its_lists_below(client: TestClient) -> None:
    sign_in(client, "olga")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", client.get("/portal/operator/runs/run-7").text))
    assert "In short Took 300 s Archived 200,000 Verdicts counted 190,000 duplicate 10,000 Notes all well" in page
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", client.get("/portal/operator/runs/run-8").text))
    assert re.search(r"In short Took 0 s Report /var/lib/\S+ Gaps none Failures tally: 3 events too few", page)


def test_pages_take_nothing_from_elsewhere_and_run_no_script_of_their_own(client: TestClient) -> None:
    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    for who, paths in (("ann", PAGES), ("olga", PAGES)):
        sign_in(client, who)
        for path in paths:
            if (answer := client.get(path)).headers["content-type"].startswith("text/html"):
                Reader().feed(answer.text)
                assert "default-src 'self'" in answer.headers["content-security-policy"]
                assert answer.headers["cache-control"] == "no-store"
    links = {value for _, attrs in found for name, value in attrs.items() if name in ("src", "href", "action")}
    assert len(found) > 500
    assert {link for link in links if link and not link.startswith(("/", "#"))} == set()
    assert not [attrs for tag, attrs in found if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert all(attrs.get("src") for tag, attrs in found if tag == "script")


def test_a_wrong_token_signs_nobody_in_and_guessing_is_slow(client: TestClient) -> None:
    csrf = form_token(client.get("/portal/sign-in").text)
    tries = [client.post("/portal/sign-in", data={"csrf": csrf, "credential": "nobody"}) for _ in range(5)]
    assert [each.status_code for each in tries] == [401, 401, 401, 429, 429]
    assert "The token has expired; sign in again." in tries[0].text
    assert "viewledger_session" not in client.cookies


@pytest.mark.parametrize(("credential", "status"), [("", 422), ("x" * 9_000, 422), ("unchecked", 503)])
def test_a_credential_that_cannot_be_checked_is_not_a_sign_in(client: TestClient, credential: str, status: int) -> None:
    csrf = form_token(client.get("/portal/sign-in").text)
    answer = client.post("/portal/sign-in", data={"csrf": csrf, "credential": credential})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")


def test_a_session_ends_with_its_credential(client: TestClient) -> None:
    sign_in(client, "ann")
    client.cookies.set("viewledger_session", "expired", path="/portal")
    assert client.get("/portal/dashboard").headers["location"] == sign_in_for("/portal/dashboard")


def test_an_auditor_reads_and_decides_nothing(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "aud")
    page = client.get(f"/portal/statements/{WAITING}").text
    assert "Approve" not in page
    assert "Send again" not in client.get("/portal/operator/dead-letters").text
    for path in FORMS:
        assert client.post(path, data={"csrf": form_token(page)}).status_code == 404
    assert (ports.opened, ports.replayed, ports.rows[WAITING].detail.state) == ([], [], "in_review")


def test_signing_out_ends_the_session(client: TestClient) -> None:
    sign_in(client, "ann")
    assert send(client, "/portal/sign-out", "/portal/dashboard")[:2] == (303, "/portal/sign-in")
    assert client.get("/portal/dashboard").status_code == 303


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(client: TestClient) -> None:
    csrf = form_token(client.get("/portal/sign-in").text)
    answer = client.post("/portal/sign-in", data={"csrf": csrf, "credential": "ann"})
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in each and "SameSite=lax" in each and "Path=/portal" in each for each in cookies)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("csrf", ["", "0" * 64, "ä"])
def test_a_form_that_was_not_made_on_a_page_of_this_visit_does_nothing(
    client: TestClient, ports: FakePorts, path: str, csrf: str
) -> None:
    sign_in(client, "ann" if path.endswith(("appeals", "account")) else "fay" if "approve" in path else "olga")
    answer = client.post(
        path, data={"csrf": csrf, "statement_id": ANNS, "text": "no", "partition": "3", "offset": "17"}
    )
    assert answer.status_code == 403
    assert (ports.opened, ports.replayed, ports.rows[WAITING].detail.state) == ([], [], "in_review")


def test_a_form_of_another_visit_does_nothing(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "ann")
    csrf = form_token(client.get(f"/portal/statements/{ANNS}").text)
    sign_in(client, "ann")
    answer = client.post("/portal/appeals", data={"csrf": csrf, "statement_id": ANNS, "text": "no"})
    assert (answer.status_code, ports.opened) == (403, [])


def test_a_form_that_is_too_large_is_refused(client: TestClient) -> None:
    sign_in(client, "ann")
    answer = client.post("/portal/appeals", data={"text": "x" * 20_000})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("&text=another", "A field appears twice"),
        ("&x" + "=1&x".join(map(str, range(30))), "at most 20 fields"),
        ("&reason=%ff", "text in UTF-8"),
        ("&reason=%E2%80%AE", "cannot be shown"),
    ],
)
def test_a_form_that_no_page_of_ours_sends_does_nothing(
    client: TestClient, ports: FakePorts, more: str, sentence: str
) -> None:
    sign_in(client, "ann")
    csrf = form_token(client.get(f"/portal/statements/{ANNS}").text)
    body = f"csrf={csrf}&statement_id={ANNS}&request_key=k&text=no"
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/portal/appeals", content=body + more, headers=form)
    assert (answer.status_code, sentence in answer.text, ports.opened) == (422, True, [])
    assert client.post("/portal/appeals", content=body, headers=form).status_code == 303
    assert len(ports.opened) == 1


def test_a_name_cannot_become_markup(client: TestClient) -> None:
    sign_in(client, "bob")
    page = client.get("/portal/dashboard").text
    assert DISCLAIMER not in page
    assert "&lt;script&gt;" in page


def test_a_title_is_shown_beside_the_id_and_cannot_become_markup_or_a_formula(client: TestClient) -> None:
    sign_in(client, "ann")
    shown = "A walk &lt;b&gt;by the sea&lt;/b&gt;"
    for path in ("/portal/dashboard", "/portal/videos", "/portal/videos/-walk_01", f"/portal/statements/{ANNS}",
                 f"/portal/events?event_id={EVENT}"):  # fmt: skip
        page = client.get(path).text
        assert (shown in page, "-walk_01" in page, "<b>by" in page) == (True, True, False), path
    found = client.get("/portal/videos?search=by the sea").text
    assert re.findall(r'href="/portal/videos/([^"?]+)"', found) == ["-walk_01"]
    rows = list(csv.DictReader(client.get(f"/portal/statements/{ANNS}.csv").text.splitlines()))
    assert [row["title"] for row in rows[1:4]] == ["A walk <b>by the sea</b>", "'=1+1 street food", ""]


def test_every_reason_of_a_statement_is_in_words_and_leads_on_where_there_is_a_page(
    client: TestClient, ports: FakePorts
) -> None:
    whole = ports.rows[ANNS]
    chain = [*whole.detail.chain, ChainLink("invalid_traffic:robot", -7)]
    ports.rows[ANNS] = replace(whole, detail=msgspec.structs.replace(whole.detail, chain=chain))
    sign_in(client, "ann")
    page = client.get(f"/portal/statements/{ANNS}").text
    for words in (
        'Sent more than once <span class="quiet small">received before</span>',
        'Rejected: timestamp without zone <span class="quiet small">against the contract of events</span>',
        'Too short <span class="quiet small">shorter than the minimum</span>',
        'Invalid traffic: robot</a> <span class="quiet small">made by no viewer</span>',
    ):
        assert words in page
    link = '<a href="/portal/invalid">Invalid traffic: robot</a>'
    assert link in page
    sign_in(client, "fay")
    assert link not in client.get(f"/portal/statements/{ANNS}").text, "that page is the payee's own"


def test_the_words_are_explained_to_those_who_may_open_the_page(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CALLERS, "few", replace(CALLERS["ann"], scopes=frozenset({Scope.BILLABLE})))
    for who, is_linked in (("ann", True), ("few", False), ("fay", False)):
        sign_in(client, who)
        pages = {"fay": "/portal/statements"}
        page = client.get(pages.get(who, "/portal/dashboard")).text
        assert ("What the words mean" in page) == is_linked, who
        assert client.get("/portal/earnings").status_code == (200 if is_linked else 404)


@pytest.mark.parametrize(("subject", "name"), [("urn:viewledger:local ann b", "ann b"), ("key:4f", "key:4f")])
def test_the_header_names_the_person_and_not_the_issuer(client: TestClient, subject: str, name: str) -> None:
    CALLERS["named"] = replace(CALLERS["ann"], subject=subject)
    sign_in(client, "named")
    page = client.get("/portal/dashboard").text
    del CALLERS["named"]
    assert f'<span title="{subject}">{name}</span> · creator' in page
    assert 'href="/portal/earnings#words"' in page


def test_a_creator_appeals_once_and_sees_it(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "ann")
    fields = {"statement_id": ANNS, "text": " two videos are missing "}
    assert send(client, "/portal/appeals", f"/portal/statements/{ANNS}", **fields)[:2] == (
        303,
        "/portal/notices?done=appealed",
    )
    assert [(each.payee_id, each.text) for each in ports.opened] == [("ann", "two videos are missing")]
    assert "Your appeal is recorded" in client.get("/portal/notices?done=appealed").text
    status, _, page = send(client, "/portal/appeals", f"/portal/statements/{ANNS}", **fields | {"text": "and another"})
    assert (status, "has an open appeal already" in page) == (409, True)


def test_a_form_that_is_sent_twice_is_one_appeal(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "ann")
    page = client.get(f"/portal/statements/{ANNS}").text
    fields = {"csrf": form_token(page), "request_key": request_key(page), "statement_id": ANNS, "text": "too few"}
    assert [client.post("/portal/appeals", data=fields).status_code for _ in range(3)] == [303] * 3
    assert len(ports.opened) == 1
    answer = client.post("/portal/appeals", data={**fields, "text": "something else"})
    assert (answer.status_code, "another text" in answer.text) == (409, True)
    assert client.post("/portal/appeals", data={**fields, "request_key": ""}).status_code == 422
    assert request_key(client.get(f"/portal/statements/{ANNS}").text) != fields["request_key"]


def test_no_appeal_is_taken_to_a_statement_that_is_replaced(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "ann")
    page = f"/portal/statements/{ANNS}"
    text = client.get(page).text
    whole = ports.rows[ANNS]
    ports.rows[ANNS] = replace(whole, detail=msgspec.structs.replace(whole.detail, state="superseded"))
    fields = {"csrf": form_token(text), "request_key": request_key(text), "statement_id": ANNS, "text": "no"}
    answer = client.post("/portal/appeals", data=fields)
    assert (answer.status_code, ports.opened) == (409, [])
    assert "finalised, held, paid" in answer.text
    assert "request_key" not in client.get(page).text


def test_nobody_appeals_for_another_or_without_a_word(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "bob")
    page = f"/portal/statements/{BOBS}"
    assert send(client, "/portal/appeals", page, statement_id=ANNS, text="mine")[0] == 404
    assert send(client, "/portal/appeals", page, statement_id=BOBS, text="  ")[0] == 422
    assert ports.opened == []


def test_a_form_with_a_character_that_cannot_be_shown_is_refused(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "bob")
    status, _, text = send(client, "/portal/appeals", f"/portal/statements/{BOBS}", statement_id=BOBS, text="a\0b")
    assert (status, "cannot be shown" in text) == (422, True)
    sign_in(client, "fay")
    path, page = f"/portal/operator/statements/{WAITING}/void", f"/portal/statements/{WAITING}"
    before = ports.rows[WAITING]
    assert send(client, path, page, reason="a\u202eb")[0] == 422
    assert (ports.opened, ports.rows[WAITING]) == ([], before)


def test_the_person_who_ran_a_period_does_not_approve_it(client: TestClient, ports: FakePorts) -> None:
    path, page = f"/portal/operator/statements/{WAITING}/approve", f"/portal/statements/{WAITING}"
    sign_in(client, "fay")
    run_by_fay = replace(ports.rows[WAITING].steps[0], actor="fay@example.org")
    waiting = ports.rows[WAITING]
    ports.rows[WAITING] = replace(waiting, steps=(run_by_fay,))
    status, _, text = send(client, path, page)
    assert (status, "somebody else can" in text) == (409, True)
    ports.rows[WAITING] = waiting
    assert send(client, path, page)[0] == 303
    assert ports.rows[WAITING].steps[-1].actor == "fay@example.org"


def test_what_waits_for_a_second_person_is_shown_with_what_would_change(client: TestClient) -> None:
    sign_in(client, "fay")
    page = client.get("/portal/operator/approvals").text
    assert "catalogue:3" in page
    assert "video v was of ann and is of &lt;b&gt;bob&lt;/b&gt;" in page
    assert "billing proposals show --proposal catalogue:3" in page


def test_voiding_needs_a_reason(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "fay")
    path, page = f"/portal/operator/statements/{WAITING}/void", f"/portal/statements/{WAITING}"
    assert send(client, path, page, reason=" ")[0] == 422
    assert send(client, path, page, reason="wrong rates")[0] == 303
    assert ports.rows[WAITING].detail.state == "voided"


def test_a_dead_letter_is_sent_again_once(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "olga")
    path, page = "/portal/operator/dead-letters/replay", "/portal/operator/dead-letters"
    assert send(client, path, page, partition="3", offset="17")[0] == 303
    assert send(client, path, page, partition="3", offset="17")[0] == 409
    assert send(client, path, page, partition="x", offset="-1")[0] == 422
    assert ports.replayed == [(3, 17, "olga@example.org")]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/portal/dashboard?days=5", 422, "7, 28, 90, 365"),
        ("/portal/days.csv?days=5", 422, "7, 28, 90, 365"),
        ("/portal/days.csv?video_id=_bobs", 404, "not yours"),
        ("/portal/videos?order=luck", 422, "billable_views"),
        ("/portal/videos?search=a%E2%80%AEb", 422, "can be shown"),
        ("/portal/videos?cursor=x", 422, "begin at the first"),
        ("/portal/videos/a%20b", 404, "not yours"),
        ("/portal/videos/_bobs", 404, "not yours"),
        (f"/portal/statements/{BOBS}", 404, "not yours"),
        (f"/portal/statements/{BOBS}.csv", 404, "not yours"),
        ("/portal/events?event_id=12", 422, "UUID"),
        ("/portal/nothing", 404, "not yours"),
    ],
)
def test_wrong_input_is_told_what_is_allowed(client: TestClient, path: str, status: int, words: str) -> None:
    sign_in(client, "ann")
    answer = client.get(path)
    assert (answer.status_code, words in answer.text) == (status, True)


def test_a_list_goes_on_where_its_page_ended(client: TestClient) -> None:
    sign_in(client, "ann")
    first = client.get("/portal/videos").text
    onward = re.search(r'href="(/portal/videos\?[^"]+)" rel="next"', first)
    assert onward is not None
    second = client.get(onward.group(1).replace("&amp;", "&")).text
    assert len(re.findall("/portal/videos/-walk", first)) == 50
    assert len(re.findall("/portal/videos/-walk", second)) == 10
    assert 'rel="next"' not in second


def test_a_part_that_is_away_is_named_and_the_rest_is_shown(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "ann")
    ports.away = {Part.POSTGRES}
    page = client.get("/portal/dashboard")
    assert page.status_code == 200
    assert "PostgreSQL does not answer" in page.text
    assert "2,513" not in page.text
    assert "Dashboard" in page.text


def test_the_totals_of_dashboard_and_video_are_streamed_to_whom_they_belong(ports: FakePorts) -> None:
    app = FastAPI(routes=portal_routes(fake_portal(ports, live_seconds=0.1)))
    with TestClient(app, follow_redirects=False) as client:
        sign_in(client, "ann")
        for page in ("/portal/dashboard", "/portal/videos/-walk_01"):
            assert f'data-live="{page}/live"' in client.get(page).text
            answer = client.get(f"{page}/live")
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            counts = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
            assert counts[0]["billable_views"] in (900, 54_000)
            assert ("video_id" in counts[0]) == (page != "/portal/dashboard")
        assert client.get("/portal/videos/_bobs/live").status_code == 404
        ports.away = {Part.POSTGRES}
        assert client.get("/portal/dashboard/live").status_code == 503


def test_without_redis_the_settled_counts_are_shown_and_said_to_be_incomplete(
    client: TestClient, ports: FakePorts
) -> None:
    sign_in(client, "ann")
    whole = client.get("/portal/dashboard").text
    ports.away = {Part.REDIS}
    for path, views in (("/portal/dashboard", "72,000"), ("/portal/videos/-walk_01", "1,200")):
        page = client.get(path).text
        assert ("data-incomplete hidden" in whole, "data-incomplete hidden" in page) == (True, False)
        assert "Redis does not answer" in page
        assert views in page
    ports.missing = Part.SPEED
    assert "does not answer" not in client.get("/portal/dashboard").text, "it answers, and is counting again"


def test_health_tells_warnings_from_what_is_well(client: TestClient) -> None:
    sign_in(client, "olga")
    badges = re.findall(r'class="badge (\w+)">(\w+)<', client.get("/portal/operator").text.partition("<h2>Parts")[2])
    assert badges == [("bad", "fails"), ("warn", "warning"), ("good", "well")]


def test_an_event_is_answered_in_words_and_a_strangers_event_not_at_all(client: TestClient, ports: FakePorts) -> None:
    for who, words in (("ann", "shorter than the minimum"), ("bob", "No event with this id")):
        sign_in(client, who)
        assert words in client.get(f"/portal/events?event_id={EVENT.upper()}").text
    ports.away = {Part.SQL}
    page = client.get(f"/portal/events?event_id={EVENT}").text
    assert "The batch tables do not answer" in page
    assert "if that does not help, ask the operator whether the SQL server runs, which reads them." in page


def test_events_of_a_statement_are_a_page_and_no_stump_while_the_tables_are_away(
    client: TestClient, ports: FakePorts
) -> None:
    sign_in(client, "ann")
    ports.away = {Part.SQL}
    answer = client.get(f"/portal/statements/{ANNS}/events")
    assert (answer.status_code, "The batch tables do not answer" in answer.text) == (503, True)
    ports.away = set()
    answer = client.get(f"/portal/statements/{ANNS}/events")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert f"events-{ANNS}.ndjson" in answer.headers["content-disposition"]


def test_the_bundle_of_a_statement_is_given_as_it_was_made(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "ann")
    ports.bundles[ANNS] = b'{"format":"viewledger-statement/1"}'
    answer = client.get(f"/portal/statements/{ANNS}/bundle")
    assert (answer.content, answer.headers["cache-control"]) == (ports.bundles[ANNS], "no-store")
    assert f"statement-{ANNS}.bundle.json" in answer.headers["content-disposition"]
    assert client.get(f"/portal/statements/{WAITING}/bundle").status_code == 404, "it is not decided"
    page = client.get(f"/portal/statements/{ANNS}").text
    assert f'data-bundle="/portal/statements/{ANNS}/bundle"' in page
    assert 'data-payable="26442000"' in page


def test_files_have_the_numbers_of_the_page(client: TestClient) -> None:
    sign_in(client, "ann")
    rows = list(csv.DictReader(client.get(f"/portal/statements/{ANNS}.csv").text.splitlines()))
    document = json.loads(client.get(f"/portal/statements/{ANNS}.json").text)
    assert len(rows) == len(document["lines"]) == 50
    assert sum(int(row["amount_micros"]) for row in rows) == sum(line["amount_micros"] for line in document["lines"])
    assert rows[0]["video_id"] == "'-walk_00"
    assert document["lines"][0]["video_id"] == "-walk_00"
    assert client.get(f"/portal/statements/{ANNS}/events").text == (
        f'{{"number":1,"video_id":"-walk_01","event_id":"{EVENT}","lines":[0]}}\n'
    )


def test_vendored_files_are_the_ones_on_record() -> None:
    listed = (STATIC_FOLDER / "vendor" / "README.md").read_text()
    files = [path for path in (STATIC_FOLDER / "vendor").iterdir() if path.suffix in (".js", ".css")]
    assert len(files) == 2
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in listed


def test_every_role_of_a_person_is_tried() -> None:
    assert {caller.role for caller in CALLERS.values()} == set(GRANTS)


@pytest.mark.parametrize("days", [7, 28])
def test_the_days_that_were_chosen_rule_the_numbers_and_the_most_viewed_videos(client: TestClient, days: int) -> None:
    sign_in(client, "ann")
    page = client.get(f"/portal/dashboard?days={days}").text
    shown = page[page.index(f"In the last {days} days") : page.index("Since the beginning")]
    counts = [DayCount(date.min, 2_000 + (each * 7_919) % 900, 1_500 + (each * 7_919) % 400, 0) for each in range(days)]
    assert f"{sum(each.views for each in counts):,}" in shown
    assert f"{sum(each.billable_views for each in counts):,}" in shown
    assert f"{days * 40:,}" in page[page.index("Most viewed videos of these days") :]


@pytest.mark.parametrize("path", ["/portal/dashboard", "/portal/videos/-walk_01"])
def test_the_watch_time_of_the_chosen_days_is_a_tile_and_a_table(
    client: TestClient, ports: FakePorts, path: str
) -> None:
    sign_in(client, "ann")
    page = client.get(f"{path}?days=7").text
    seconds = [90_000 + (each * 7_919) % 60_000 for each in range(7)]
    views = [2_000 + (each * 7_919) % 900 for each in range(7)]
    tiles = page[page.index("In the last 7 days") : page.index("Since the beginning")]
    assert f"<dt>Watched</dt><dd>{duration(sum(seconds))}</dd>" in tiles.replace(' class=""', "")
    assert f"<dt>Average view</dt><dd>{duration(sum(seconds) / sum(views))}</dd>" in tiles.replace(' class=""', "")
    table = page[page.index("Watch time by day") : page.index("Countries")]
    for watched, count in zip(seconds, views, strict=True):
        assert (
            f'data-value="{watched}">{duration(watched)}</td><td class="number">{duration(watched / count)}<' in table
        )
    ports.is_unsummed = True
    page = client.get(f"{path}?days=7").text
    assert "Watch time is not summed in this version." in page
    assert 'href="/portal/days.csv?' in page, "the file works without it"
    assert "Viewers are not counted in this version." in page
    assert page.count("<dd>\u2013</dd>") + page.count('<dd class="">\u2013</dd>') == 2, "no figure is made up"


@pytest.mark.parametrize("path", ["/portal/dashboard", "/portal/videos/-walk_01"])
def test_the_viewers_of_the_days_are_shown_together_and_day_by_day(client: TestClient, path: str) -> None:
    sign_in(client, "ann")
    page = client.get(f"{path}?days=7").text
    assert re.search(r"<dt>Viewers</dt><dd[^>]*>1,640</dd>", page)
    panel = page[page.index("Viewers by day") :]
    assert "1,640 different viewers in the last 7 days." in panel
    assert "Too many by at most 3:" in panel
    shown = re.findall(r'data-value="(\d+)">([\d,]+)</td></tr>', panel[: panel.index("</table>")])
    numbers = [800 + (each * 7_919) % 300 for each in range(7)]
    assert shown == [(str(each), f"{each:,}") for each in reversed(numbers)]


@pytest.mark.parametrize("path", ["/portal/dashboard", "/portal/videos/-walk_01"])
def test_how_far_viewers_got_is_shown_with_its_share_of_the_views_that_can_tell(
    client: TestClient, ports: FakePorts, path: str
) -> None:
    sign_in(client, "ann")
    page = client.get(f"{path}?days=7").text
    panel = page[page.index("How far viewers got") :]
    assert "Of 1,600 views in the last 7 days the length of the video is known." in panel
    shown = re.findall(r'">(\d+) %</th><td class="number">([\d,]+)</td><td class="number">([\d.]+) %', panel)
    assert shown == [("25", "1,200", "75.0"), ("50", "800", "50.0"), ("75", "401", "25.1"), ("100", "1", "0.1")]
    ports.is_unsummed = True
    page = client.get(f"{path}?days=7").text
    assert "This is not summed in this version." in page[page.index("How far viewers got") :]


@pytest.mark.parametrize("path", ["/portal/dashboard", "/portal/videos/-walk_01"])
def test_the_days_of_a_page_are_downloaded_as_csv(client: TestClient, ports: FakePorts, path: str) -> None:
    sign_in(client, "ann")
    link = re.search(r'href="(/portal/days.csv[^"]+)"', client.get(f"{path}?days=7").text)
    assert link
    answer = client.get(unescape(link[1]))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["watched_seconds"]) for row in rows] == [90_000 + (each * 7_919) % 60_000 for each in range(7)]
    assert [int(row["unique_viewers"]) for row in rows] == [800 + (each * 7_919) % 300 for each in range(7)]
    assert {(row["version"], row["settled_until"]) for row in rows} == {("7", "2026-11-25T09:00:00Z")}
    assert float(rows[0]["average_view_duration"]) == round(int(rows[0]["watched_seconds"]) / int(rows[0]["views"]), 3)
    ports.is_unsummed = True
    rows = list(csv.DictReader(io.StringIO(client.get(unescape(link[1])).text)))
    unknown = ("watched_seconds", "average_view_duration", "unique_viewers")
    assert {tuple(row[name] for name in unknown) for row in rows} == {("", "", "")}
    ports.away = {Part.POSTGRES}
    assert client.get(unescape(link[1])).status_code == 503


def test_the_partitions_are_missing_without_kafka_and_the_rest_of_the_page_is_there(
    client: TestClient, ports: FakePorts
) -> None:
    sign_in(client, "olga")
    page = client.get("/portal/operator").text
    assert "10 of 12" in page
    assert "30,000" in page
    assert "240.0 s ago" in page
    ports.away = {Part.KAFKA}
    page = client.get("/portal/operator").text
    assert "10 of 12" not in page
    assert "PostgreSQL" in page


def test_invalid_traffic_has_six_classes_with_examples_and_no_threshold(client: TestClient, ports: FakePorts) -> None:
    sign_in(client, "ann")
    page = client.get("/portal/invalid").text
    rows = dict(re.findall(r'<th scope="row">([a-z]+)</th><td class="number">([0-9,]+)</td>', page))
    assert rows == {
        "robot": "1,234", "contradiction": "0", "impossible": "0", "coordinated": "7", "unnatural": "0", "origin": "0",
    }  # fmt: skip
    assert f'href="/portal/events?event_id={EVENT}"' in page
    assert 'href="/portal/invalid/appeal?day=2026-11-22&amp;class=robot"' in page
    assert not [each.code for each in (*InvalidReason, *DayReason) if each.code in page or each.sentence in page]
    assert client.get("/portal/invalid?days=8").status_code == 422
    ports.away = {Part.POSTGRES}
    assert "PostgreSQL does not answer" in client.get("/portal/invalid").text
