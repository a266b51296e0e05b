from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from serving_layer.access.access import Role
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.routes.http_api import Api, counts_app
from tests.serving_access import bearer, guard_of
from tests.serving_fakes import SETTLED_UNTIL, FakePublished, FakeSpeed, history_of, reader_of

LOOKUP = "/v1/views:lookup"


class Served:
    """A running API over fakes."""

    def __init__(self, published: FakePublished, speed: FakeSpeed, client: TestClient, metrics: ApiMetrics) -> None:
        self.published, self.speed, self.client, self.metrics = published, speed, client, metrics

    def get(self, video_id: str, **headers: str) -> Any:
        return self.client.get(f"/v1/videos/{quote(video_id, safe='')}/views", headers=headers)


@pytest.fixture
def served() -> Iterator[Served]:
    published, speed = FakePublished(), FakeSpeed()
    published.publish({"-a": (1_000, 800), "_b": (5, 0)})
    speed.views = {(100, "-a"): 17}
    metrics = ApiMetrics(now=lambda: SETTLED_UNTIL.timestamp() + 60)
    reader = reader_of(published, speed, observer=metrics)
    app = counts_app(
        Api(reader, metrics, guard_of(observe=metrics.responded), history_of(reader), refresh_seconds=3600)
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Served(published, speed, client, metrics)


def test_a_count_is_answered_with_all_its_fields(served: Served) -> None:
    answer = served.get("-a", **bearer(Role.FINANCE))
    assert answer.status_code == 200
    assert answer.json() == {
        "video_id": "-a",
        "views": 1_017,
        "settled_views": 1_000,
        "provisional_views": 17,
        "billable_views": 800,
        "version": 1,
        "settled_until": "2026-11-23T08:00:00Z",
        "as_of": "2026-11-23T10:00:00Z",
        "complete": True,
        "known": True,
    }
    assert answer.headers["cache-control"] == "private, max-age=1"


def test_the_public_sees_every_number_but_the_billable_views(served: Served) -> None:
    known, public = served.get("-a", **bearer(Role.FINANCE)), served.get("-a")
    assert public.json() == known.json() | {"billable_views": None}
    assert public.headers["cache-control"] == "public, max-age=1"
    assert "Authorization" in public.headers["vary"]
    assert public.headers["etag"] != known.headers["etag"]
    counts = served.client.post(LOOKUP, json={"video_ids": ["-a"]}).json()["counts"]
    assert counts == [public.json()]


def test_the_plain_path_is_an_alias(served: Served) -> None:
    assert served.client.get("/videos/-a/views").json() == served.get("-a").json()


def test_an_unknown_video_has_zero_views_and_says_so(served: Served) -> None:
    answer = served.get("nobody-has-seen-it")
    assert answer.status_code == 200
    assert (answer.json()["views"], answer.json()["known"]) == (0, False)


@pytest.mark.parametrize("video_id", ["-a", "_b", "-", "_", "a" * 64, "__--__"])
def test_every_possible_id_is_served(served: Served, video_id: str) -> None:
    assert served.get(video_id).json()["video_id"] == video_id


@pytest.mark.parametrize("video_id", ["#NAME?", "a b", "a" * 65, "é", "a/b", "a%", ".."])
def test_an_impossible_id_is_told_what_ids_look_like(served: Served, video_id: str) -> None:
    answer = served.client.get(f"/v1/videos/{quote(video_id, safe='').replace('.', '%2E')}/views")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "video_id_malformed"
    assert "^[a-zA-Z0-9_-]+$" in answer.json()["detail"]
    assert "64" in answer.json()["detail"]


def test_no_path_with_the_character_nul_leads_anywhere(served: Served) -> None:
    answer = served.client.get("/v1/videos/a%00b/views")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_unchanged_count_is_not_sent_again(served: Served) -> None:
    tag = served.get("-a").headers["etag"]
    for condition in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        answer = served.get("-a", **{"if-none-match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert served.get("-a", **{"if-none-match": '"other"'}).status_code == 200
    served.speed.views[100, "-a"] = 18
    assert served.get("-a", **{"if-none-match": tag}).status_code == 200


def test_without_redis_the_settled_count_is_served_as_incomplete_and_not_kept(served: Served) -> None:
    served.speed.is_away = True
    answer = served.get("-a")
    assert (answer.status_code, answer.json()["views"], answer.json()["complete"]) == (200, 1_000, False)
    assert answer.headers["cache-control"] == "no-store"
    assert served.client.get("/readyz").json() == {"version": 1, "speed_layer_answers": False}
    for other in (
        served.client.get("/v1/videos/-a/views?format=csv"),
        served.client.post("/v1/views:lookup", json={"video_ids": ["-a"]}),
    ):
        assert other.headers["x-missing-part"] == answer.headers["x-missing-part"] == "redis"
    served.speed.is_away, served.speed.is_complete = False, False
    assert served.get("-a").headers["x-missing-part"] == "speed"
    served.speed.is_complete = True
    assert "x-missing-part" not in served.get("-a").headers


def test_without_postgres_cached_counts_are_served_and_others_are_a_problem(served: Served) -> None:
    served.get("-a")
    served.published.is_away = True
    assert served.get("-a").json()["views"] == 1_017
    answer = served.get("_b")
    assert (answer.status_code, answer.json()["code"]) == (503, "settled_counts_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert served.client.post(LOOKUP, json={"video_ids": ["-a", "_b"]}).status_code == 503


def test_an_api_that_never_saw_a_version_is_alive_but_not_ready() -> None:
    published = FakePublished()
    published.is_away = True
    metrics = ApiMetrics(now=lambda: 0.0)
    reader = reader_of(published, FakeSpeed(), observer=metrics)
    app = counts_app(Api(reader, metrics, guard_of(), history_of(reader)))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == client.get("/v1/videos/a/views").status_code == 503


def test_a_look_up_answers_in_order_under_one_version_in_one_round_trip(served: Served) -> None:
    answer = served.client.post(LOOKUP, json={"video_ids": ["_b", "-a", "nobody", "_b"]}).json()
    assert [count["video_id"] for count in answer["counts"]] == ["_b", "-a", "nobody", "_b"]
    assert [count["views"] for count in answer["counts"]] == [5, 1_017, 0, 5]
    assert (answer["version"], answer["complete"], answer["as_of"]) == (1, True, "2026-11-23T10:00:00Z")
    assert len(served.speed.trips) == 1


def test_a_look_up_takes_as_many_ids_as_promised(served: Served) -> None:
    video_ids = [f"video-{number}" for number in range(1_000)]
    answer = served.client.post(LOOKUP, json={"video_ids": video_ids})
    assert [count["video_id"] for count in answer.json()["counts"]] == video_ids


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body_malformed"),
        (b"nonsense", 400, "body_malformed"),
        (b"[]", 422, "lookup_invalid"),
        (b"{}", 422, "lookup_invalid"),
        (b'{"video_ids": "a"}', 422, "lookup_invalid"),
        (b'{"video_ids": [1]}', 422, "lookup_invalid"),
        (b'{"video_ids": ["a"], "more": 1}', 422, "lookup_invalid"),
        (b'{"video_ids": []}', 422, "lookup_size"),
        (b'{"video_ids": [' + b",".join([b'"a"'] * 1_001) + b"]}", 422, "lookup_size"),
        (b'{"video_ids": ["a", "#NAME?"]}', 422, "video_id_malformed"),
        (b'{"video_ids": ["\xff"]}', 400, "body_malformed"),
        (b" " * 300_000, 413, "body_too_large"),
    ],
)
def test_a_bad_look_up_is_a_problem_that_says_what_is_wrong(
    served: Served, body: bytes, status: int, code: str
) -> None:
    answer = served.client.post(LOOKUP, content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_broken_invariant_is_an_error_without_a_trace_and_never_a_number(served: Served) -> None:
    served.speed.views[100, "-a"] = -5
    answer = served.get("-a")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "Traceback" not in answer.text


def test_other_paths_and_methods_are_problems_too(served: Served) -> None:
    assert served.client.get("/nope").json()["code"] == "not_found"
    assert served.client.post("/v1/videos/a/views").json()["code"] == "method_not_allowed"


def test_the_documentation_names_every_field_of_a_count(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    assert set(document["components"]["schemas"]["ServedCount"]["properties"]) == set(served.get("-a").json())


def test_metrics_tell_latency_round_trips_version_and_age(served: Served) -> None:
    served.get("-a")
    served.client.post(LOOKUP, json={"video_ids": ["_b", "-a"]})
    assert served.client.get("/metrics").status_code == 404
    exposition = served.metrics.exposition().decode()
    for line in (
        'view_count_request_seconds_count{route="one_video"} 1.0',
        'view_count_read_seconds_count{store="speed"} 2.0',
        'view_count_read_ids_sum{store="speed"} 3.0',
        'view_count_answers_total{state="complete"} 3.0',
        "view_count_published_version 1.0",
        'view_count_responses_total{route="/v1/views:lookup",status="200"} 1.0',
        "view_count_settled_age_seconds 60.0",
    ):
        assert line in exposition


@pytest.mark.parametrize("path", ["/v1/videos/-a/views/", "/healthz/", "/v1/top/", "/openapi.json/"])
def test_a_path_that_is_nearly_right_is_a_problem_and_no_redirect(served: Served, path: str) -> None:
    answer = served.client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "location" not in answer.headers
