"""The portal, attacked from other sites and by the holder of an old cookie: forms, origins, redirects, sign-out."""

import re
from collections.abc import Iterator, Mapping

import httpx

from attacks.attempts import Attack, NotTriedError
from attacks.site import Site
from serving_layer.access.access import Role

SIGN_IN, SIGN_OUT, PAGE = "/portal/sign-in", "/portal/sign-out", "/portal/statements"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
FOREIGN: tuple[Mapping[str, str], ...] = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/"},
)
ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/portal/../..//evil.example",
    "/portal/%0d%0aSet-Cookie:%20a=b",
    "javascript:alert(1)",
    "/portal\n//evil.example",
)


def missing_form_tokens(site: Site) -> Iterator[str | None]:
    """Forms without the token of their page, or with an invented one; another site could send them for its visitor."""
    with site.browser() as browser:
        _sign_in(site, browser)
        for token in (None, "", "0" * 64, "undefined"):
            answer = browser.post(SIGN_OUT, data={} if token is None else {"csrf": token})
            yield f"a form with the token {token!r} answers {answer.status_code}" if answer.status_code < 400 else None
        yield None if _is_signed_in(browser) else "the visitor was signed out by it"


def tokens_of_another_session(site: Site) -> Iterator[str | None]:
    """A form token that the attacker got in a session of their own is sent in the victim's."""
    with site.browser() as attacker, site.browser() as victim:
        stolen = _sign_in(site, attacker)
        _sign_in(site, victim)
        answer = victim.post(SIGN_OUT, data={"csrf": stolen})
        yield f"another session's token answers {answer.status_code}" if answer.status_code < 400 else None
        for name in {each.name for each in attacker.cookies.jar} - {_session_cookie(attacker)}:
            planted = {**dict(victim.cookies), name: attacker.cookies[name]}
            header = "; ".join(f"{key}={value}" for key, value in planted.items())
            with site.browser() as mixed:
                answer = mixed.post(SIGN_OUT, data={"csrf": stolen}, headers={"Cookie": header})
            yield f"planting the cookie {name} makes it {answer.status_code}" if answer.status_code < 400 else None


def foreign_origins(site: Site) -> Iterator[str | None]:
    """Forms with a valid token whose headers say that they come from another site."""
    for headers in FOREIGN:
        with site.browser() as browser:
            token = _sign_in(site, browser)
            answer = browser.post(SIGN_OUT, data={"csrf": token}, headers=dict(headers))
            yield f"{headers} answers {answer.status_code}" if answer.status_code < 400 else None


def cookies_after_signing_out(site: Site) -> Iterator[str | None]:
    """The session's cookie is kept and used again after its owner has signed out."""
    with site.browser() as browser:
        token = _sign_in(site, browser)
        kept = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        browser.post(SIGN_OUT, data={"csrf": token})
    with site.browser() as thief:
        answer = thief.get(PAGE, headers={"Cookie": kept})
    yield f"the old cookie opens {PAGE}" if answer.status_code == 200 else None


def redirects_elsewhere(site: Site) -> Iterator[str | None]:
    """Addresses to return to after signing in that lead out of the portal."""
    for address in ELSEWHERE:
        with site.browser() as browser:
            token = _form_token(browser.get(SIGN_IN, params={"return": address}))
            form = {"csrf": token, "credential": site.token(Role.AUDITOR), "return": address}
            try:
                location = browser.post(SIGN_IN, data=form).headers.get("location", "")
            except httpx.InvalidURL:
                location = "not an address at all"
        is_inside = re.fullmatch(r"/portal([/?][^\s\\]*)?", location) and ".." not in location and "//" not in location
        yield None if not location or is_inside else f"{address!r} leads to {location!r}"


def forged_hosts(site: Site) -> Iterator[str | None]:
    """Another Host header and X-Forwarded headers; an address made from them would lead to the attacker."""
    for headers in (
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "javascript"},
    ):
        for path in (PAGE, "/portal", "/v1/statements/", "/openapi.json"):
            with site.browser() as browser:
                answer = browser.get(path, headers=headers)
            places = [answer.headers.get(name, "") for name in ("location", "link", "content-location")]
            yield (
                f"{path} answers with {places}"
                if any("evil" in each or "javascript:" in each for each in places)
                else None
            )


def hostile_texts(site: Site) -> Iterator[str | None]:
    """Scripts in addresses and forms; a page that repeats them would run them in its reader's browser."""
    script = "<script>alert(1)</script>"
    with site.browser() as browser:
        _sign_in(site, browser)
        for path in (
            f"/portal/{script}",
            f"{PAGE}?done={script}",
            f"{PAGE}/{script}",
            f"/portal/events?event_id={script}",
        ):
            answer = browser.get(path)
            yield f"{path} is answered with the script in it" if script in answer.text else None
            policy = answer.headers.get("content-security-policy", "")
            yield None if "default-src 'self'" in policy else f"{path} has the policy {policy!r}"


def _sign_in(site: Site, browser: httpx.Client) -> str:
    """Sign in and return the form token of the session's pages."""
    token = _form_token(browser.get(SIGN_IN))
    browser.post(SIGN_IN, data={"csrf": token, "credential": site.token(Role.AUDITOR), "return": PAGE})
    page = browser.get(PAGE)
    if page.status_code != httpx.codes.OK:
        raise NotTriedError(f"signing in to the portal does not work: {page.status_code}")
    return _form_token(page)


def _form_token(page: httpx.Response) -> str:
    found = _CSRF.search(page.text)
    if found is None:
        raise NotTriedError(f"{page.url} has no form")
    return found[1]


def _is_signed_in(browser: httpx.Client) -> bool:
    return browser.get(PAGE).status_code == httpx.codes.OK


def _session_cookie(browser: httpx.Client) -> str:
    """Return the name of the cookie that signs a browser in."""
    return max(browser.cookies.items(), key=lambda item: len(item[1]))[0]


FAMILY: dict[str, Attack] = {
    "portal-forms-without-token": missing_form_tokens,
    "portal-token-of-another-session": tokens_of_another_session,
    "portal-foreign-origin": foreign_origins,
    "portal-cookie-after-sign-out": cookies_after_signing_out,
    "portal-redirect-elsewhere": redirects_elsewhere,
    "portal-forged-host": forged_hosts,
    "portal-hostile-texts": hostile_texts,
}
