"""Plays over HTTP: the platform's own key signs, for views that begin now."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ingestion.contract.plays import PLAYERS_MAX, PLAYS_MAX, ReadPlay
from ingestion.jwt_plays import play_reader, play_signer
from ingestion.pseudonym import pseudonym_of
from serving_layer.access.access import Scope
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.routes.http_plays import play_routes
from tests.ingestion_fakes import KEY, NOW, PLAY_KEY
from tests.serving_access import CALLERS, OWNER, FakeKeys, guard_of

ASKED = {"video_id": "v", "user_id": "alice", "session_id": "s1", "revenue_eligible": True}


class Scene:
    def __init__(self) -> None:
        self.keys, self.metrics = FakeKeys(), ApiMetrics(now=lambda: 0.0)
        routes = play_routes(guard_of(self.keys), play_signer([PLAY_KEY], KEY, lambda: NOW), self.metrics)
        self.client = TestClient(FastAPI(routes=routes))
        self.platform = self.keys.add("0" * 16, Scope.PLAYS)

    def ask(self, body: Any, headers: dict[str, str] | None = None) -> Any:
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.post("/v1/plays", headers=self.platform if headers is None else headers, **sent)


def test_one_play_or_many_are_signed_in_order() -> None:
    scene = Scene()
    one = scene.ask(ASKED)
    assert (one.status_code, one.headers["cache-control"]) == (200, "no-store")
    many = scene.ask([{**ASKED, "video_id": f"v{index}", "ad_views_max": 3} for index in range(3)])
    read = play_reader([PLAY_KEY])
    (alone,) = one.json()["plays"]
    of_one = read(alone["play"])
    assert isinstance(of_one, ReadPlay)
    play = of_one.play
    assert (play.video_id, play.user_id, str(play.play_id)) == ("v", pseudonym_of("alice", KEY), alone["event_id"])
    found = [read(each["play"]) for each in many.json()["plays"]]
    assert [(each.play.video_id, each.play.ad_views_max) for each in found if isinstance(each, ReadPlay)] == [
        ("v0", 3),
        ("v1", 3),
        ("v2", 3),
    ]
    assert b'view_plays_signed_total{country="ZZ"} 4.0' in scene.metrics.exposition()
    assert b"view_plays_signed_by_player_total{" not in scene.metrics.exposition(), "no play names one"


def test_plays_are_counted_by_the_player_that_they_name_and_later_ones_together() -> None:
    scene = Scene()
    asked = [{**ASKED, "player": "web/3.2.1"}, {**ASKED, "player": "web/3.2.1"}, ASKED, {**ASKED, "player": "tv/9"}]
    tokens = [each["play"] for each in scene.ask(asked).json()["plays"]]
    read = play_reader([PLAY_KEY])
    assert [found.play.player for token in tokens if isinstance(found := read(token), ReadPlay)] == [
        "web/3.2.1", "web/3.2.1", None, "tv/9",
    ]  # fmt: skip
    assert b'view_plays_signed_by_player_total{player="web/3.2.1"} 2.0' in scene.metrics.exposition()
    assert scene.ask([{**ASKED, "player": f"app/{number}"} for number in range(PLAYERS_MAX)]).status_code == 200
    text = scene.metrics.exposition().decode()
    assert 'view_plays_signed_by_player_total{player="other"} 2.0' in text
    assert text.count("view_plays_signed_by_player_total{") == PLAYERS_MAX + 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body_malformed"),
        (b"{", 400, "body_malformed"),
        (b"\xff", 400, "body_malformed"),
        ([], 422, "plays_invalid"),
        ([ASKED] * (PLAYS_MAX + 1), 422, "plays_invalid"),
        ({}, 422, "plays_invalid"),
        ({**ASKED, "video_id": "a b"}, 422, "plays_invalid"),
        ({**ASKED, "ad_views_max": 51}, 422, "plays_invalid"),
        ({**ASKED, "player": "web"}, 422, "plays_invalid"),
        ({**ASKED, "player": "web/1 2"}, 422, "plays_invalid"),
        ({**ASKED, "player": "w" * 41 + "/1"}, 422, "plays_invalid"),
        ({**ASKED, "monetised": True}, 422, "plays_invalid"),
        ([ASKED, {}], 422, "plays_invalid"),
        (
            json.dumps([ASKED, ASKED]).encode().replace(b"true}]", b'true, "revenue_eligible": false}]'),
            422,
            "plays_invalid",
        ),
    ],
)
def test_a_request_of_another_form_signs_nothing(body: Any, status: int, code: str) -> None:
    scene = Scene()
    answer = scene.ask(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert b"view_plays_signed_total{" not in scene.metrics.exposition()


def test_a_parameter_is_refused_with_a_whole_sentence() -> None:
    scene = Scene()
    answer = scene.client.post("/v1/plays?x=1", headers=scene.platform, json=ASKED)
    assert (answer.status_code, answer.json()["detail"]) == (422, "'x' is not a parameter here; this route takes none")


def test_only_a_key_with_the_scope_that_is_bound_to_no_payee_has_plays_signed() -> None:
    scene = Scene()
    for who in ("owner", "finance", "auditor", "operator"):
        assert scene.ask(ASKED, CALLERS[who]).json()["code"] == "scope_missing"
    assert scene.ask(ASKED, {}).json()["code"] == "credentials_missing"
    assert scene.ask(ASKED, scene.keys.add("1" * 16, Scope.COUNTS)).json()["code"] == "scope_missing"
    bound = scene.keys.add("2" * 16, Scope.PLAYS, payee_id=OWNER)
    assert scene.ask(ASKED, bound).json()["code"] == "not_found"
