import json
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from ingestion.event_rates import EventRates
from ingestion.http_collector import Collector, collector_app
from ingestion.intake import AdmittedEvent
from ingestion.jwt_plays import PlayKey, play_reader, secret_key
from ingestion.play_claims import Plays
from ingestion.ports import RequestTrace
from ingestion.prometheus_collector import CollectorMetrics
from ingestion.pseudonym import pseudonym_of
from ingestion.request_body import BODY_BYTES_MAX
from tests.ingestion_fakes import KEY, NOW, PLAY_KEY, FakeEventLog, event_fields, event_json, token_of


@pytest.fixture
def event_log() -> FakeEventLog:
    return FakeEventLog()


def client_of(log: Any, **settings: Any) -> TestClient:
    collector = Collector(event_log=log, clock=lambda: NOW, pseudonym_key=KEY, **settings)
    return TestClient(collector_app(collector), client=("203.0.113.9", 5), raise_server_exceptions=False)


def post(client: TestClient, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
    return client.post("/v1/events", content=body, headers={"content-type": content_type, **headers})


def test_one_event_is_answered_with_its_result(event_log: FakeEventLog) -> None:
    answer = post(client_of(event_log), event_json(), **{"user-agent": "Player/1.0"})
    assert answer.status_code == 202
    result = {"index": 0, "event_id": event_fields()["event_id"], "status": "accepted", "reasons": []}
    assert answer.json() == {"accepted": 1, "rejected": 0, "results": [result]}
    (event,) = event_log.events
    fields = json.loads(event.value)
    assert (fields["client_network"], fields["user_agent"]) == ("203.0.113.0/24", "Player/1.0")
    assert fields["user_id"] == pseudonym_of("alice", KEY)


def test_every_event_of_an_array_or_of_lines_has_its_own_result(event_log: FakeEventLog) -> None:
    good, bad = event_json(1), event_json(2, video_id="#NAME?")
    for body, content_type in (
        (b"[" + good + b"," + bad + b"]", "application/json"),
        (good + b"\n" + bad, "application/x-ndjson"),
    ):
        answer = post(client_of(event_log), body, content_type)
        assert answer.status_code == 202
        assert [(each["index"], each["status"]) for each in answer.json()["results"]] == [
            (0, "accepted"),
            (1, "rejected"),
        ]
        (reason,) = answer.json()["results"][1]["reasons"]
        assert reason["code"] == "video_id_invalid"
        assert "#NAME?" in reason["detail"]


def test_a_line_that_is_not_json_is_rejected_without_harm_to_the_others(event_log: FakeEventLog) -> None:
    answer = post(client_of(event_log), event_json(1) + b"\n{oops\n" + event_json(2), "application/x-ndjson")
    assert [each["status"] for each in answer.json()["results"]] == ["accepted", "rejected", "accepted"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "body_empty"),
        (b"[]", "application/json", 400, "body_empty"),
        (b"hello", "application/json", 400, "body_malformed"),
        (b'{"a":NaN}', "application/json", 400, "body_malformed"),
        (b"x\ny\n", "application/x-ndjson", 400, "body_malformed"),
        (b"{}", "application/x-www-form-urlencoded", 415, "media_type_unsupported"),
        (b"{}", "application/json; charset=latin-1", 415, "charset_unsupported"),
        (b"{}\n" * 501, "application/x-ndjson", 413, "too_many_events"),
        (b" " * (BODY_BYTES_MAX + 1), "application/json", 413, "body_too_large"),
    ],
)
def test_a_bad_request_is_a_problem_document_and_nothing_reaches_the_log(
    event_log: FakeEventLog, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = post(client_of(event_log), body, content_type)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
    assert event_log.events == []


def test_json_that_is_not_an_event_is_answered_as_a_rejected_event(event_log: FakeEventLog) -> None:
    answer = post(client_of(event_log), b"42")
    assert answer.status_code == 202
    assert answer.json()["results"][0]["reasons"][0]["code"] == "json_not_an_object"


def test_a_body_too_large_is_refused_even_when_it_comes_in_parts(event_log: FakeEventLog) -> None:
    parts = (b" " * 65536 for _ in range(20))
    answer = client_of(event_log).post("/v1/events", content=parts, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_without_acknowledgement_the_answer_names_when_to_send_the_same_again(event_log: FakeEventLog) -> None:
    client = client_of(event_log)
    event_log.is_away = True
    answer = post(client, event_json())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "log_unavailable"
    event_log.is_away = False
    assert post(client, event_json()).status_code == 202
    assert len({event.event_id for event in event_log.events}) == 1


def test_a_log_that_never_answers_does_not_hold_the_client_without_end() -> None:
    class SilentLog:
        def append(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None = None) -> "Future[None]":
            return Future()

        def broker_time(self) -> datetime | None:
            return None

        def is_reachable(self) -> bool:
            return False

    assert post(client_of(SilentLog(), acknowledgement_seconds_max=0.01), event_json()).status_code == 503


def test_nothing_is_awaited_when_every_event_is_rejected(event_log: FakeEventLog) -> None:
    event_log.is_away = True
    assert post(client_of(event_log), event_json(view_duration=-1)).json()["rejected"] == 1


def test_a_forwarded_address_counts_only_from_a_trusted_proxy(event_log: FakeEventLog) -> None:
    forwarded = {"x-forwarded-for": "198.51.100.7"}
    post(client_of(event_log), event_json(), **forwarded)
    post(client_of(event_log, trusted_proxies=frozenset({"203.0.113.9"})), event_json(), **forwarded)
    networks = [json.loads(event.value)["client_network"] for event in event_log.events]
    assert networks == ["203.0.113.0/24", "198.51.100.0/24"]


def test_an_unexpected_error_shows_no_trace() -> None:
    class BrokenLog(FakeEventLog):
        def append(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None = None) -> "Future[None]":
            raise RuntimeError("secret detail")

    answer = post(client_of(BrokenLog()), event_json())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_other_paths_and_methods_are_problems_too(event_log: FakeEventLog) -> None:
    client = client_of(event_log)
    assert client.get("/v1/events").json()["code"] == "method_not_allowed"
    assert client.get("/nope").json()["code"] == "not_found"


def test_health_readiness_and_metrics(event_log: FakeEventLog) -> None:
    metrics = CollectorMetrics()
    client = client_of(event_log, metrics=metrics)
    post(client, b"[" + event_json(1) + b"," + event_json(2, view_duration=-1) + b"]")
    assert client.get("/metrics").status_code == 404
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    exposition = metrics.exposition().decode()
    assert 'view_events_received_total{status="accepted"} 1.0' in exposition
    assert 'view_events_received_total{status="rejected"} 1.0' in exposition
    assert "view_events_acknowledgement_seconds_count 1.0" in exposition
    event_log.is_away = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("path", ["/v1/events/", "/healthz/", "/v1//events", "/v1/events//"])
def test_a_path_that_is_nearly_right_is_a_problem_and_no_redirect(event_log: FakeEventLog, path: str) -> None:
    answer = client_of(event_log).post(path, content=event_json(), follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "location" not in answer.headers
    assert not event_log.events


def test_acknowledged_events_with_a_play_are_counted_by_the_country_of_the_play(event_log: FakeEventLog) -> None:
    metrics = CollectorMetrics()
    client = client_of(event_log, metrics=metrics, plays=Plays(play_reader([PLAY_KEY])))
    bodies = [{"play": token_of(geo_location=each), "view_duration": 9} for each in ("DE", "de", "Mars", None)]
    post(client, json.dumps([*bodies, event_fields(), {**bodies[0], "view_duration": -1}]).encode())
    exposition = metrics.exposition().decode()
    assert 'view_events_with_play_total{country="DE"} 2.0' in exposition
    assert 'view_events_with_play_total{country="ZZ"} 2.0' in exposition
    assert "view_events_with_play_by_player_total{" not in exposition, "no play names one"
    named = [{"play": token_of(player=each), "view_duration": 9} for each in ("web/3", "web/3", "tv/1")]
    post(client, json.dumps(named).encode())
    assert 'view_events_with_play_by_player_total{player="web/3"} 2.0' in metrics.exposition().decode()
    event_log.is_away = True
    post(client, json.dumps(bodies).encode())
    assert metrics.exposition().decode().count('with_play_total{country="DE"} 5.0') == 1


def test_the_key_of_too_many_plays_waits_and_neither_another_key_nor_events_without_a_play_do(
    event_log: FakeEventLog,
) -> None:
    seconds, other = [0.0], secret_key("other", bytes(range(96, 128)))
    rates = EventRates[str](1, lambda: seconds[0])
    client = client_of(event_log, play_rates=rates, plays=Plays(play_reader([PLAY_KEY, other])))

    def send(key: PlayKey, count: int) -> Any:
        tokens = [token_of(key, play_id=UUID(int=number, version=4)) for number in range(count)]
        lines = [json.dumps({"play": token, "view_duration": 30}).encode() for token in tokens]
        return post(client, b"\n".join([*lines, event_json(1)]), "application/x-ndjson")

    assert send(PLAY_KEY, 60).status_code == 202
    limited = send(PLAY_KEY, 30)
    assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
    assert (limited.headers["retry-after"], len(event_log.events)) == ("30", 61)
    assert send(other, 30).status_code == 202
    assert post(client, event_json(2)).status_code == 202
    seconds[0] = 30.0
    assert send(PLAY_KEY, 30).status_code == 202


def test_a_request_that_one_limit_refuses_takes_nothing_from_the_others(event_log: FakeEventLog) -> None:
    other = secret_key("other", bytes(range(96, 128)))
    network_rates: EventRates[str | None] = EventRates(1, lambda: 0.0)
    key_rates = EventRates[str](1, lambda: 0.0)
    plays = Plays(play_reader([PLAY_KEY, other]))
    client = client_of(event_log, rates=network_rates, play_rates=key_rates, plays=plays)

    def send(**counts: int) -> Any:
        keys = {"first": PLAY_KEY, "other": other}
        tokens = [token_of(keys[name], play_id=UUID(int=number, version=4))
                  for name, count in counts.items() for number in range(count)]  # fmt: skip
        lines = [json.dumps({"play": token, "view_duration": 30}).encode() for token in tokens]
        return post(client, b"\n".join(lines), "application/x-ndjson")

    key_rates.take("other", 50)
    for _ in range(9):
        assert send(first=20, other=11).status_code == 429
    assert send(first=50, other=10).status_code == 202, "the network and the first key still have their whole minute"
    assert send(first=1).status_code == 429
    assert len(event_log.events) == 60


def test_a_network_that_sends_too_much_is_answered_when_to_come_back_and_no_other_is(event_log: FakeEventLog) -> None:
    seconds = [0.0]
    metrics = CollectorMetrics()
    rates: EventRates[str | None] = EventRates(1, lambda: seconds[0])
    client = client_of(event_log, rates=rates, metrics=metrics, trusted_proxies=frozenset({"203.0.113.9"}))

    def send(address: str, count: int) -> Any:
        body = b"\n".join(event_json(number) for number in range(count))
        return post(client, body, "application/x-ndjson", **{"x-forwarded-for": address})

    assert send("198.51.100.7", 60).status_code == 202
    limited = send("198.51.100.8", 30)
    assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
    assert limited.headers["retry-after"] == "30"
    assert len(event_log.events) == 60
    assert send("192.0.2.1", 30).status_code == 202
    seconds[0] = 30.0
    assert send("198.51.100.7", 30).status_code == 202
    assert 'view_events_received_total{status="limited"} 30.0' in metrics.exposition().decode()
