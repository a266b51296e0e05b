"""The API as a process on its own Redis and PostgreSQL, which are taken away and come back."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
import redis

from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack, temporary_folder
from speed_layer.redis_segment_store import RedisSegmentStore
from tests.server_process import ServerProcess, server_process
from tests.serving_postgres import publish

PARTITIONS = 12
LOOKUP = "/v1/views:lookup"
DEADLINE_SECONDS = 30.0


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
    with server_process("jobs.run_api", "VIEWLEDGER_API_PORT", servers.environment) as running:
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
    assert (count["billable_views"], count["version"], count["complete"], count["known"]) == (800, 1, True, True)
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
    assert 1 <= len(backends) <= 2
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
        assert time.monotonic() - started < 1
    eventually(lambda: get(api, "quiet").status_code == 200)
    assert get(api, "quiet").json()["views"] == 3


def connections_of_the_api(servers: LocalStack) -> list[int]:
    connection = psycopg2.connect(servers.environment["VIEWLEDGER_POSTGRES_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'viewledger-api'")
        found = [pid for (pid,) in cursor.fetchall()]
    connection.close()
    return found


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
        with server_process("jobs.run_api", "VIEWLEDGER_API_PORT", servers.environment) as running:
            assert running.client.get("/readyz").status_code == 503
            assert get(running, "-a").status_code == 503
            os.kill(pid, signal.SIGCONT)
            eventually(lambda: running.client.get("/readyz").status_code == 200)
            assert get(running, "-a").json()["settled_views"] > 0
            assert running.stop() == ExitCode.OK
    finally:
        os.kill(pid, signal.SIGCONT)
