"""The API as a process on its own Redis and PostgreSQL, which are taken away and come back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
import redis

from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.state_home import PROJECT
from jobs.wiring.access_settings import development_bearer
from serving_layer.access.access import Role
from serving_layer.routes.http_live import LiveLimits
from speed_layer.redis_segment_store import RedisSegmentStore
from tests.api_document import described_route, hold
from tests.server_process import ServerProcess, server_process
from tests.serving_postgres import publish

PARTITIONS = 12
LOOKUP = "/v1/views:lookup"
DEADLINE_SECONDS = 60.0


@pytest.fixture(scope="module")
def servers() -> Iterator[LocalStack]:
    """A stack with Redis and PostgreSQL, which these tests may hurt."""
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("redis", "postgres")) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(servers: LocalStack) -> Iterator[ServerProcess]:
    """An API that serves version 1: -a has 1,000 settled views and 78 since, _b has 5 settled."""
    url = servers.environment["VIEWLEDGER_POSTGRES_URL"]
    publish(url, {"-a": (1_000, 800), "_b": (5, 0), "quiet": (3, 3)}, partition_count=PARTITIONS)
    count_since(servers, 100)
    # the heartbeat of `count_since` is the only one
    environ = {**servers.environment, "VIEWLEDGER_API_FRESH_SECONDS": "3600", "VIEWLEDGER_API_DOCS": "1"}
    with server_process("jobs.processes.api", "VIEWLEDGER_API_PORT", environ) as running:
        eventually(lambda: running.client.get("/readyz").status_code == 200)
        yield running


def count_since(servers: LocalStack, offset: int) -> None:
    """A segment from `offset` on in every partition p, with p + 1 views of -a."""
    url = servers.environment["VIEWLEDGER_REDIS_URL"]
    store = RedisSegmentStore.connect(url)
    client = redis.Redis.from_url(url)
    for partition in range(PARTITIONS):
        store.reset(partition, position=offset, segment=offset, replay_until=0)
        client.hset(f"{{views:{partition}}}:segment:{offset}", "-a", partition + 1)
    store.beat(dict.fromkeys(range(PARTITIONS), offset), store.now_ms(), "0:log")
    client.close()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.05)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def get(api: ServerProcess, video_id: str) -> Any:
    return api.client.get(f"/v1/videos/{video_id}/views")


def test_a_count_is_the_published_one_plus_what_redis_has_of_every_partition(api: ServerProcess) -> None:
    count = get(api, "-a").json()
    assert (count["settled_views"], count["provisional_views"], count["views"]) == (1_000, 78, 1_078)
    assert (count["billable_views"], count["version"], count["complete"], count["known"]) == (None, 1, True, True)
    assert api.client.get("/videos/_b/views").json()["views"] == 5


def test_many_clients_share_round_trips_and_each_gets_its_own_answer(api: ServerProcess) -> None:
    asked = [video_id for n in range(100) for video_id in ("-a", "_b", f"nobody-{n}")]
    with ThreadPoolExecutor(20) as clients:
        counts = list(clients.map(lambda video_id: get(api, video_id).json(), asked))
    assert [count["video_id"] for count in counts] == asked
    assert {(count["video_id"], count["views"]) for count in counts if count["known"]} == {("-a", 1_078), ("_b", 5)}


def test_a_look_up_of_as_many_ids_as_allowed_is_answered(api: ServerProcess) -> None:
    video_ids = ["-a", *(f"v{n}" for n in range(999))]
    answer = api.client.post(LOOKUP, json={"video_ids": video_ids}).json()
    assert len(answer["counts"]) == 1_000
    assert (answer["counts"][0]["views"], answer["complete"]) == (1_078, True)


@pytest.mark.parametrize("freeze", [True, False])
def test_without_redis_settled_counts_are_served_in_time_and_it_is_found_again(
    servers: LocalStack, api: ServerProcess, freeze: bool
) -> None:
    def without_redis() -> None:
        for _ in range(20):
            started = time.monotonic()
            answer = get(api, "-a")
            assert time.monotonic() - started < 5
            assert (answer.status_code, answer.json()["views"], answer.json()["complete"]) == (200, 1_000, False)
        assert api.client.get("/readyz").status_code == 200

    pid = servers.pid("redis")
    assert pid is not None
    if freeze:
        with frozen(pid):
            without_redis()
    else:
        client = redis.Redis.from_url(servers.environment["VIEWLEDGER_REDIS_URL"])
        client.flushall()  # what is lost is lost: the answer must not be a smaller number that claims to be whole
        without_redis()
        client.close()
        servers.kill("redis")
        servers.wait_ready("redis", not_pid=pid)
        count_since(servers, 100)
    eventually(lambda: get(api, "-a").json()["views"] == 1_078)
    assert get(api, "-a").json()["complete"]


def test_without_postgres_what_is_cached_is_served_and_the_rest_refused_in_time(
    servers: LocalStack, api: ServerProcess
) -> None:
    assert get(api, "-a").status_code == get(api, "nobody").status_code == 200
    backends = connections_of_the_api(servers)
    assert 1 <= len(backends) <= 3
    pid = servers.pid("postgres")
    assert pid is not None
    with frozen(pid):  # nobody can connect any more, and who is connected is cut off
        for backend in backends:
            os.kill(backend, signal.SIGTERM)
        started = time.monotonic()
        assert get(api, "quiet").status_code == 503
        assert api.client.post(LOOKUP, json={"video_ids": ["-a", "quiet"]}).status_code == 503
        assert time.monotonic() - started < 15
        started = time.monotonic()
        assert get(api, "-a").json()["views"] == 1_078
        assert get(api, "nobody").json()["known"] is False
        assert time.monotonic() - started < 3
    eventually(lambda: get(api, "quiet").status_code == 200)
    assert get(api, "quiet").json()["views"] == 3


def test_a_query_that_hangs_is_given_up_and_asked_again_over_a_new_connection(
    servers: LocalStack, api: ServerProcess
) -> None:
    assert get(api, "another").status_code == 200
    with ExitStack() as frozen_ones:
        for backend in connections_of_the_api(servers):
            frozen_ones.enter_context(frozen(backend))
        started = time.monotonic()
        assert get(api, "yet-another").status_code == 503
        assert time.monotonic() - started < 10
        eventually(lambda: get(api, "yet-another").status_code == 200)


def connections_of_the_api(servers: LocalStack) -> list[int]:
    connection = psycopg2.connect(servers.environment["VIEWLEDGER_POSTGRES_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'viewledger-api'")
        found = [pid for (pid,) in cursor.fetchall()]
    connection.close()
    return found


def test_a_speed_layer_without_a_sign_of_life_is_named_as_the_missing_part(
    servers: LocalStack, api: ServerProcess
) -> None:
    store = RedisSegmentStore.connect(servers.environment["VIEWLEDGER_REDIS_URL"])
    store.beat({5: 100}, store.now_ms() - 3_700_000, "0:log")
    answer = get(api, "-a")
    assert (answer.json()["views"], answer.json()["complete"]) == (1_078, False)
    assert answer.headers["X-Missing-Part"] == "speed"
    store.beat({5: 100}, store.now_ms(), "0:log")
    assert get(api, "-a").json()["complete"]


def test_a_new_version_is_served_soon_and_never_half(servers: LocalStack, api: ServerProcess) -> None:
    """Version 2 settles 50 of the 78 views; at every moment the sum is the same."""
    url = servers.environment["VIEWLEDGER_POSTGRES_URL"]
    client = redis.Redis.from_url(servers.environment["VIEWLEDGER_REDIS_URL"])
    for partition in range(PARTITIONS):
        prefix = f"{{views:{partition}}}"
        later = 28 if partition == 0 else 0  # counted after the cut at 200
        client.hset(f"{prefix}:segment:100", "-a", 50 if partition == 0 else 0)
        client.hset(f"{prefix}:segment:200", "-a", later)
        client.zadd(f"{prefix}:segments", {"200": 200})
        client.hset(f"{prefix}:state", mapping={"position": 300, "segment": 200})
    client.close()
    assert get(api, "-a").json()["views"] == 1_078
    seen = set()
    with ThreadPoolExecutor(1) as publisher:
        published = publisher.submit(publish, url, {"-a": (1_050, 840)}, partition_count=PARTITIONS)

        def is_served() -> bool:
            count = get(api, "-a").json()
            seen.add((count["version"], count["settled_views"], count["provisional_views"], count["complete"]))
            return bool(count["version"] == 2)

        eventually(is_served)
        published.result()
    assert seen <= {(1, 1_000, 78, True), (2, 1_050, 28, True)}


def test_an_api_that_starts_before_postgres_answers_as_soon_as_it_is_there(servers: LocalStack) -> None:
    pid = servers.kill("postgres", signal.SIGSTOP)
    try:
        with server_process("jobs.processes.api", "VIEWLEDGER_API_PORT", servers.environment) as running:
            assert running.client.get("/readyz").status_code == 503
            assert get(running, "-a").status_code == 503
            os.kill(pid, signal.SIGCONT)
            eventually(lambda: running.client.get("/readyz").status_code == 200)
            assert get(running, "-a").json()["settled_views"] > 0
            assert running.stop() == ExitCode.OK
    finally:
        os.kill(pid, signal.SIGCONT)


def command(servers: LocalStack, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "jobs.cli", *words],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **servers.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def billable(api: ServerProcess, credential: str) -> Any:
    answer = api.client.get("/v1/videos/-a/views", headers={"Authorization": f"Bearer {credential}"})
    return answer.json()["billable_views"] if answer.status_code == 200 else answer.json()["code"]


def test_a_key_is_shown_once_rotated_and_revoked(servers: LocalStack, api: ServerProcess) -> None:
    make = ("keys", "create", "--owner", "export", "--scope", "counts:read", "--scope", "billable:read")
    first, second = (json.loads(command(servers, *make, "--json").stdout) for _ in range(2))
    assert billable(api, first["key"]) == billable(api, second["key"]) > 0
    third = command(servers, *make)
    assert (third.returncode, third.stdout) == (ExitCode.REFUSED, "")
    assert "two live keys" in third.stderr
    listed = command(servers, "keys", "list").stdout
    assert first["key_id"] in listed
    assert first["key"].rpartition("_")[2] not in listed
    assert command(servers, "keys", "revoke", first["key_id"]).returncode == ExitCode.OK
    assert command(servers, "keys", "revoke", first["key_id"]).returncode == ExitCode.OK
    eventually(lambda: billable(api, first["key"]) == "key_revoked")
    assert billable(api, second["key"]) > 0
    assert command(servers, *make).returncode == ExitCode.OK
    assert command(servers, "keys", "revoke", "0" * 16).returncode == ExitCode.REFUSED


def test_nothing_of_a_secret_is_stored_and_a_key_cannot_be_changed_back(servers: LocalStack) -> None:
    make = ("keys", "create", "--owner", "stored", "--scope", "counts:read", "--days", "1", "--json")
    made = json.loads(command(servers, *make).stdout)
    connection = psycopg2.connect(servers.environment["VIEWLEDGER_POSTGRES_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(k)::text FROM access.api_keys k WHERE key_id = %s", (made["key_id"],))
        (stored,) = cursor.fetchone() or ("",)
    assert made["key"].rpartition("_")[2] not in stored
    command(servers, "keys", "revoke", made["key_id"])
    for change in ("revoked_at = NULL", "expires_at = now() + interval '9 years'", "scopes = '{statements:read}'"):
        with pytest.raises(psycopg2.DatabaseError, match="only be revoked"), connection, connection.cursor() as cursor:
            cursor.execute(f"UPDATE access.api_keys SET {change} WHERE key_id = %s", (made["key_id"],))
    with pytest.raises(psycopg2.DatabaseError, match="only be revoked"), connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM access.api_keys")
    connection.close()


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "create", "--owner", "Bad Owner", "--scope", "counts:read"),
        ("keys", "create", "--owner", "a", "--scope", "counts:read", "--days", "0"),
        ("keys", "create", "--owner", "a", "--scope", "everything"),
        ("token", "--role", "creator"),
        ("token", "--role", "finance", "--minutes", "0"),
        ("token", "--role", "root"),
    ],
)
def test_wrong_flags_are_told_in_a_sentence(servers: LocalStack, words: tuple[str, ...]) -> None:
    ended = command(servers, *words)
    assert (ended.returncode, ended.stdout) == (ExitCode.BAD_INPUT, "")
    assert "Traceback" not in ended.stderr


def test_a_development_token_opens_what_its_role_may_and_is_refused_without_the_local_issuer(
    servers: LocalStack, api: ServerProcess
) -> None:
    token = command(servers, "token", "--role", "finance").stdout.strip()
    assert billable(api, token) > 0
    without = replace(servers, environment={**servers.environment, "VIEWLEDGER_LOCAL_ISSUER_SEED": ""})
    refused = command(without, "token", "--role", "finance")
    assert (refused.returncode, refused.stdout) == (ExitCode.REFUSED, "")
    exposed = replace(servers, environment={**servers.environment, "VIEWLEDGER_BIND_HOST": "0.0.0.0"})  # noqa: S104
    assert command(exposed, "token", "--role", "finance").returncode == ExitCode.BAD_INPUT


def test_series_channels_and_rankings_are_answered_by_the_process(servers: LocalStack, api: ServerProcess) -> None:
    """Nothing was published with days here, so every sum is zero; the sums themselves are the contract's tests."""
    headers = {"Authorization": f"Bearer {command(servers, 'token', '--role', 'finance').stdout.strip()}"}
    days = "from=2026-11-01&to=2026-11-03"
    series = api.client.get(f"/v1/videos/-a/views/series?{days}&timezone=Asia/Kolkata", headers=headers).json()
    assert [row["views"] for row in series["rows"]] == [0, 0]
    assert series["version"] >= 1
    assert api.client.get(f"/v1/top?{days}").json()["rows"] == []
    for path in ("views", f"views/series?{days}", "statements"):
        assert api.client.get(f"/v1/channels/nobody/{path}", headers=headers).status_code == 404
    assert api.client.get("/v1/videos/-a/views?version=1").json()["views"] == 1_000


def test_what_the_process_answers_is_as_its_document_describes(servers: LocalStack, api: ServerProcess) -> None:
    document, days = api.client.get("/openapi.json").json(), "from=2026-11-01&to=2026-11-03"
    headers = development_bearer(servers.environment, Role.FINANCE)
    paths = {
        "/v1/videos/{video_id}/views": "/v1/videos/-a/views",
        "/v1/videos/{video_id}/views/series": f"/v1/videos/-a/views/series?{days}&group_by=country",
        "/v1/top": f"/v1/top?{days}&by=billable_views",
        "/v1/channels/{payee_id}/views": "/v1/channels/nobody/views",
        "/v1/channels/{payee_id}/statements": "/v1/channels/nobody/statements",
        "/v1/statements/{statement_id}": f"/v1/statements/{'0' * 32}",
        "/v1/events/{event_id}/payment": "/v1/events/x/payment",
    }
    for route, path in paths.items():
        for sent in (headers, {}, {**headers, "Authorization": "Bearer vlk_nobody"}):
            hold(document, described_route(document, "GET", route), api.client.get(path, headers=sent))
    looked_up = api.client.post(LOOKUP, json={"video_ids": ["-a", "nobody"]})
    hold(document, described_route(document, "POST", LOOKUP), looked_up)
    assert "swagger-ui" in api.client.get("/docs").text


def test_a_catalogue_imported_by_the_api_sets_the_owners_of_videos(servers: LocalStack, api: ServerProcess) -> None:
    files = {"payees": b"payee_id,name,user_id\nann,Ann,viewer-1\n", "videos": b"video_id,payee_id\n_b,ann\n"}
    headers = development_bearer(servers.environment, Role.FINANCE)
    path = "/v1/catalogue/versions"
    first = api.client.post(path, files=files, headers={**headers, "Idempotency-Key": "one"})
    assert (first.status_code, first.json()["new"]) == (201, True), first.text
    assert api.client.get("/v1/channels/ann/views", headers=headers).json()["views"] == 5
    wrong = {**files, "videos": b"video_id,payee_id\n_b,nobody\n"}
    refused = api.client.post(path, files=wrong, headers={**headers, "Idempotency-Key": "two"}).json()
    assert refused["code"] == "catalogue_invalid"
    assert refused["problems"][0].startswith("videos, line 2, column payee_id: 'nobody' is not in the payees file")
    again = api.client.post(path, files=files, headers={**headers, "Idempotency-Key": "one"})
    assert (again.status_code, again.text) == (201, first.text)
    operator = development_bearer(servers.environment, Role.OPERATOR)
    assert api.client.post(path, files=files, headers={**operator, "Idempotency-Key": "one"}).status_code == 403


def test_a_stream_that_its_client_has_left_makes_room_for_another(api: ServerProcess) -> None:
    for _ in range(LiveLimits().connections_max + 5):
        with api.client.stream("GET", "/v1/videos/-a/views/live") as stream:
            assert stream.status_code == 200
            assert next(stream.iter_lines()) == "retry: 2000"


def test_live_counts_follow_redis_and_end_when_the_process_stops(servers: LocalStack) -> None:
    with server_process("jobs.processes.api", "VIEWLEDGER_API_PORT", servers.environment) as running:
        eventually(lambda: running.client.get("/readyz").status_code == 200)
        with running.client.stream("GET", "/v1/videos/live/views/live") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("data:"))
            client = redis.Redis.from_url(servers.environment["VIEWLEDGER_REDIS_URL"])
            version = running.client.get("/readyz").json()["version"]
            client.hset(f"{{views:0}}:segment:{100 * version}", "live", 41)
            client.close()
            sent = json.loads(next(line for line in lines if line.startswith("data:")).removeprefix("data:"))
            assert sent["provisional_views"] == 41
            started = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            assert not [line for line in lines if line.startswith("data:")]
            assert time.monotonic() - started < 8, "an open stream does not hold the process up"
        assert running.process.wait(20) == ExitCode.OK
