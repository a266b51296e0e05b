"""Signing in at an identity provider: the whole way over real HTTP, and every way in which it can go wrong."""

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.errors import CommandError
from jobs.wiring.access import issuer_at, sign_in_at
from jobs.wiring.access_settings import AccessSettings
from jobs.wiring.oidc_settings import OidcSettings
from serving_layer.access.http_oidc import PAUSE_SECONDS
from serving_layer.access.identification import Access
from serving_layer.access.jwt_tokens import TokenVerifier
from serving_layer.access.sign_in import ATTEMPT_LASTS, begun, challenge, opened, safe_return_path, sealed
from serving_layer.portal.http_portal import portal_routes
from tests.examples import given, st
from tests.oidc_provider import CLIENT_ID, FakeProvider, running_provider
from tests.portal_fakes import FakePorts, fake_portal
from tests.serving_access import FakeKeys

PORTAL_URL = "http://127.0.0.1:7"
SECRETS = ("s" * 43, "n" * 43, "v" * 64)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass
class Browser:
    """A browser that goes to the provider and comes back; the portal's clock can be put forward."""

    provider: FakeProvider
    later: timedelta = field(default_factory=timedelta)

    def __post_init__(self) -> None:
        oidc = OidcSettings.from_environ(self.provider.environ(PORTAL_URL))
        assert oidc is not None
        issuer = issuer_at(oidc)
        pages = TokenVerifier([replace(issuer, audiences=(*issuer.audiences, CLIENT_ID))])
        access = Access(find_key=FakeKeys().find, tokens=pages, clock=time.time)
        portal = fake_portal(
            FakePorts(),
            provider=sign_in_at(oidc, issuer, lambda: time.monotonic() + self.later.total_seconds()),
            credentials=access,
            now=lambda: datetime.now(UTC) + self.later,
        )
        self.client = TestClient(FastAPI(routes=portal_routes(portal)), follow_redirects=False, base_url=PORTAL_URL)

    def leave(self, path: str = "/portal/sign-in/leave") -> str:
        """Go as far as the provider; return the path and query that it sends the browser back to."""
        left = self.client.get(path)
        assert left.status_code == 303, left.text
        back = httpx.get(left.headers["location"], timeout=30, trust_env=False).headers["location"]
        assert back.startswith(f"{PORTAL_URL}/portal/sign-in/return?")
        return str(back).removeprefix(PORTAL_URL)

    def sign_in(self, path: str = "/portal/sign-in/leave") -> Any:
        return self.client.get(self.leave(path))

    @property
    def is_signed_in(self) -> bool:
        return self.client.get("/portal/dashboard").status_code == 200


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def browser(provider: FakeProvider) -> Iterator[Browser]:
    made = Browser(provider)
    with made.client:
        yield made


def test_somebody_goes_from_a_page_to_the_provider_and_comes_back_to_the_page(
    browser: Browser, provider: FakeProvider
) -> None:
    asked_for = "/portal/videos?search=_01&order=views"
    sent = browser.client.get(asked_for).headers["location"]
    page = browser.client.get(sent).text
    (leave,) = re.findall(r'href="(/portal/sign-in/leave[^"]*)"', page)
    assert "Sign in at 127.0.0.1" in page
    answer = browser.sign_in(leave.replace("&amp;", "&"))
    assert (answer.status_code, answer.headers["location"]) == (303, asked_for)
    assert browser.client.get(asked_for).status_code == 200
    cookies = answer.headers.get_list("set-cookie")
    assert all("HttpOnly" in each and "SameSite=lax" in each for each in cookies)
    (query,) = provider.asked
    assert (query["response_type"], query["code_challenge_method"], query["scope"]) == ("code", "S256", "openid")
    (form,) = provider.forms
    assert query["code_challenge"] == challenge(form["code_verifier"])
    assert "client_secret" not in form


def test_the_secret_goes_into_the_form_where_the_provider_wants_it_there(
    browser: Browser, provider: FakeProvider
) -> None:
    provider.auth_methods = ("client_secret_post",)
    assert browser.sign_in().status_code == 303
    assert provider.forms[0]["client_secret"]


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"nonce": "another"}, "its nonce differs"),
        ({"nonce": None}, "its nonce differs"),
        ({"nonce": 5}, "its nonce differs"),
        ({"exp": 1}, "has expired"),
        ({"exp": None}, "lacks the claim exp"),
        ({"nbf": 99_999_999_999}, "not valid yet"),
        ({"aud": "somebody-else"}, f"made for the audience {CLIENT_ID}"),
        ({"aud": "viewledger"}, f"made for the audience {CLIENT_ID}"),
        ({"aud": [CLIENT_ID, "b"], "azp": "b"}, "its azp differs"),
        ({"aud": [CLIENT_ID, "b"]}, "its azp differs"),
        ({"azp": "b"}, "its azp differs"),
        ({"iss": "https://id.example"}, "not of an issuer"),
        ({"sub": None}, "lacks the claim sub"),
        ({"role": "king"}, "claim role must be one of"),
        ({"payee": None}, "must name the payee"),
        ({"more": random.Random(1).randbytes(4_000).hex()}, "3800 characters that a browser keeps"),
    ],
)
def test_an_id_token_that_does_not_hold_is_a_clear_page_and_no_sign_in(
    browser: Browser, provider: FakeProvider, claims: dict[str, Any], words: str
) -> None:
    provider.claims = claims
    answer = browser.sign_in()
    assert (answer.status_code, words in answer.text) == (401, True), answer.text
    assert "Not signed in" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert not browser.is_signed_in


def test_an_id_token_for_two_audiences_holds_with_its_azp(browser: Browser, provider: FakeProvider) -> None:
    provider.claims = {"aud": [CLIENT_ID, "viewledger"], "azp": CLIENT_ID}
    assert browser.sign_in().status_code == 303
    assert browser.is_signed_in


def test_a_forged_signature_is_not_a_sign_in(browser: Browser, provider: FakeProvider) -> None:
    provider.forges = True
    answer = browser.sign_in()
    assert (answer.status_code, "signature" in answer.text) == (401, True)
    assert not browser.is_signed_in


@pytest.mark.parametrize("state", ["", "another", "ä"])
def test_an_answer_with_another_state_is_refused(browser: Browser, provider: FakeProvider, state: str) -> None:
    code = parse_qs(urlsplit(browser.leave()).query)["code"][0]
    answer = browser.client.get("/portal/sign-in/return", params={"code": code, "state": state})
    assert (answer.status_code, "its state differs" in answer.text) == (400, True)
    assert provider.forms == []
    assert not browser.is_signed_in


def test_coming_back_works_in_the_browser_that_left_once_and_for_ten_minutes(
    browser: Browser, provider: FakeProvider
) -> None:
    back = browser.leave()
    browser.later = ATTEMPT_LASTS
    assert "more than 10 minutes ago" in browser.client.get(back).text
    browser.later = timedelta()
    other = Browser(provider)
    with other.client:
        answer = other.client.get(browser.leave())
        assert (answer.status_code, "not begun in this browser" in answer.text) == (400, True)
    back = browser.leave()
    assert browser.client.get(back).status_code == 303
    answer = browser.client.get(back)
    assert (answer.status_code, "not begun in this browser" in answer.text) == (400, True)


def test_a_code_that_was_used_is_refused(browser: Browser, provider: FakeProvider) -> None:
    back = browser.leave()
    attempt = browser.client.cookies["viewledger_sign_in"]
    assert browser.client.get(back).status_code == 303
    other = Browser(provider)
    with other.client:
        other.client.cookies.set("viewledger_sign_in", attempt)
        answer = other.client.get(back)
        assert (answer.status_code, "did not accept its own code" in answer.text) == (401, True)


@pytest.mark.parametrize(("error", "shown"), [("access_denied", "(access_denied)"), ("<b>", "did not sign you in.")])
def test_what_the_provider_refuses_is_said(browser: Browser, provider: FakeProvider, error: str, shown: str) -> None:
    provider.error = error
    answer = browser.sign_in()
    assert (answer.status_code, shown in answer.text, "<b>" in answer.text) == (401, True, False)


def test_a_provider_that_is_away_is_named_at_both_steps(browser: Browser, provider: FakeProvider) -> None:
    provider.is_away = True
    answer = browser.client.get("/portal/sign-in/leave")
    assert (answer.status_code, "identity provider does not answer" in answer.text) == (503, True)
    provider.is_away = False
    assert browser.client.get("/portal/sign-in/leave").status_code == 503, "it is left alone for a moment"
    browser.later = timedelta(seconds=PAUSE_SECONDS)
    back = browser.leave()
    provider.is_away = True
    answer = browser.client.get(back)
    assert (answer.status_code, "identity provider does not answer" in answer.text) == (503, True)
    assert not browser.is_signed_in


def test_a_provider_that_describes_another_issuer_is_not_used(browser: Browser, provider: FakeProvider) -> None:
    provider.configuration = lambda: {**FakeProvider.configuration(provider), "issuer": "http://127.0.0.1:9"}  # type: ignore[method-assign]
    assert browser.client.get("/portal/sign-in/leave").status_code == 503


def test_endpoints_without_https_are_not_used(browser: Browser, provider: FakeProvider) -> None:
    there = {"authorization_endpoint": "http://id.example/authorize"}
    provider.configuration = lambda: {**FakeProvider.configuration(provider), **there}  # type: ignore[method-assign]
    assert browser.client.get("/portal/sign-in/leave").status_code == 503


def test_guessing_is_bounded(browser: Browser, provider: FakeProvider) -> None:
    provider.claims = {"nonce": "another"}
    assert [browser.sign_in().status_code for _ in range(5)] == [401, 401, 401, 429, 429]


def test_a_token_that_is_pasted_still_signs_in(browser: Browser) -> None:
    page = browser.client.get("/portal/sign-in?return=/portal/notices").text
    assert "instead" in page
    (csrf,) = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)
    answer = browser.client.post("/portal/sign-in", data={"csrf": csrf, "credential": "a.b.c"})
    assert (answer.status_code, "<details open>" in answer.text) == (401, True)


def test_without_a_provider_there_is_nothing_to_leave_for() -> None:
    with TestClient(FastAPI(routes=portal_routes(fake_portal(FakePorts())))) as client:
        assert client.get("/portal/sign-in/leave").status_code == 404
        assert client.get("/portal/sign-in/return?code=x&state=y").status_code == 404
        assert "Sign in at" not in client.get("/portal/sign-in").text


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/portal/statements/abc?done=approved", True),
        ("/portal/videos/-walk_01", True),
        ("/portal", True),
        ("", False),
        ("https://elsewhere.example/portal", False),
        ("//elsewhere.example/portal", False),
        ("/portal//elsewhere.example", False),
        ("/portal/../v1/top", False),
        ("/portal/%2e%2e/v1/top", False),
        ("/portal\\elsewhere", False),
        ("/portal/x\r\nLocation: y", False),
        ("/portalx", False),
        ("/v1/top", False),
        ("/portal/sign-in", False),
        ("/portal/sign-out", False),
        ("javascript:alert(1)", False),
        ("/portal/" + "x" * 600, False),
    ],
)
def test_the_way_back_stays_within_the_portal(path: str, kept: bool) -> None:
    assert safe_return_path(path) == (path if kept else "/portal")


@given(st.text(alphabet="/\\.%portal2ef:?#@&= \t\né") | st.text())
def test_no_text_leads_out_of_the_portal(text: str) -> None:
    for wanted in (text, f"/portal{text}", f"/portal/{text}"):
        reached = urlsplit(urljoin("https://views.example/portal/sign-in/return", safe_return_path(wanted)))
        assert (reached.scheme, reached.netloc) == ("https", "views.example")
        assert f"{reached.path}/".startswith("/portal/")
        assert not reached.path.startswith(("/portal/sign-in", "/portal/sign-out"))


def test_an_attempt_is_opened_only_as_it_was_sealed() -> None:
    attempt, key = begun("/portal/notices", SECRETS, NOW), b"k" * 32
    text = sealed(attempt, key)
    assert opened(text, key, NOW) == attempt
    assert opened(text, key, NOW + ATTEMPT_LASTS) is None
    assert opened(text, b"x" * 32, NOW) is None
    other, _, _ = sealed(begun("/portal", SECRETS, NOW), key).partition(".")
    assert opened(f"{other}.{text.partition('.')[2]}", key, NOW) is None
    for odd in ("", ".", "x.y", "ä.ö", text[:-1], text + "0"):
        assert opened(odd, key, NOW) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"VIEWLEDGER_PORTAL_URL": ""}, "VIEWLEDGER_PORTAL_URL"),
        ({"VIEWLEDGER_PORTAL_URL": "http://views.example"}, "VIEWLEDGER_PORTAL_URL"),
        ({"VIEWLEDGER_PORTAL_URL": "https://views.example/portal"}, "VIEWLEDGER_PORTAL_URL"),
        ({"VIEWLEDGER_PORTAL_URL": "views.example"}, "VIEWLEDGER_PORTAL_URL"),
        ({"VIEWLEDGER_OIDC_ISSUER": "http://id.example"}, "VIEWLEDGER_OIDC_ISSUER"),
        ({"VIEWLEDGER_OIDC_SCOPE": "profile"}, "VIEWLEDGER_OIDC_SCOPE"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, str], named: str) -> None:
    good = FakeProvider("https://id.example").environ("https://views.example")
    chosen = AccessSettings.from_environ(good).oidc
    assert chosen is not None
    assert chosen.client is not None
    assert chosen.client.redirect_url == "https://views.example/portal/sign-in/return"
    assert "s3cret" not in repr(chosen)
    with pytest.raises(CommandError, match=named):
        AccessSettings.from_environ({**good, **changes})
