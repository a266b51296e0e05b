"""Series, channels, rankings and live counts over HTTP, on fakes; every answer against the OpenAPI document."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any

import jsonschema
import msgspec
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.jwt_plays import play_signer
from serving_layer.access.access import GRANTS, Caller, Role, Scope, anonymous
from serving_layer.access.http_access import GuardedRoute
from serving_layer.counts.live_counts import LiveCount
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.history.series import CompletionSum, ViewerSum
from serving_layer.money.estimate_reader import EstimateReader
from serving_layer.money.todays_estimate import LIVE_VIDEOS_MAX
from serving_layer.problems.problems import CODES, ProblemError
from serving_layer.request.cursors import Cursors
from serving_layer.routes.http_api import Api, counts_app
from serving_layer.routes.http_appeals import appeal_routes
from serving_layer.routes.http_catalogue import catalogue_routes
from serving_layer.routes.http_counts import served as served_counts
from serving_layer.routes.http_estimates import estimate_routes
from serving_layer.routes.http_live import LiveLimits, LiveStreams
from serving_layer.routes.http_plays import play_routes
from serving_layer.routes.http_proofs import Proofs, proof_routes
from serving_layer.routes.http_statements import ServedStatements, statement_routes
from tests.api_document import described_route, hold, part_of, resolved
from tests.ingestion_fakes import KEY, NOW, PLAY_KEY
from tests.proof_fakes import EVENT, STATEMENT, FakeProofs
from tests.serving_access import CALLERS, OTHER, OWNER, bearer, guard_of
from tests.serving_fakes import (
    FakeAppeals,
    FakeChannels,
    FakeDayRates,
    FakeHistory,
    FakeImports,
    FakePublished,
    FakeSpeed,
    FakeStatements,
    InlineExecutor,
    history_of,
    reader_of,
    statement,
    statement_id,
)

FINANCE = bearer(Role.FINANCE)
DAY = "from=2026-11-20&to=2026-11-23"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


class Served:
    """A running API: two versions published on the 21st and 22nd; OWNER has -a and _b, OTHER has c."""

    def __init__(self, *, counts_are_public: bool = True, allowed_lateness: timedelta = timedelta(days=1)) -> None:
        self.published, self.speed, self.history = FakePublished(), FakeSpeed(), FakeHistory()
        self.published.publish({"-a": (3, 2), "c": (1, 1)})
        self.published.publish({"-a": (4, 3), "_b": (1, 0)})
        self.history.publish(
            1,
            at(21, 12),
            ("-a", at(20, 9, 5), "DE", "tv", True, 10),
            ("-a", at(20, 23, 50), "IN", "phone", True, 61),
            ("-a", at(21, 3, 20), "DE", "tv", False, 0),
            ("c", at(20, 10), "FR", "tv", True, 30),
        )
        self.history.publish(
            2, at(22, 12), ("-a", at(20, 9, 55), "DE", "phone", True, 29), ("_b", at(22, 11), "DE", "tv", False, 86_400)
        )
        self.speed.views = {(200, "-a"): 7}
        self.now = at(22, 18)
        metrics = ApiMetrics(now=lambda: 0.0)
        reader = self.reader = reader_of(self.published, self.speed, observer=metrics)
        channels = self.channels = FakeChannels({OWNER: ["-a", "_b"], OTHER: ["c"], "empty": []}, known_from=2)
        history = history_of(reader, self.history, channels, counts_are_public=counts_are_public)
        live = LiveStreams(LiveLimits(connections_max=1, poll_seconds=0.0, heartbeat_seconds=0.0, lifetime_seconds=0.2))
        guard = guard_of(counts_are_public=counts_are_public)
        self.statements = FakeStatements(
            *(statement(OWNER, number, state) for number, state in enumerate(("in_review", "finalised", "paid"))),
            statement(OTHER, 0, "finalised"),
        )
        self.rates = FakeDayRates(OWNER)
        estimates = EstimateReader(
            history.reader,
            partial(served_counts, reader, metrics),
            self.rates,
            executor=InlineExecutor(),
            now=lambda: self.now,
            allowed_lateness=allowed_lateness,
        )
        proofs = FakeProofs()
        routes = statement_routes(guard, ServedStatements(self.statements, history.cursors, InlineExecutor()))
        routes += estimate_routes(guard, estimates)
        routes += proof_routes(guard, Proofs(proofs, proofs, InlineExecutor()))
        self.appeals = FakeAppeals()
        books = ServedStatements(self.statements, history.cursors, InlineExecutor())
        routes += appeal_routes(guard, books, self.appeals, InlineExecutor())
        routes += catalogue_routes(guard, FakeImports(), InlineExecutor())
        routes += play_routes(guard, play_signer([PLAY_KEY], KEY, lambda: NOW), metrics)
        self.app = counts_app(Api(reader, metrics, guard, history, live, routes, refresh_seconds=3600))
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def get(self, path: str, headers: Any = FINANCE) -> Any:
        return self.client.get(path, headers=headers)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    with made.client:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    """An API for tests that only ask, so that it is made once."""
    made = Served()
    with made.client:
        yield made


def views(answer: Any) -> list[tuple[str, int, int]]:
    return [(row["start"], row["views"], row["billable_views"]) for row in answer.json()["rows"]]


def test_a_series_has_a_row_for_every_window_also_for_those_without_views(shared: Served) -> None:
    answer = shared.get(f"/v1/videos/-a/views/series?{DAY}")
    assert views(answer) == [
        ("2026-11-20T00:00:00Z", 3, 3),
        ("2026-11-21T00:00:00Z", 1, 0),
        ("2026-11-22T00:00:00Z", 0, 0),
    ]
    body = answer.json()
    assert (body["version"], body["complete"], body["next"]) == (2, True, None)
    assert body["settled_until"] == body["as_of"] == "2026-11-23T08:00:00Z"


def measured(answer: Any, measure: str) -> list[float | None]:
    return [row[measure] for row in answer.json()["rows"]]


def test_a_series_says_how_long_was_watched_and_how_long_a_view_lasted(shared: Served) -> None:
    whole = shared.get(f"/v1/videos/-a/views/series?{DAY}&measure=watched_seconds")
    assert measured(whole, "watched_seconds") == [100, 0, 0]
    assert views(whole) == views(shared.get(f"/v1/videos/-a/views/series?{DAY}")), "beside the views"
    assert (whole.json()["measure"], whole.json()["settled_until"]) == ("watched_seconds", "2026-11-23T08:00:00Z")
    assert "average_view_duration" not in whole.text
    average = shared.get(f"/v1/videos/-a/views/series?{DAY}&measure=average_view_duration")
    assert measured(average, "average_view_duration") == [33.333, 0, None], "nobody watched on the last day"
    assert "watched_seconds" not in average.text
    grouped = shared.get(f"/v1/videos/-a/views/series?{DAY}&window=month&group_by=device&measure=watched_seconds")
    assert measured(grouped, "watched_seconds") == [90, 10]
    channel = shared.get(f"/v1/channels/{OWNER}/views/series?{DAY}&measure=average_view_duration")
    assert measured(channel, "average_view_duration") == [33.333, 0, 86_400]


def test_a_series_of_views_alone_says_nothing_of_other_measures(shared: Served) -> None:
    plain = shared.get(f"/v1/videos/-a/views/series?{DAY}")
    assert shared.get(f"/v1/videos/-a/views/series?{DAY}&measure=views").content == plain.content
    assert "measure" not in plain.json()
    assert set(plain.json()["rows"][0]) == {"start", "end", "views", "billable_views"}


def test_watched_seconds_of_a_version_that_has_none_are_not_made_up(served: Served) -> None:
    served.history.unsummed_until = 1
    for measure in ("watched_seconds", "average_view_duration"):
        before = served.get(f"/v1/videos/-a/views/series?{DAY}&version=1&measure={measure}")
        no_views = 0 if measure == "watched_seconds" else None
        assert measured(before, measure) == [None, None, no_views]
        assert measured(served.get(f"/v1/videos/-a/views/series?{DAY}&measure={measure}"), measure)[0] is not None


def test_a_measure_is_a_column_of_csv(shared: Served) -> None:
    answer = shared.get(f"/v1/videos/-a/views/series?{DAY}&measure=average_view_duration&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["views"], row["average_view_duration"]) for row in rows] == [("3", "33.333"), ("1", "0.0"), ("0", "")]
    assert "average_view_duration" not in shared.get(f"/v1/videos/-a/views/series?{DAY}&format=csv").text


def test_unique_viewers_are_counted_once_in_a_window_however_many_days_and_videos_it_has(served: Served) -> None:
    first, second = date(2026, 11, 20), date(2026, 11, 21)
    served.history.viewer_changes = [
        (1, "-a", first, "anna", 1), (1, "-a", second, "anna", 1), (1, "-a", second, "bert", 1),
        (2, "-a", second, "bert", -1), (2, "-a", second, "cara", 1), (2, "c", second, "anna", 1),
    ]  # fmt: skip
    series = f"/v1/videos/-a/views/series?{DAY}&measure=unique_viewers"
    assert measured(served.get(series), "unique_viewers") == [1, 2, 0]
    assert measured(served.get(f"{series}&window=range"), "unique_viewers") == [2], "and not the sum of its days"
    assert measured(served.get(f"{series}&window=range&version=1"), "unique_viewers") == [2]
    assert measured(served.get(f"{series}&window=month"), "unknown_viewers") == [0]
    channel = served.get(f"/v1/channels/{OWNER}/views/series?{DAY}&measure=unique_viewers")
    assert measured(channel, "unique_viewers") == [1, 2, 0], "who watches two videos is one viewer"
    rows = list(csv.DictReader(io.StringIO(served.get(f"{series}&window=range&format=csv").text)))
    assert [(row["unique_viewers"], row["unknown_viewers"]) for row in rows] == [("2", "0")]


def test_who_is_unknown_is_counted_once_for_every_day_and_said_to_be(served: Served) -> None:
    days = [date(2026, 11, day) for day in (20, 21)]
    served.history.viewer_changes = [(1, "-a", day, viewer, 1) for day in days for viewer in ("anna", "bert")]
    served.history.forgotten = {"anna"}
    row = served.get(f"/v1/videos/-a/views/series?{DAY}&measure=unique_viewers&window=range").json()["rows"][0]
    assert (row["unique_viewers"], row["unknown_viewers"]) == (3, 2)


def test_unique_viewers_of_a_version_that_counted_none_are_not_made_up(served: Served) -> None:
    served.history.uncounted_until = 1
    before = served.get(f"/v1/videos/-a/views/series?{DAY}&version=1&measure=unique_viewers")
    assert measured(before, "unique_viewers") == [None, None, None]
    assert "unknown_viewers" not in before.text


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("window=hour", "window=hour in the timezone UTC"),
        ("group_by=country", "has no group_by"),
        ("timezone=Europe/Berlin", "window=day in the timezone Europe/Berlin"),
        ("from=2026-11-20T12:00:00Z", "with this from and to"),
    ],
)
@pytest.mark.parametrize("measure", ["unique_viewers", "completion"])
def test_what_is_kept_by_day_is_refused_of_parts_of_days(shared: Served, asked: str, named: str, measure: str) -> None:
    days = "to=2026-11-23" if asked.startswith("from") else DAY
    answer = shared.get(f"/v1/videos/-a/views/series?{days}&{asked}&measure={measure}")
    assert (answer.status_code, answer.json()["code"], named in answer.json()["detail"]) == (
        422,
        "measure_by_day",
        True,
    )


def test_more_unknown_viewers_than_viewers_are_an_error(served: Served) -> None:
    served.history.viewers = lambda *_: [ViewerSum(0, 1, 2)]  # type: ignore[method-assign]
    assert served.get(f"/v1/videos/-a/views/series?{DAY}&measure=unique_viewers").status_code == 500


COMPLETION = ["length_known_views", "reached_25", "reached_50", "reached_75", "reached_100"]


def test_completion_says_of_how_many_views_the_length_is_known_and_how_far_they_got(served: Served) -> None:
    served.history.lengths = {"-a": 60}
    series = f"/v1/videos/-a/views/series?{DAY}&measure=completion"
    rows = served.get(series).json()["rows"]
    assert [[row[name] for name in COMPLETION] for row in rows] == [[3, 2, 1, 1, 1], [1, 0, 0, 0, 0], [0] * 5]
    whole = served.get(f"{series}&window=range&format=csv")
    assert [row["reached_25"] for row in csv.DictReader(io.StringIO(whole.text))] == ["2"]
    channel = served.get(f"/v1/channels/{OWNER}/views/series?{DAY}&measure=completion").json()
    assert [row["length_known_views"] for row in channel["rows"]] == [3, 1, 0], "the length of the other is not known"
    assert channel["measure"] == "completion"


def test_completion_of_a_version_that_did_not_sum_it_is_not_made_up(served: Served) -> None:
    served.history.lengths, served.history.unreached_until = {"-a": 60}, 1
    before = served.get(f"/v1/videos/-a/views/series?{DAY}&version=1&measure=completion").json()["rows"]
    assert [[row[name] for name in COMPLETION] for row in before] == [[None] * 5, [None] * 5, [0] * 5]


@pytest.mark.parametrize("sums", [(4, 0, 0, 0, 0), (2, 1, 2, 0, 0), (2, 1, 1, 1, -1)])
def test_more_views_that_reached_a_part_than_the_one_before_are_an_error(
    served: Served, sums: tuple[int, int, int, int, int]
) -> None:
    served.history.completion = lambda *_: [CompletionSum(0, *sums)]  # type: ignore[method-assign]
    assert served.get(f"/v1/videos/-a/views/series?{DAY}&measure=completion").status_code == 500


def test_an_unknown_measure_is_refused_with_those_there_are(shared: Served) -> None:
    answer = shared.get(f"/v1/videos/-a/views/series?{DAY}&measure=likes")
    assert (answer.status_code, answer.json()["code"]) == (422, "measure_unknown")
    assert (
        answer.json()["detail"]
        == "measure is 'likes'; allowed are views, watched_seconds, average_view_duration, unique_viewers, completion"
    )


def test_a_window_longer_watched_than_its_views_can_last_is_an_error(served: Served) -> None:
    served.history.publish(3, at(23, 12), ("-a", at(22, 1), "DE", "tv", False, 86_401))
    served.published.publish({"-a": (5, 3)})
    assert served.get(f"/v1/videos/-a/views/series?{DAY}&version=3").status_code == 500


def test_a_series_that_ends_after_what_is_settled_is_not_complete(shared: Served) -> None:
    assert shared.get("/v1/videos/-a/views/series?from=2026-11-20&to=2026-11-24").json()["complete"] is False


def test_days_are_those_of_the_time_zone(shared: Served) -> None:
    answer = shared.get(f"/v1/videos/-a/views/series?{DAY}&timezone=Asia/Kolkata")
    assert views(answer) == [
        ("2026-11-20T00:00:00+05:30", 2, 2),
        ("2026-11-21T00:00:00+05:30", 2, 1),
        ("2026-11-22T00:00:00+05:30", 0, 0),
    ]


def test_groups_have_rows_where_there_are_views(shared: Served) -> None:
    answer = shared.get(f"/v1/videos/-a/views/series?{DAY}&window=month&group_by=device,country")
    rows = [(row["country"], row["device"], row["views"]) for row in answer.json()["rows"]]
    assert rows == [("DE", "phone", 1), ("DE", "tv", 2), ("IN", "phone", 1)]
    by_country = shared.get(f"/v1/videos/-a/views/series?{DAY}&window=month&group_by=country").json()["rows"]
    assert [(row["country"], row["views"]) for row in by_country] == [("DE", 3), ("IN", 1)]
    assert "device" not in by_country[0]


def test_a_version_always_answers_the_same_bytes_and_may_be_cached(served: Served) -> None:
    paths = [
        f"/v1/videos/-a/views/series?{DAY}&version=1",
        f"/v1/videos/-a/views/series?{DAY}&as_of=2026-11-21T12:00:00Z",
        "/v1/videos/-a/views?version=1",
        "/v1/videos/-a/views?as_of=2026-11-22T11:59:59Z",
        f"/v1/top?{DAY}&version=1",
    ]
    before = [served.get(path) for path in paths]
    served.speed.views[200, "-a"] = 99
    served.history.publish(3, at(23, 12), ("-a", at(20, 9), "DE", "tv", True, 60))
    for path, former in zip(paths, before, strict=True):
        assert (served.get(path).content, former.status_code) == (former.content, 200), path
        assert former.json()["version"] == 1
        assert ("immutable" in former.headers["cache-control"]) == ("version=" in path)
    assert before[2].json() | {"known": True} == {
        "video_id": "-a", "views": 3, "settled_views": 3, "provisional_views": 0, "billable_views": 2, "version": 1,
        "settled_until": "2026-11-23T08:00:00Z", "as_of": "2026-11-23T08:00:00Z", "complete": True, "known": True,
    }  # fmt: skip


def test_an_unchanged_series_is_not_sent_again(shared: Served) -> None:
    path = f"/v1/videos/-a/views/series?{DAY}"
    tag = shared.get(path).headers["etag"]
    assert shared.get(path, {**FINANCE, "If-None-Match": tag}).status_code == 304
    assert shared.get(path, {**FINANCE, "If-None-Match": '"other"'}).status_code == 200


def test_pages_stay_with_the_version_of_the_first_one(served: Served) -> None:
    path = f"/v1/videos/-a/views/series?{DAY}&limit=2"
    first = served.get(path)
    assert len(first.json()["rows"]) == 2
    served.published.publish({"-a": (5, 3)})
    served.history.publish(3, at(23, 12), ("-a", at(22, 1), "DE", "tv", False, 60))
    last = served.get(f"{path}&cursor={first.json()['next']}")
    assert (last.json()["version"], views(last)) == (2, [("2026-11-22T00:00:00Z", 0, 0)])
    assert last.json()["next"] is None
    assert first.headers["link"].endswith('rel="next"')


@pytest.mark.parametrize(
    "cursor", ["", "x", "AAAA", "a" * 200, "ä", "!!!", "MA", Cursors(b"other").text("/v1/top?", 1, 5)]
)
def test_a_cursor_that_was_not_given_out_for_this_query_is_refused(shared: Served, cursor: str) -> None:
    path = f"/v1/videos/-a/views/series?{DAY}&limit=2"
    if cursor:
        assert shared.get(f"{path}&cursor={cursor}").json()["code"] == "cursor_invalid"
    good = shared.get(path).json()["next"]
    assert shared.get(f"/v1/videos/_b/views/series?{DAY}&limit=2&cursor={good}").json()["code"] == "cursor_invalid"
    with pytest.raises(ProblemError):
        Cursors(b"k" * 32).read("query", good)


def test_csv_has_the_same_numbers_and_says_how_far_they_go(served: Served) -> None:
    answer = served.get(f"/v1/videos/-a/views/series?{DAY}&group_by=country&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == [
        "start", "end", "country", "views", "billable_views", "version", "settled_until", "as_of", "complete",
    ]  # fmt: skip
    assert [(row["country"], row["views"], row["complete"]) for row in rows][:2] == [
        ("DE", "2", "true"),
        ("IN", "1", "true"),
    ]
    for path in ("/v1/videos/-a/views", f"/v1/top?{DAY}", f"/v1/channels/{OWNER}/views"):
        received = served.client.get(path, headers={**FINANCE, "Accept": "text/csv"})
        assert received.headers["content-type"] == "text/csv; charset=utf-8", path
        assert received.text.splitlines()[0].endswith("version,settled_until,as_of,complete")
    assert served.client.get(f"/v1/top?{DAY}", headers={"Accept": "image/png"}).json()["code"] == "not_acceptable"


def test_a_channel_is_the_sum_of_its_videos_settled_and_provisional(shared: Served) -> None:
    channel = shared.get(f"/v1/channels/{OWNER}/views", CALLERS["owner"]).json()
    assert (channel["videos"], channel["views"], channel["settled_views"], channel["provisional_views"]) == (
        2,
        12,
        5,
        7,
    )
    assert (channel["billable_views"], channel["version"], channel["complete"]) == (3, 2, True)
    settled = shared.get(f"/v1/channels/{OWNER}/views?version=2").json()
    assert (settled["views"], settled["provisional_views"]) == (5, 0)
    series = shared.get(f"/v1/channels/{OWNER}/views/series?{DAY}", CALLERS["owner"])
    assert [row[1] for row in views(series)] == [3, 1, 1]
    assert shared.get("/v1/channels/empty/views").json()["views"] == 0


def test_a_channel_at_a_version_is_what_the_catalogue_said_then(shared: Served) -> None:
    assert shared.get(f"/v1/channels/{OWNER}/views?version=1").json()["code"] == "not_found"


def test_without_redis_a_channel_shows_what_is_settled_and_is_not_kept(served: Served) -> None:
    served.speed.is_away = True
    answer = served.get(f"/v1/channels/{OWNER}/views")
    assert (answer.json()["views"], answer.json()["complete"]) == (5, False)
    assert answer.headers["cache-control"] == "no-store"


def test_the_ranking_puts_most_first_and_equal_ones_in_order(shared: Served) -> None:
    rows = shared.get(f"/v1/top?{DAY}").json()["rows"]
    assert [(row["rank"], row["video_id"], row["views"], row["billable_views"]) for row in rows] == [
        (1, "-a", 4, 3),
        (2, "_b", 1, 0),
        (3, "c", 1, 1),
    ]
    assert [row["billable_views"] for row in shared.get(f"/v1/top?{DAY}", {}).json()["rows"]] == [None] * 3
    billable = shared.get(f"/v1/top?{DAY}&by=billable_views&limit=1").json()
    assert billable["rows"] == [{"rank": 1, "video_id": "-a", "views": 4, "billable_views": 3}]
    following = shared.get(f"/v1/top?{DAY}&by=billable_views&limit=1&cursor={billable['next']}").json()
    assert [row["video_id"] for row in following["rows"]] == ["c"]


def test_billable_views_are_shown_to_their_payee_only(served: Served) -> None:
    def billable(video_id: str, who: str) -> Any:
        count = served.get(f"/v1/videos/{video_id}/views", CALLERS[who]).json()
        looked_up = served.client.post("/v1/views:lookup", json={"video_ids": [video_id]}, headers=CALLERS[who]).json()
        assert looked_up["counts"] == [count]
        rows = served.get(f"/v1/videos/{video_id}/views/series?{DAY}&window=month", CALLERS[who]).json()["rows"]
        assert (rows[0]["billable_views"] is None) == (count["billable_views"] is None)
        return count["billable_views"]

    assert [billable("-a", who) for who in ("owner", "other creator", "finance", "operator", "anonymous")] == [
        3, None, 3, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/v1/videos/-a/views/series?{DAY}&window=week", "window_unknown"),
        (f"/v1/videos/-a/views/series?{DAY}&timezone=Mars/Olympus", "timezone_unknown"),
        (f"/v1/videos/-a/views/series?{DAY}&group_by=quality", "group_unknown"),
        (f"/v1/videos/-a/views/series?{DAY}&limit=0", "limit_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&limit=10001", "limit_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&limit=1e3", "limit_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&version=x", "version_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&version=0", "version_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&version=1&as_of=2026-11-21T12:00:00Z", "version_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&version=99", "version_not_found"),
        (f"/v1/videos/-a/views/series?{DAY}&as_of=2026-11-01T00:00:00Z", "version_not_found"),
        (f"/v1/videos/-a/views/series?{DAY}&as_of=2026-11-21", "as_of_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&as_of=2027-11-21T00:00:00Z", "as_of_invalid"),
        (f"/v1/videos/-a/views/series?{DAY}&format=xml", "format_unknown"),
        (f"/v1/videos/-a/views/series?{DAY}&nonsense=1", "parameter_unknown"),
        (f"/v1/videos/-a/views/series?{DAY}&to=2026-11-24", "parameter_repeated"),
        ("/v1/videos/-a/views/series", "range_invalid"),
        ("/v1/videos/-a/views/series?from=2026-11-21&to=2026-11-20", "range_invalid"),
        ("/v1/videos/-a/views/series?from=2020-01-01&to=2026-11-20&window=hour", "range_too_large"),
        ("/v1/videos/-a/views/series?from=2026-11-20T00:00:00+01:00&to=2026-11-23", "range_invalid"),
        (f"/v1/videos/a%20b/views/series?{DAY}", "video_id_malformed"),
        (f"/v1/videos/a%2Fb/views/series?{DAY}", "video_id_malformed"),
        (f"/v1/top?{DAY}&by=likes", "order_unknown"),
        (f"/v1/top?{DAY}&limit=1001", "limit_invalid"),
        ("/v1/top?from=2026-11-20T00:00:00Z&to=2026-11-21", "range_invalid"),
        ("/v1/top?from=2020-01-01&to=2026-01-01", "range_too_large"),
        ("/v1/channels/nobody/views", "not_found"),
        ("/v1/videos/-a/views?version=0", "version_invalid"),
        ("/v1/videos/-a/views?cursor=x", "parameter_unknown"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence_with_a_stable_code(shared: Served, path: str, code: str) -> None:
    answer = shared.get(path)
    assert answer.json()["code"] == code, answer.text
    assert answer.status_code == CODES[code][0]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "years"),
    [
        (f"/v1/videos/-a/views/series?{DAY}&as_of=9999-12-31T00:00:00Z", "from 1970 to 9998"),
        ("/v1/top?from=2026-11-20&to=9999-12-31", "from 1970 to 9998"),
        ("/v1/videos/-a/views/series?from=2026-11-20&to=9999-12-31", "2000 and 2100"),
        ("/v1/videos/-a/views/series?from=1969-12-31&to=2026-11-20", "2000 and 2100"),
    ],
)
def test_an_instant_of_another_age_is_told_which_years_there_are(shared: Served, path: str, years: str) -> None:
    assert years in shared.get(path).json()["detail"]


def test_a_store_that_is_away_or_slow_is_named_and_what_needs_it_not_is_served(served: Served) -> None:
    served.history.is_away = True
    answer = served.get(f"/v1/videos/-a/views/series?{DAY}")
    assert (answer.status_code, answer.json()["code"]) == (503, "settled_counts_unavailable")
    assert "PostgreSQL" in answer.json()["detail"]
    assert served.get("/v1/videos/-a/views").json()["views"] == 11
    served.history.is_away, served.history.is_slow = False, True
    answer = served.get(f"/v1/channels/{OWNER}/views/series?{DAY}")
    assert (answer.status_code, answer.json()["code"]) == (503, "query_too_slow")
    assert int(answer.headers["retry-after"]) > 0


def test_live_counts_are_sent_when_they_change_and_not_what_is_known_already(served: Served) -> None:
    text = served.get("/v1/videos/-a/views/live", {}).text
    assert text.startswith("retry: 2000\n\nid: ")
    assert text.count("event: count") == 1
    assert ": still here" in text
    sent = msgspec.json.decode(text.split("data: ")[1].split("\n")[0])
    assert (sent["views"], sent["billable_views"]) == (11, None)
    event_id = text.split("id: ")[1].split("\n")[0]
    assert "event: count" not in served.get("/v1/videos/-a/views/live", {"Last-Event-ID": event_id}).text
    for odd in ("", "nonsense", "x" * 1000, "<script>"):
        assert served.get("/v1/videos/-a/views/live", {"Last-Event-ID": odd}).text.count("event: count") == 1
    assert served.get("/v1/videos/a%20b/views/live").json()["code"] == "video_id_malformed"


def test_a_channels_live_count_is_the_sum_of_its_videos_and_the_answer_of_its_route(served: Served) -> None:
    path, who = f"/v1/channels/{OWNER}/views", CALLERS["owner"]
    text = served.get(f"{path}/live", who).text
    assert text.startswith("retry: 2000\n\nid: ")
    assert text.count("event: count") == 1
    sent = msgspec.json.decode(text.split("data: ")[1].split("\n")[0])
    assert sent == served.get(path, who).json()
    assert (sent["views"], sent["provisional_views"], sent["billable_views"]) == (12, 7, 3)
    event_id = text.split("id: ")[1].split("\n")[0]
    assert "event: count" not in served.get(f"{path}/live", {**who, "Last-Event-ID": event_id}).text
    served.speed.views[200, "_b"] = 1
    changed = served.get(f"{path}/live", {**who, "Last-Event-ID": event_id}).text
    assert msgspec.json.decode(changed.split("data: ")[1].split("\n")[0])["views"] == 13
    assert served.get("/v1/channels/empty/views/live").text.count("event: count") == 1
    assert served.get("/v1/channels/nobody/views/live").json()["code"] == "not_found"


def test_a_channel_without_redis_names_the_part_that_is_missing(served: Served) -> None:
    served.speed.is_away = True
    answer = served.get(f"/v1/channels/{OWNER}/views")
    assert (answer.json()["complete"], answer.json()["views"], answer.headers["x-missing-part"]) == (False, 5, "redis")


def test_a_stream_says_when_the_count_cannot_be_read_and_goes_on(served: Served) -> None:
    async def unreadable(_: Any) -> Any:
        raise UnavailableError(Part.POSTGRES, "gone")

    read, served.reader.read = served.reader.read, unreadable  # type: ignore[method-assign]
    text = served.get(f"/v1/channels/{OWNER}/views/live").text
    assert text.count(": the count cannot be read now") > 1
    served.reader.read = read  # type: ignore[method-assign]
    assert "event: count" in served.get(f"/v1/channels/{OWNER}/views/live").text


def test_a_payee_sees_statements_once_they_are_decided_and_those_who_check_see_all(shared: Served) -> None:
    def listed(who: str) -> list[str]:
        rows = shared.get(f"/v1/channels/{OWNER}/statements", CALLERS[who]).json()["rows"]
        return [row["state"] for row in rows]

    everything = ["in_review", "finalised", "paid"]
    assert (listed("owner"), listed("finance"), listed("auditor")) == (everything[1:], everything, everything)
    assert shared.get(f"/v1/statements/{statement_id(OWNER, 0)}", CALLERS["owner"]).status_code == 404
    assert shared.get(f"/v1/statements/{statement_id(OWNER, 0)}", CALLERS["finance"]).status_code == 200
    assert shared.get("/v1/statements/never-was").status_code == 404
    assert shared.get("/v1/statements/%22%27").status_code == 404


def test_payees_get_the_bundle_of_their_own_decided_statement(shared: Served) -> None:
    path = f"/v1/statements/{statement_id(OWNER, 1)}/bundle"
    answer = shared.get(path, CALLERS["owner"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {"statement_id": statement_id(OWNER, 1)}
    waiting = f"/v1/statements/{statement_id(OWNER, 0)}/bundle"
    assert [shared.get(waiting, CALLERS[who]).status_code for who in ("owner", "finance")] == [404, 200]
    assert shared.get(f"{path}?form=csv", CALLERS["owner"]).json()["code"] == "parameter_unknown"


def test_a_payee_that_nobody_knows_is_named_to_those_who_see_all(served: Served) -> None:
    served.statements.unknown_payees = {"anne"}
    answer = served.get("/v1/channels/anne/statements")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["detail"] == "there is no payee 'anne'; the nearest that is known is 'ann'"
    assert "nearest" not in served.get("/v1/channels/anne/statements", CALLERS["owner"]).json()["detail"]


def test_statements_come_in_pages_as_csv_and_are_never_kept(shared: Served) -> None:
    path = f"/v1/channels/{OWNER}/statements?limit=2"
    first = shared.get(path)
    last = shared.get(f"{path}&cursor={first.json()['next']}")
    assert [len(first.json()["rows"]), len(last.json()["rows"]), last.json()["next"]] == [2, 1, None]
    assert first.headers["cache-control"] == "no-store"
    assert shared.get(f"{path}&cursor=x").json()["code"] == "cursor_invalid"
    lines = shared.get(f"/v1/statements/{statement_id(OWNER, 1)}?format=csv").text.splitlines()
    assert lines[0].startswith("line_index,video_id,owned_from_on")
    assert len(lines) == 2


def test_books_that_do_not_answer_are_named_and_counts_are_served_on(served: Served) -> None:
    served.statements.is_away = True
    answer = served.get(f"/v1/statements/{statement_id(OWNER, 1)}")
    assert (answer.status_code, answer.json()["code"]) == (503, "statements_unavailable")
    assert served.get("/v1/videos/-a/views").status_code == 200


# --- every route, every kind of caller ---------------------------------------------------------------------------

COUNTS = {"owner": 200, "other creator": 200, "finance": 200, "auditor": 200, "operator": 200, "reviewer": 200,
          "anonymous": 200, "expired": 401, "wrong audience": 401}  # fmt: skip
CHANNEL = {**COUNTS, "other creator": 404, "operator": 403, "reviewer": 403, "anonymous": 401}
EXPECTED = {
    ("GET", "/v1/videos/{video_id:path}/views"): ("/v1/videos/-a/views", COUNTS),
    ("GET", "/v1/videos/{video_id:path}/badge.svg"): ("/v1/videos/-a/badge.svg", COUNTS),
    ("GET", "/videos/{video_id:path}/views"): ("/videos/-a/views", COUNTS),
    ("POST", "/v1/views:lookup"): ("/v1/views:lookup", COUNTS),
    ("GET", "/v1/videos/{video_id:path}/views/series"): (f"/v1/videos/-a/views/series?{DAY}", COUNTS),
    ("GET", "/v1/videos/{video_id:path}/views/live"): ("/v1/videos/-a/views/live", COUNTS),
    ("GET", "/v1/channels/{payee_id}/views"): (f"/v1/channels/{OWNER}/views", CHANNEL),
    ("GET", "/v1/channels/{payee_id}/views/series"): (f"/v1/channels/{OWNER}/views/series?{DAY}", CHANNEL),
    ("GET", "/v1/channels/{payee_id}/views/live"): (f"/v1/channels/{OWNER}/views/live", CHANNEL),
    ("GET", "/v1/videos/{video_id:path}/invalid"): (f"/v1/videos/-a/invalid?{DAY}", CHANNEL),
    ("GET", "/v1/channels/{payee_id}/invalid"): (f"/v1/channels/{OWNER}/invalid?{DAY}", CHANNEL),
    ("GET", "/v1/top"): (f"/v1/top?{DAY}", COUNTS),
    ("GET", "/v1/channels/{payee_id}/statements"): (f"/v1/channels/{OWNER}/statements", CHANNEL),
    ("GET", "/v1/channels/{payee_id}/estimate"): (f"/v1/channels/{OWNER}/estimate", CHANNEL),
    ("GET", "/v1/statements/{statement_id}"): (f"/v1/statements/{statement_id(OWNER, 1)}", CHANNEL),
    ("GET", "/v1/statements/{statement_id}/bundle"): (f"/v1/statements/{statement_id(OWNER, 1)}/bundle", CHANNEL),
    ("POST", "/v1/statements/{statement_id}/appeals"): (
        f"/v1/statements/{statement_id(OWNER, 1)}/appeals",
        {
            **dict.fromkeys(CHANNEL, 403),
            "owner": 201,
            "other creator": 404,
            "anonymous": 401,
            "expired": 401,
            "wrong audience": 401,
        },
    ),
    ("POST", "/v1/catalogue/versions"): (
        "/v1/catalogue/versions",
        {**dict.fromkeys(CHANNEL, 403), "finance": 201, "anonymous": 401, "expired": 401, "wrong audience": 401},
    ),
    ("POST", "/v1/plays"): (
        "/v1/plays",
        {**dict.fromkeys(CALLERS, 403), "anonymous": 401, "expired": 401, "wrong audience": 401},
    ),
    ("GET", "/v1/statements/{statement_id}/events"): (f"/v1/statements/{STATEMENT}/events", CHANNEL),
    ("GET", "/v1/events/{event_id}/payment"): (f"/v1/events/{EVENT}/payment", {**CHANNEL, "other creator": 200}),
    ("GET", "/healthz"): ("/healthz", dict.fromkeys(CALLERS, 200)),
    ("GET", "/readyz"): ("/readyz", dict.fromkeys(CALLERS, 200)),
    ("GET", "/openapi.json"): ("/openapi.json", dict.fromkeys(CALLERS, 200)),
}
"""What each kind of caller gets: route → (a path of OWNER's, caller → status); the event's video is both's."""


BODIES = {"/v1/views:lookup": {"video_ids": ["-a"]}, "/appeals": {"objection": "too few"}}
"""How the path of a POST ends → a good body."""


def asked(served: Served, method: str, path: str, who: str) -> Any:
    body = next((each for end, each in BODIES.items() if path.endswith(end)), None)
    keyed = {"Idempotency-Key": "key-1"} if method == "POST" else {}
    files = {"payees": b"a", "videos": b"b"} if path.endswith("/catalogue/versions") else None
    return served.client.request(method, path, json=body, files=files, headers={**CALLERS[who], **keyed})


def test_the_table_covers_every_route(shared: Served) -> None:
    routes = [route for route in shared.app.router.routes if isinstance(route, GuardedRoute)]
    assert len(routes) == len(shared.app.router.routes)
    there = {(method, route.path) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    assert there == set(EXPECTED)


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize(("method", "route"), EXPECTED)
def test_every_route_answers_every_kind_of_caller_as_decided(shared: Served, method: str, route: str, who: str) -> None:
    path, statuses = EXPECTED[method, route]
    answer = asked(shared, method, path, who)
    assert answer.status_code == statuses[who], answer.text
    assert answer.headers["x-request-id"]


def test_where_views_are_not_public_a_creator_sees_only_their_own_and_nobody_else_anything() -> None:
    served = Served(counts_are_public=False)
    with served.client:
        for (method, route), (path, statuses) in EXPECTED.items():
            if statuses is COUNTS and route.startswith(("/v1/videos", "/videos", "/v1/views")):
                got = {who: asked(served, method, path, who).status_code for who in CALLERS}
                assert got == {**COUNTS, "anonymous": 401, "other creator": 404}, path
        ranking = {who: asked(served, "GET", f"/v1/top?{DAY}", who).status_code for who in CALLERS}
        assert ranking == {**COUNTS, "anonymous": 401, "owner": 404, "other creator": 404}


def test_the_quick_way_to_a_count_answers_as_the_typed_way_does(shared: Served, monkeypatch: Any) -> None:
    def answers() -> list[Any]:
        found = []
        for path in ("/v1/videos/-a/views", "/videos/c/views", "/v1/videos/nobody/views", "/v1/videos/a%2Fb/views"):
            for who in CALLERS.values():
                for more in ({}, {"Accept": "application/json"}, {"If-None-Match": "*"}):
                    answer = shared.get(path, {**who, **more})
                    kept = {name: value for name, value in answer.headers.items() if name not in CHANGING}
                    found.append((path, answer.status_code, answer.content, kept))
        return found

    quick = answers()
    hot = [route for route in shared.app.router.routes if isinstance(route, GuardedRoute) and route.quick is not None]
    assert len(hot) == 2
    for route in hot:
        monkeypatch.setattr(route, "quick", None)
    assert answers() == quick


CHANGING = ("x-request-id", "ratelimit", "ratelimit-policy")


def test_a_creator_does_not_get_a_ranking_by_billable_views(shared: Served) -> None:
    path = f"/v1/top?{DAY}&by=billable_views"
    statuses = {who: shared.get(path, CALLERS[who]).status_code for who in CALLERS}
    assert statuses == {
        **COUNTS,
        "owner": 404,
        "other creator": 404,
        "operator": 403,
        "reviewer": 403,
        "anonymous": 401,
    }


# --- the estimate of today ----------------------------------------------------------------------------------------


def checked(served: Served, views: int, days: int) -> None:
    """Give OWNER days before version 2 on which half of the views were billable, and one view in two invalid."""
    for back in range(days):
        day = datetime(2026, 11, 20, 12, tzinfo=UTC) - timedelta(days=back + 1)
        served.history.publish(
            2, at(22, 12), *(("-a", day, "DE", "tv", number % 2 == 0, 60) for number in range(views))
        )
        served.history.invalid_changes.append((2, "-a", day.date(), "robot", views // 2, ()))


def test_an_estimate_says_at_least_and_at_most_and_that_it_is_not_money(served: Served) -> None:
    served.history.events.clear()
    day = [("-a", at(22, 10), "DE", "tv", number < 8, 60) for number in range(10)]
    served.history.publish(2, at(22, 12), *day)
    checked(served, 4, 30)
    served.channels.parts = {"_b": 250_000}
    served.speed.views[200, "_b"] = 2
    answer = served.get(f"/v1/channels/{OWNER}/estimate")
    body = answer.json()
    assert (body["kind"], body["day"], body["version"], body["complete"]) == ("estimate", "2026-11-22", 2, True)
    assert (body["settled_views"], body["settled_billable_views"], body["live_views"]) == (10, 8, 9)
    # of 4 views and 2 invalid events 2 were billable on each day before: a third of 10
    assert (body["billable_views_at_least"], body["billable_views_at_most"]) == (3, 17)
    assert (body["currency"], body["earned_micros_at_least"]) == ("USD", 6_000)
    assert body["earned_micros_at_most"] == 2_000 * (8 + 7) + 500 * 2
    assert body["checked_days"] == 30
    assert "no money" in body["note"]
    assert answer.headers["cache-control"] == "no-store"
    payee_id, of_day, settled, live, at_least = served.rates.asked[-1]
    assert (payee_id, of_day, at_least) == (OWNER, date(2026, 11, 22), 3)
    assert settled == [(1_000_000, "DE", 8)]
    assert live == [(250_000, None, 2), (1_000_000, None, 7)]


@pytest.mark.parametrize(("hours", "checked_days"), [(0, 30), (24, 30), (56, 30), (57, 29), (840, 0)])
def test_a_day_is_not_checked_before_the_allowed_lateness_is_over(hours: int, checked_days: int) -> None:
    """The log is settled until 08:00 of the 23rd, 56 hours after the end of the 20th."""
    served = Served(allowed_lateness=timedelta(hours=hours))
    served.history.events.clear()
    served.history.publish(2, at(22, 12), ("-a", at(20, 10), "DE", "tv", True, 60))
    with served.client:
        checked(served, 4, 29)
        assert served.get(f"/v1/channels/{OWNER}/estimate").json()["settled_until"] == "2026-11-23T08:00:00Z"
        assert served.get(f"/v1/channels/{OWNER}/estimate").json()["checked_days"] == checked_days


def test_an_estimate_as_csv_is_one_line(shared: Served) -> None:
    answer = shared.get(f"/v1/channels/{OWNER}/estimate?format=csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["kind"], row["billable_views_at_most"], row["payee_id"]) == ("estimate", "7", OWNER)


def test_an_estimate_is_of_today_in_utc_alone_and_begins_again_at_midnight(served: Served) -> None:
    path = f"/v1/channels/{OWNER}/estimate"
    served.now = at(21, 23, 59)
    assert [served.get(path).json()[name] for name in ("day", "settled_views")] == ["2026-11-21", 1]
    served.now = datetime(2026, 11, 24, 1, tzinfo=timezone(timedelta(hours=2)))
    assert [served.get(path).json()[name] for name in ("day", "settled_views")] == ["2026-11-23", 0]


def test_what_is_not_known_is_not_estimated(served: Served) -> None:
    path = f"/v1/channels/{OWNER}/estimate"
    served.rates.payees.clear()
    found = served.get(path).json()
    assert [found[name] for name in ("currency", "earned_micros_at_least", "earned_micros_at_most")] == [None] * 3
    assert (found["billable_views_at_least"], found["billable_views_at_most"]) == (0, 7)
    served.rates.payees.add(OWNER)
    served.speed.is_away = True
    found = served.get(path).json()
    assert [found[name] for name in ("complete", "billable_views_at_most", "earned_micros_at_most", "live_views")] == [
        False, None, None, None,
    ]  # fmt: skip
    assert found["billable_views_at_least"] == 0
    served.rates.is_away = True
    assert (served.get(path).status_code, served.get(path).json()["code"]) == (503, "statements_unavailable")


def test_a_large_channel_is_estimated_without_asking_for_the_live_views_of_every_video(served: Served) -> None:
    served.channels.videos = {OWNER: [f"v{number}" for number in range(LIVE_VIDEOS_MAX + 1)], OTHER: []}
    before = len(served.speed.trips)
    found = served.get(f"/v1/channels/{OWNER}/estimate").json()
    assert (found["billable_views_at_most"], found["complete"], len(served.speed.trips)) == (None, False, before)
    empty = served.get(f"/v1/channels/{OTHER}/estimate").json()
    assert (empty["billable_views_at_least"], empty["billable_views_at_most"]) == (0, 0)
    served.channels.videos = {OWNER: [f"v{number}" for number in range(20_001)]}
    assert served.get(f"/v1/channels/{OWNER}/estimate").json()["code"] == "channel_too_large"


def test_a_key_for_billable_views_alone_sees_no_estimate_of_money(shared: Served) -> None:
    assert Scope.STATEMENTS not in GRANTS[Role.OPERATOR] | GRANTS[Role.REVIEWER]
    assert shared.get(f"/v1/channels/{OWNER}/estimate", CALLERS["operator"]).json()["code"] == "scope_missing"


# --- the OpenAPI document -----------------------------------------------------------------------------------------


def test_every_route_is_described(shared: Served) -> None:
    document = shared.client.get("/openapi.json").json()
    there = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert there == {(method, route.replace(":path}", "}")) for method, route in EXPECTED}
    assert "HTTPValidationError" not in document["components"]["schemas"], "FastAPI's own 422 is never sent"
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@pytest.mark.parametrize("who", CALLERS)
def test_every_answer_to_every_caller_is_as_described(shared: Served, who: str) -> None:
    document = shared.client.get("/openapi.json").json()
    for (method, route), (path, _) in EXPECTED.items():
        hold(document, described_route(document, method, route), asked(shared, method, path, who))


@pytest.mark.parametrize(
    "query",
    [
        "x=1", "version=1&version=1", "version=0", "version=99", "as_of=never", "as_of=2999-01-01T00:00:00Z",
        "version=1&as_of=2026-11-20T00:00:00Z", "format=xml", "format=csv", "limit=0", "cursor=x", "window=week",
        "timezone=Mars", "group_by=age", "by=luck", "from=x", "to=", "after=x", "allow_removals=x",
    ],
)  # fmt: skip
def test_every_answer_to_a_parameter_is_as_described(shared: Served, query: str) -> None:
    document = shared.client.get("/openapi.json").json()
    name = query.partition("=")[0]
    tried = 0
    for (method, route), (path, _) in EXPECTED.items():
        operation = described_route(document, method, route)
        if name == "x" or name in {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}:
            before, _, rest = path.partition("?")
            kept = "&".join(each for each in rest.split("&") if each and each.partition("=")[0] != name)
            hold(document, operation, asked(shared, method, f"{before}?{query}&{kept}".rstrip("&"), "finance"))
            tried += 1
    assert tried


def test_every_example_is_as_described(shared: Served) -> None:
    document = shared.client.get("/openapi.json").json()
    found = 0
    for item in document["paths"].values():
        for operation in item.values():
            bodies = [("", operation["requestBody"])] if "requestBody" in operation else []
            for status, response in [*operation["responses"].items(), *bodies]:
                for media, body in response.get("content", {}).items():
                    examples = [part_of(document, each["$ref"])["value"] for each in body.get("examples", {}).values()]
                    for example in [*examples, *([body["example"]] if "example" in body else [])]:
                        jsonschema.validate(example, resolved(document, body["schema"]))
                        assert media != "application/problem+json" or example["status"] == int(status)
                        found += 1
    assert found > 60


def test_every_parameter_has_an_example_that_it_takes(shared: Served) -> None:
    document = shared.client.get("/openapi.json").json()
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                for example in parameter["schema"].get("examples", ()):
                    jsonschema.validate(example, resolved(document, parameter["schema"]))
                assert parameter["in"] == "header" or parameter["schema"]["examples"], parameter


def test_every_reference_in_the_document_leads_somewhere(shared: Served) -> None:
    document = shared.client.get("/openapi.json").json()

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        part_of(document, reference)


def test_every_parameter_of_a_path_is_declared(shared: Served) -> None:
    document = shared.client.get("/openapi.json").json()
    for path, item in document["paths"].items():
        for operation in item.values():
            in_path = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}


@pytest.mark.parametrize(
    ("bound", "headers", "sentence"),
    [
        (LiveLimits(network_max=2, lifetime_seconds=30.0), {}, "network"),
        (LiveLimits(caller_max=2, lifetime_seconds=30.0), FINANCE, "caller"),
    ],
)
def test_one_client_does_not_take_all_live_streams(bound: LiveLimits, headers: dict[str, str], sentence: str) -> None:
    async def read() -> LiveCount:
        return LiveCount("1", {})

    streams, request = LiveStreams(bound), Request({"type": "http", "headers": []})
    caller = Caller("somebody", Role.FINANCE, frozenset()) if headers else anonymous(reads_counts=True)
    for _ in range(2):
        streams.answer(request, read, caller, "192.0.2.0/24")
    with pytest.raises(ProblemError, match=f"2 live streams are open already for this {sentence}"):
        streams.answer(request, read, caller, "192.0.2.0/24")
    streams.answer(request, read, anonymous(reads_counts=True), "198.51.100.0/24")


def test_streams_that_ended_are_free_again(served: Served) -> None:
    for _ in range(3):  # the process holds one at a time
        assert served.get("/v1/videos/-a/views/live", {}).status_code == 200


def test_a_weight_of_zero_is_never_sent(shared: Served) -> None:
    for path in ("/v1/videos/-a/views", f"/v1/videos/-a/views/series?{DAY}"):
        assert shared.get(path, {**FINANCE, "Accept": "application/json;q=0, */*"}).headers["content-type"] == CSV_TYPE
        assert shared.get(path, {**FINANCE, "Accept": "text/csv;q=0.5, application/json"}).json()["version"] == 2
        assert shared.get(path, {**FINANCE, "Accept": "*/*;q=0"}).json()["code"] == "not_acceptable"


CSV_TYPE = "text/csv; charset=utf-8"


OF_A_VERSION = (
    f"/v1/videos/-a/views/series?{DAY}&version=1",
    "/v1/videos/-a/views?version=1",
    f"/v1/top?{DAY}&as_of=2026-11-21T12:00:00Z",
    f"/v1/top?{DAY}&by=billable_views&version=1",
)


@pytest.mark.parametrize("path", OF_A_VERSION)
def test_an_expired_version_answers_410_and_names_the_next_one_that_is_kept(served: Served, path: str) -> None:
    assert served.get(path).status_code == 200
    served.history.expired[1] = at(23, 12)
    answer = served.get(path)
    assert (answer.status_code, answer.json()["code"]) == (410, "version_expired")
    assert answer.json()["detail"] == (
        "version 1 is no longer kept: it expired at 2026-11-23 12:00:00 UTC; the next version that is kept is 2"
    )
    assert "immutable" not in answer.headers.get("Cache-Control", "")


@pytest.mark.parametrize("path", OF_A_VERSION)
def test_a_version_that_expires_while_it_is_read_answers_410_and_never_a_wrong_number(
    served: Served, path: str
) -> None:
    served.history.expires_while_read = 1
    assert served.get(path).json()["code"] == "version_expired"


@pytest.fixture
def invalid(served: Served) -> Served:
    """Robots on the 20th in both versions, of which the second takes one back; the 22nd is not settled."""
    served.history.invalid_changes += [
        (1, "-a", date(2026, 11, 20), "robot", 3, (EVENT,)),
        (2, "-a", date(2026, 11, 20), "robot", -1, ()),
        (2, "_b", date(2026, 11, 21), "origin", 4, ("b", "c")),
        (1, "c", date(2026, 11, 20), "robot", 50, ()),
        (2, "-a", date(2026, 11, 22), "impossible", 9, ()),
    ]
    served.history.unsettled_days.add(date(2026, 11, 22))
    return served


def test_invalid_traffic_is_counted_by_class_on_settled_days_and_at_a_version(invalid: Served) -> None:
    found = invalid.get(f"/v1/channels/{OWNER}/invalid?{DAY}").json()
    assert found["rows"] == [
        {"event_day": "2026-11-20", "class": "robot", "events": 2, "sample_event_ids": [EVENT]},
        {"event_day": "2026-11-21", "class": "origin", "events": 4, "sample_event_ids": ["b", "c"]},
    ]
    classes = {"robot": 2, "contradiction": 0, "impossible": 0, "coordinated": 0, "unnatural": 0, "origin": 4}
    assert (found["version"], found["classes"]) == (2, classes)
    before = invalid.get(f"/v1/videos/-a/invalid?{DAY}&version=1")
    assert before.json()["classes"]["robot"] == 3
    assert "immutable" in before.headers["cache-control"]
    text = invalid.get(f"/v1/videos/-a/invalid?{DAY}&format=csv").text
    assert list(csv.reader(io.StringIO(text)))[1][:3] == ["2026-11-20", "robot", "2"]


def test_invalid_traffic_is_shown_to_the_payee_and_to_nobody_else_outside(invalid: Served) -> None:
    path = f"/v1/videos/-a/invalid?{DAY}"
    assert invalid.get(path, {}).status_code == 401
    assert invalid.get(path, bearer(Role.CREATOR, OTHER)).status_code == 404
    assert invalid.get(f"/v1/channels/{OWNER}/invalid?{DAY}", bearer(Role.CREATOR, OTHER)).status_code == 404
    own = invalid.get(path, bearer(Role.CREATOR, OWNER))
    assert own.json()["classes"]["robot"] == 2
    assert "invalid" not in invalid.get("/v1/videos/-a/views", {}).text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2026-11-20", "range_invalid"),
        ("from=2026-11-20&to=2026-11-20", "range_invalid"),
        ("from=2025-01-01&to=2026-11-20", "range_too_large"),
        (f"{DAY}&limit=3", "parameter_unknown"),
        (f"{DAY}&version=9", "version_not_found"),
    ],
)
def test_a_question_about_invalid_traffic_that_makes_no_sense_is_answered_with_why(
    invalid: Served, query: str, code: str
) -> None:
    assert invalid.get(f"/v1/videos/-a/invalid?{query}").json()["code"] == code
    assert invalid.get(f"/v1/channels/{OWNER}/invalid?{query}").json()["code"] == code
