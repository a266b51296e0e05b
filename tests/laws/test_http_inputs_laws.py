"""Whatever is sent to whichever parameter of whichever route, the answer is one below 500, and a problem says why.

The routes and their parameters are read from the applications themselves and from the OpenAPI document, so that a new
one is tried as well. Behind them are fakes that refuse what PostgreSQL refuses: NUL, halves of characters, numbers
beyond 64 bits.
"""

import gzip
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from ingestion.http_collector import Collector, collector_app
from ingestion.jwt_plays import play_reader, play_signer
from ingestion.play_claims import Plays
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.portal.http_portal import portal_routes
from serving_layer.request.cursors import Cursors
from serving_layer.routes.http_api import Api, counts_app
from serving_layer.routes.http_appeals import appeal_routes
from serving_layer.routes.http_catalogue import catalogue_routes
from serving_layer.routes.http_live import LiveLimits, LiveStreams
from serving_layer.routes.http_plays import play_routes
from serving_layer.routes.http_proofs import Proofs, proof_routes
from serving_layer.routes.http_statements import ServedStatements, statement_routes
from tests.http_extremes import BODIES, EXTREMES, Storing
from tests.http_in_one_thread import SITE, AppClient, client_of
from tests.ingestion_fakes import KEY, NOW, PLAY_KEY, FakeEventLog
from tests.portal_fakes import ANNS, EVENT, WAITING, FakePorts, fake_portal
from tests.proof_fakes import STATEMENT, FakeProofs
from tests.serving_access import CALLERS, OWNER, guard_of
from tests.serving_fakes import (
    FakeAppeals,
    FakeChannels,
    FakeHistory,
    FakeImports,
    FakePublished,
    FakeSpeed,
    FakeStatements,
    InlineExecutor,
    history_of,
    reader_of,
    statement,
)

SEED = 20261128
PAGES = ("text/html", "application/problem+json")
JSON = "application/json"
HEADERS = (
    "accept", "authorization", "if-none-match", "idempotency-key", "last-event-id", "content-type", "content-encoding",
    "x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "cookie", "range", "host", "origin",
    "sec-fetch-site", "referer", "user-agent", "content-length", "accept-language",
)  # fmt: skip
PATH_VALUES = {"video_id": "-a", "payee_id": OWNER, "statement_id": STATEMENT, "event_id": EVENT}


def api_with(further: Sequence[GuardedRoute], guard: Guard) -> FastAPI:
    """The API, and further routes in it."""
    published, past = FakePublished(), FakeHistory()
    published.publish({"-a": (3, 2)})
    past.publish(1, NOW)
    metrics = ApiMetrics(now=lambda: 0.0)
    reader = reader_of(published, FakeSpeed(), observer=metrics)
    history = history_of(reader, Storing(past), Storing(FakeChannels({OWNER: ["-a"]})))
    live = LiveStreams(LiveLimits(connections_max=10**6, poll_seconds=0.0, lifetime_seconds=0.0))
    return counts_app(Api(reader, metrics, guard, history, live, further, refresh_seconds=3600))


@pytest.fixture
def api() -> Iterator[AppClient]:
    guard, inline, proofs = guard_of(), InlineExecutor(), Storing(FakeProofs())
    books = ServedStatements(Storing(FakeStatements(statement(OWNER, 1, "finalised"))), Cursors(b"k" * 32), inline)
    routes = [
        *statement_routes(guard, books),
        *proof_routes(guard, Proofs(proofs, proofs, inline)),
        *appeal_routes(guard, books, Storing(FakeAppeals()), inline),
        *catalogue_routes(guard, Storing(FakeImports()), inline),
        *play_routes(guard, play_signer([PLAY_KEY], KEY, lambda: NOW), ApiMetrics(now=lambda: 0.0)),
    ]
    with client_of(api_with(routes, guard), raises=False) as client:
        yield client


@pytest.fixture
def collector() -> Iterator[AppClient]:
    app = collector_app(
        Collector(event_log=FakeEventLog(), clock=lambda: NOW, pseudonym_key=KEY, plays=Plays(play_reader([PLAY_KEY])))
    )
    with client_of(app, raises=False) as client:
        yield client


@pytest.fixture
def portal() -> Iterator[AppClient]:
    ports = FakePorts()
    made = replace(fake_portal(ports), money=Storing(ports), actions=Storing(ports), operator=Storing(ports))
    with client_of(api_with(portal_routes(made), guard_of()), raises=True) as client:
        yield client


def sent(value: str) -> str:
    """A value as a URL carries it, halves of characters as their bytes."""
    return quote(value.encode(errors="surrogatepass"), safe="")


def routes_of(client: AppClient) -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for route in client.app.router.routes
        for method in sorted((route.methods or {"GET"}) - {"HEAD"})
    ]


def filled(path: str, values: Mapping[str, str] = PATH_VALUES) -> str:
    return re.sub(r"\{(\w+)(?::path)?\}", lambda name: sent(values.get(name[1], "x")), path)


def judged(answer: Any, tried: object, form: tuple[str, ...] = ("application/problem+json",)) -> None:
    assert answer.status_code < 500, (tried, answer.status_code, answer.text[:300])
    if answer.status_code >= 400:
        assert answer.headers["content-type"].startswith(form), (tried, answer.headers)
        assert len(answer.content) < 200_000, tried
    for name, value in answer.headers.items():
        assert (name + value).isprintable(), (tried, name)
        assert "x-evil" not in name.lower(), tried


def asked(client: AppClient, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    raw = {name: value.encode(errors="surrogatepass") for name, value in (headers or {}).items()}
    return client.request(method, SITE + path, headers=raw, **more)  # a relative one would be read twice


def as_header(value: str) -> str:
    """What a server lets through as the value of a header: the rest it refuses itself."""
    return re.sub(r"[\0\r\n]", "", value).strip()


def test_no_value_of_a_path_breaks_a_route(api: AppClient) -> None:
    for method, route in routes_of(api):
        for name in re.findall(r"\{(\w+)", route):
            for value in EXTREMES:
                for who in ("finance", "owner", "anonymous"):
                    tried = (method, route, name, value[:60], who)
                    judged(asked(api, method, filled(route, {**PATH_VALUES, name: value}), CALLERS[who]), tried)


def parameters_of(document: Any, method: str, route: str) -> set[str]:
    operation = document["paths"][route.replace(":path}", "}")][method.lower()]
    named = [document["components"]["parameters"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
             for each in operation.get("parameters", ())]  # fmt: skip
    return {each["name"] for each in named if each["in"] == "query"}


def test_no_value_of_a_parameter_breaks_a_route(api: AppClient) -> None:
    document, routes = api.get("/openapi.json").json(), routes_of(api)
    every = sorted(set().union(*(parameters_of(document, *each) for each in routes)))
    assert {"after", "as_of", "cursor", "from", "limit", "timezone", "version"} <= set(every)
    rng, good = random.Random(SEED), {"from": "2026-11-20", "to": "2026-11-23"}
    for method, route in routes:
        own, path = parameters_of(document, method, route), filled(route)
        tried = [{**(good if "from" in own else {}), name: value} for name in own for value in EXTREMES]
        tried += [{name: rng.choice(EXTREMES)} for name in (*every, "unknown", "", *EXTREMES)]
        tried += [{rng.choice(every): rng.choice(EXTREMES) for _ in range(rng.randrange(1, 6))} for _ in range(50)]
        for query in tried:
            text = "&".join(f"{sent(name)}={sent(value)}" for name, value in query.items())
            judged(asked(api, method, f"{path}?{text}", CALLERS["finance"]), (SEED, method, route, text[:300]))


def test_no_value_of_a_header_breaks_a_route(api: AppClient, collector: AppClient) -> None:
    rng = random.Random(SEED)
    for client in (api, collector):
        for method, route in routes_of(client):
            for name in HEADERS:
                for value in map(as_header, rng.sample(EXTREMES, 16)):
                    headers = {
                        **CALLERS["finance"],
                        "idempotency-key": "k",
                        "content-type": JSON,
                        name: value,
                    }
                    judged(asked(client, method, filled(route), headers), (method, route, name, value[:60]))


def test_no_body_breaks_a_route(api: AppClient, collector: AppClient) -> None:
    for client in (api, collector):
        for method, route in routes_of(client):
            for body in BODIES:
                for who in ("finance", "owner"):
                    headers = {**CALLERS[who], "idempotency-key": "k", "content-type": JSON}
                    judged(asked(client, method, filled(route), headers, content=body), (method, route, body[:60]))


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/cloudevents+json"},
        {"content-type": "application/cloudevents-batch+json"},
        {"content-type": "text/plain", "ce-specversion": "1.0", "ce-id": "%ff", "ce-source": "x"},
        {"content-encoding": "gzip"},
    ],
    ids=str,
)
def test_no_body_breaks_a_form_of_the_collectors_request(collector: AppClient, headers: dict[str, str]) -> None:
    for body in BODIES:
        sent = gzip.compress(body)
        for content in (body, sent, sent[: len(sent) // 2]):
            judged(asked(collector, "POST", "/v1/events", headers, content=content), (headers, body[:60]))


def test_no_form_of_files_breaks_the_import(api: AppClient) -> None:
    for value in map(as_header, EXTREMES):
        for body in (
            f'--x\r\nContent-Disposition: form-data; name="payees"; filename="{value}"\r\n\r\na\r\n--x--\r\n',
            f'--x\r\nContent-Disposition: form-data; name="{value}"\r\n\r\na\r\n--x--\r\n',
            f"--x\r\n{value}: {value}\r\n\r\na\r\n--x--\r\n",
            f"--x\r\n{value}",
        ):
            headers = {**CALLERS["finance"], "idempotency-key": "k", "content-type": "multipart/form-data; boundary=x"}
            content = body.encode(errors="surrogatepass")
            judged(asked(api, "POST", "/v1/catalogue/versions", headers, content=content), value[:60])


def signed_in(client: AppClient, who: str) -> dict[str, str]:
    """Sign in and return what every form of the page carries."""
    client.cookies.clear()
    csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/portal/sign-in").text)
    assert csrf is not None
    answer = client.post("/portal/sign-in", data={"csrf": csrf[1], "credential": who})
    assert answer.status_code == 303
    again = re.search(r'name="csrf" value="([^"]+)"', client.get("/portal/events").text)
    return {"csrf": again[1]} if again else {}


def test_no_value_breaks_a_page(portal: AppClient) -> None:
    names = ("return", "days", "search", "order", "cursor", "event_id", "done", "code", "state", "error", "x")
    rng = random.Random(SEED)
    for who in ("ann", "fay", "olga"):
        signed_in(portal, who)
        for method, route in routes_of(portal):
            if method != "GET" or "static" in route or not route.startswith("/portal"):
                continue
            named = re.findall(r"\{(\w+)", route)
            paths = [filled(route, {**PATH_VALUES, name: value}) for name in named for value in EXTREMES]
            good = filled(route, {"video_id": "-walk_01", "statement_id": ANNS})
            paths += [f"{good}?{name}={sent(value)}" for name in names for value in rng.sample(EXTREMES, 6)]
            for path in paths:
                judged(asked(portal, "GET", path), (who, path[:200]), PAGES)


@pytest.mark.parametrize("who", ["ann", "fay", "olga", "nobody"])
def test_no_field_of_a_form_breaks_a_page(portal: AppClient, who: str) -> None:
    rng = random.Random(SEED)
    carried = signed_in(portal, who) if who != "nobody" else {}
    fields = ("csrf", "text", "statement_id", "request_key", "partition", "offset", "reason", "return", "x")
    good = {"text": "t", "statement_id": ANNS, "request_key": "k", "partition": "1", "offset": "1", "reason": "r"}
    for method, route in routes_of(portal):
        if method != "POST" or route in ("/portal/sign-out", "/portal/sign-in"):
            continue
        path = filled(route, {"statement_id": WAITING, "decision": "review"})
        for name in fields:
            for value in rng.sample(EXTREMES, 24):
                tried = (who, route, name, value[:60])
                filled_in = good | carried | {name: value}
                body = "&".join(f"{key}={sent(text)}" for key, text in filled_in.items())
                form = {"content-type": "application/x-www-form-urlencoded"}
                judged(asked(portal, "POST", path, form, content=body.encode()), tried, PAGES)
        multipart = "multipart/form-data; boundary=x"
        for body in (json.dumps(good).encode(), *BODIES):
            for kind in (JSON, multipart, f"{multipart}; charset=undefined"):
                answer = asked(portal, "POST", path, {"content-type": kind}, content=body)
                judged(answer, (who, route, kind, body[:60]), PAGES)


def test_every_route_is_tried(api: AppClient, portal: AppClient) -> None:
    for client in (api, portal):
        assert all(isinstance(route, GuardedRoute) for route in client.app.router.routes)  # type: ignore[attr-defined]
        assert len(routes_of(client)) > 10
