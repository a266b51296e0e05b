"""The count of a video as an image: what it shows, who may embed it, and how long it is kept."""

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from serving_layer.access.access import Role
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.routes.http_api import Api, counts_app
from serving_layer.routes.http_badge import drawn
from tests.serving_access import bearer, guard_of
from tests.serving_fakes import SETTLED_UNTIL, FakePublished, FakeSpeed, history_of, reader_of

BADGE = "/v1/videos/-a/badge.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def speed() -> FakeSpeed:
    found = FakeSpeed()
    found.views = {(100, "-a"): 17}
    return found


@pytest.fixture
def client(speed: FakeSpeed) -> Iterator[TestClient]:
    published = FakePublished()
    published.publish({"-a": (1_000, 800)})
    metrics = ApiMetrics(now=lambda: SETTLED_UNTIL.timestamp() + 60)
    reader = reader_of(published, speed, observer=metrics)
    app = counts_app(Api(reader, metrics, guard_of(), history_of(reader), refresh_seconds=3600))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_the_image_shows_the_same_count_as_the_api_and_has_it_as_its_name(client: TestClient) -> None:
    answer = client.get(BADGE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    image = ElementTree.fromstring(answer.text)  # noqa: S314  our own document
    views = client.get("/v1/videos/-a/views").json()["views"]
    assert image.get("aria-label") == image.findtext(f"{SVG}title") == f"{views:,} views"
    assert [each.text for each in image.iter(f"{SVG}text")] == ["views", f"{views:,}"]


def test_any_page_may_embed_it_and_it_runs_nothing(client: TestClient) -> None:
    answer = client.get(BADGE, headers={"Origin": "https://blog.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-credentials" not in answer.headers
    assert "<script" not in answer.text


def test_it_is_kept_for_a_minute_and_an_unchanged_one_is_not_sent_again(client: TestClient, speed: FakeSpeed) -> None:
    first = client.get(BADGE)
    assert first.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=600"
    again = client.get(BADGE, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["access-control-allow-origin"] == "*"
    speed.views = {(100, "-a"): 18}
    changed = client.get(BADGE, headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, "1,018" in changed.text) == (200, True)
    assert client.get(BADGE, headers=bearer(Role.FINANCE)).headers["cache-control"].startswith("private")


def test_a_count_that_may_be_too_small_is_not_kept(client: TestClient, speed: FakeSpeed) -> None:
    speed.is_away = True
    answer = client.get(BADGE)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["x-missing-part"] == "redis"
    assert "1,000" in answer.text


def test_a_video_that_nobody_has_seen_has_zero_views_and_wrong_requests_get_a_reason(client: TestClient) -> None:
    assert "0 views" in client.get("/v1/videos/never-seen/badge.svg").text
    for path, code in (
        ("/v1/videos/a%2Fb/badge.svg", "video_id_malformed"),
        (f"{BADGE}?colour=red", "parameter_unknown"),
    ):
        assert client.get(path).json()["code"] == code


@pytest.mark.parametrize("views", [0, 7, 12_345, 10**15])
def test_the_text_of_any_count_lies_inside_the_image(views: int) -> None:
    image = ElementTree.fromstring(drawn(views))  # noqa: S314  our own document
    _, count = image.iter(f"{SVG}text")
    width, middle = float(image.get("width", 0)), float(count.get("x", 0))
    assert middle + 3.5 * len(f"{views:,}") < width
    assert middle - 3.5 * len(f"{views:,}") > 47
