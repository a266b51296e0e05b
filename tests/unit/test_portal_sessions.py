"""Sessions of the portal: what the cookie gives away, what signing out ends, what a form is bound to."""

import asyncio
import random
import re
import string
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from serving_layer.access.jwt_sealing import Seal
from serving_layer.portal.http_portal import portal_routes
from serving_layer.portal.http_session import COOKIE_LENGTH_MAX, GRACE, SESSION, SESSION_LASTS, Sessions
from tests.portal_fakes import ANNS, NOW, WAITING, FakeCredentials, FakeEnded, FakePorts, fake_portal

FORMS = (
    ("ann", "/portal/appeals", {"statement_id": ANNS, "text": "too few", "request_key": "k"}),
    ("fay", f"/portal/operator/statements/{WAITING}/void", {"reason": "wrong"}),
    ("olga", "/portal/operator/dead-letters/replay", {"partition": "3", "offset": "17"}),
    ("ann", "/portal/sign-out", {}),
)


@dataclass
class Processes:
    """Two API processes behind the same address."""

    ended: FakeEnded = field(default_factory=FakeEnded)
    ports: FakePorts = field(default_factory=FakePorts)
    hours: float = 0.0

    def client(self) -> TestClient:
        """A browser at a process of its own."""
        portal = fake_portal(self.ports, ended=self.ended, now=lambda: NOW + timedelta(hours=self.hours))
        return TestClient(FastAPI(routes=portal_routes(portal)), follow_redirects=False)


@pytest.fixture
def processes() -> Processes:
    return Processes()


def csrf(client: TestClient, path: str = "/portal/events") -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(path).text)
    return found[1] if found else ""


def sign_in(client: TestClient, who: str) -> str:
    """Sign in; return the cookie."""
    sent = {"csrf": csrf(client, "/portal/sign-in"), "credential": who}
    assert client.post("/portal/sign-in", data=sent).status_code == 303
    return client.cookies[SESSION]


def is_signed_in(client: TestClient) -> bool:
    return client.get("/portal/events").status_code == 200


def test_signing_out_ends_every_copy_of_the_session_in_every_process(processes: Processes) -> None:
    here, elsewhere = processes.client(), processes.client()
    elsewhere.cookies.set(SESSION, sign_in(here, "ann"), path="/portal")
    assert is_signed_in(here)
    assert is_signed_in(elsewhere)
    assert here.post("/portal/sign-out", data={"csrf": csrf(here)}).status_code == 303
    assert not is_signed_in(elsewhere)
    sign_in(here, "ann")
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)


def test_a_session_survives_a_restart(processes: Processes) -> None:
    cookie, after = sign_in(processes.client(), "ann"), processes.client()
    after.cookies.set(SESSION, cookie, path="/portal")
    assert is_signed_in(after)


def test_a_sign_out_that_cannot_be_stored_is_said_and_can_be_tried_again(processes: Processes) -> None:
    client = processes.client()
    sign_in(client, "ann")
    form = {"csrf": csrf(client)}
    processes.ended.is_away = True
    assert client.post("/portal/sign-out", data=form).status_code == 503
    processes.ended.is_away = False
    assert is_signed_in(client)
    assert client.post("/portal/sign-out", data=form).status_code == 303
    assert not is_signed_in(client)


def test_a_session_is_over_after_its_hours(processes: Processes) -> None:
    client = processes.client()
    sign_in(client, "ann")
    processes.hours = SESSION_LASTS.total_seconds() / 3600 - 0.01
    assert is_signed_in(client)
    processes.hours += 0.02
    assert not is_signed_in(client)


def test_a_session_that_was_there_serves_on_for_minutes_while_nobody_can_say_whether_it_was_ended(
    processes: Processes,
) -> None:
    client, other = processes.client(), processes.client()
    other.cookies.set(SESSION, sign_in(client, "ann"), path="/portal")
    assert is_signed_in(client)
    processes.ended.is_away = True
    assert other.get("/portal/events").status_code == 503
    processes.hours = GRACE.total_seconds() / 3600 - 0.001
    assert is_signed_in(client)
    processes.hours += 0.002
    assert client.get("/portal/events").status_code == 503


def test_the_cookie_does_not_give_the_credential_away_and_cannot_be_changed(processes: Processes) -> None:
    client, rng = processes.client(), random.Random(1)
    cookie = sign_in(client, "ann")
    assert "ann" not in cookie
    for _ in range(200):
        at = rng.randrange(len(cookie) - 4)
        changed = cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
        client.cookies.clear()
        client.cookies.set(SESSION, changed, path="/portal")
        assert not is_signed_in(client)
    for text in ("", "x", "ann", cookie[:-4], cookie + "AAAA", "é", Seal(b"j" * 32, "session").sealed(b"{}")):
        assert Seal(b"k" * 32, "session").opened(text) is None
    assert Seal(b"k" * 32, "other").opened(cookie) is None


def test_a_sealed_token_is_about_as_long_as_the_token() -> None:
    token = "".join(random.Random(2).choices(f"{string.ascii_letters}{string.digits}-_.", k=3_400))
    assert len(Seal(b"k" * 32, "session").sealed(token.encode())) < COOKIE_LENGTH_MAX


def test_a_form_of_another_session_is_not_accepted(processes: Processes) -> None:
    anns, bobs, again = processes.client(), processes.client(), processes.client()
    before = csrf(anns, "/portal/sign-in")
    for client, who in ((anns, "ann"), (bobs, "bob"), (again, "ann")):
        sign_in(client, who)
    for foreign in (before, csrf(bobs), csrf(again), ""):
        assert anns.post("/portal/sign-out", data={"csrf": foreign}).status_code == 403
    assert is_signed_in(anns)
    assert anns.post("/portal/sign-out", data={"csrf": csrf(anns)}).status_code == 303


@pytest.mark.parametrize(("who", "path", "fields"), FORMS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    ],
)
def test_what_another_site_sends_changes_nothing(
    processes: Processes, who: str, path: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    client = processes.client()
    sign_in(client, who)
    answer = client.post(path, data={"csrf": csrf(client), **fields}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text
    assert not processes.ports.replayed
    assert not processes.ports.opened
    assert not processes.ended.digests


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://testserver"}, {"Sec-Fetch-Site": "same-origin"}])
@pytest.mark.parametrize(("who", "path", "fields"), FORMS)
def test_what_our_own_pages_send_is_done(
    processes: Processes, who: str, path: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    client = processes.client()
    sign_in(client, who)
    assert client.post(path, data={"csrf": csrf(client, "/portal/statements" if who == "fay" else "/portal/operator")
                                   or csrf(client), **fields}, headers=headers).status_code == 303  # fmt: skip


def test_where_the_portal_knows_its_address_only_that_is_its_own() -> None:
    sessions = Sessions(FakeCredentials(), FakeEnded(), b"k" * 32, secure=True, origin="https://views.example.org")

    def is_foreign(origin: str) -> bool:
        headers = [(b"origin", origin.encode()), (b"host", b"views.example.org")]
        return sessions.is_foreign(Request({"type": "http", "headers": headers}))

    assert not is_foreign("https://views.example.org")
    assert is_foreign("http://views.example.org")
    assert is_foreign("https://views.example.org.evil.example")


def test_over_https_cookies_are_taken_from_this_very_host_alone() -> None:
    sessions = Sessions(FakeCredentials(), FakeEnded(), b"k" * 32, secure=True)
    response = Response()
    assert sessions.begin(response, "ann")
    sessions.set_visit(response, "v")
    cookies: list[Any] = [value for name, value in response.headers.items() if name == "set-cookie"]
    assert len(cookies) == 3
    for cookie in cookies:
        assert cookie.startswith("__Host-viewledger_")
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


def test_a_guess_does_not_reach_the_store() -> None:
    class Asked(FakeEnded):
        async def was_ended(self, digest: str) -> bool:
            raise AssertionError(digest)

    sessions = replace(Sessions(FakeCredentials(), Asked(), b"k" * 32, secure=False), now=lambda: NOW)
    request = Request({"type": "http", "headers": [(b"cookie", f"{SESSION}={'A' * 500}".encode())]})
    assert asyncio.run(sessions.caller(request)) is None
