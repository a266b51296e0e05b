"""What pages of other origins may send, and which answers they may read."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from starlette.testclient import TestClient

from ingestion.http_collector import Collector, collector_app
from ingestion.http_cross_origin import for_origins
from ingestion.intake import AdmittedEvent
from ingestion.ports import RequestTrace
from ingestion.request_body import BODY_BYTES_MAX
from tests.ingestion_fakes import KEY, NOW, FakeEventLog, event_json

HERE, THERE = "https://watch.example", "https://other.example"


def client_of(*origins: str, log: Any = None) -> TestClient:
    collector = Collector(event_log=log or FakeEventLog(), clock=lambda: NOW, pseudonym_key=KEY)
    return TestClient(for_origins(collector_app(collector), origins), raise_server_exceptions=False)


def beacon(client: TestClient, origin: str, body: bytes = b"") -> Any:
    """A request as `sendBeacon` makes it of a text."""
    headers = {"origin": origin, "content-type": "text/plain;charset=UTF-8"}
    return client.post("/v1/events", content=body or event_json(), headers=headers)


def preflight(client: TestClient, origin: str, method: str = "POST", headers: str | None = None) -> Any:
    sent = {"origin": origin, "access-control-request-method": method}
    further = {"access-control-request-headers": headers} if headers else {}
    return client.options("/v1/events", headers=sent | further)


def test_a_beacon_of_another_origin_is_an_event_and_its_answer_is_readable_where_allowed() -> None:
    for origins, origin, allowed in (
        ((HERE,), HERE, HERE),
        ((THERE, HERE), HERE, HERE),
        (("*",), HERE, "*"),
        ((HERE,), THERE, None),
        ((HERE,), "null", None),
        ((), HERE, None),
    ):
        log = FakeEventLog()
        answer = beacon(client_of(*origins, log=log), origin)
        assert answer.status_code == 202
        assert len(log.events) == 1
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in answer.headers


def test_a_cache_keeps_the_answers_of_origins_apart() -> None:
    assert "Origin" in beacon(client_of(HERE), HERE).headers["vary"]
    assert "Origin" in beacon(client_of(HERE), THERE).headers["vary"]


def test_a_preflight_of_an_allowed_origin_is_answered_without_a_body() -> None:
    for headers in (None, "content-type", "Content-Type, content-encoding"):
        answer = preflight(client_of(HERE), HERE, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == HERE
        assert answer.headers["access-control-allow-methods"] == "POST"
        assert "Content-Encoding" in answer.headers["access-control-allow-headers"]
        assert int(answer.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize(
    ("origin", "method", "headers", "status", "code"),
    [
        (THERE, "POST", None, 403, "origin_not_allowed"),
        ("null", "POST", None, 403, "origin_not_allowed"),
        (HERE + ".evil.example", "POST", None, 403, "origin_not_allowed"),
        (HERE, "DELETE", None, 400, "preflight_refused"),
        (HERE, "POST", "authorization", 400, "preflight_refused"),
    ],
)
def test_a_refused_preflight_says_why(origin: str, method: str, headers: str | None, status: int, code: str) -> None:
    answer = preflight(client_of(HERE), origin, method, headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_the_setting_preflights_are_refused() -> None:
    assert preflight(client_of(), HERE).json()["code"] == "method_not_allowed"


def test_every_refusal_is_readable_by_the_page() -> None:
    class BrokenLog(FakeEventLog):
        def append(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None = None) -> "Future[None]":
            raise RuntimeError

    away = FakeEventLog()
    away.is_away = True
    for log, body, status in (
        (None, b"nonsense", 400),
        (None, b" " * (BODY_BYTES_MAX + 1), 413),
        (away, event_json(), 503),
        (BrokenLog(), event_json(), 500),
    ):
        answer = beacon(client_of(HERE, log=log), HERE, body)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == HERE
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert answer.json()["detail"]
    assert client_of(HERE).get("/nowhere", headers={"origin": HERE}).headers["access-control-allow-origin"] == HERE
