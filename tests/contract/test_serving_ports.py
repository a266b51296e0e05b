"""What serving's ports promise, held against the fakes and the real servers."""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
import redis

from ingestion.contract.unavailable import UnavailableError
from jobs.wiring.api import SpeedLayerCounts
from serving_layer.access.postgres_reads import API_ROLE, PostgresReads
from serving_layer.counts.merge import SettledCount
from serving_layer.counts.postgres_versions import PostgresVersions
from speed_layer.redis_connection import connected_async
from speed_layer.redis_segment_store import AsyncRedisSegmentReader, RedisSegmentStore
from tests.billing_postgres import own_database
from tests.serving_fakes import PARTITIONS, FakePublished, version
from tests.serving_postgres import publish

Publish = Callable[[Mapping[str, tuple[int, int]]], Any]


@dataclass
class Store:
    port: Any
    publish: Publish


@pytest.fixture(params=["fake", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "fake":
        fake = FakePublished()
        yield Store(fake, fake.publish)
        return
    with own_database(request.getfixturevalue("postgres_url"), with_versions=False) as url:
        versions = PostgresVersions(url)
        yield Store(versions, lambda counts: publish(url, counts))
        versions.close()


def test_before_the_first_publication_there_is_no_version(store: Store) -> None:
    assert store.port.current() is None


def test_the_pointer_names_the_version_with_its_offsets_and_its_earliest_watermark(store: Store) -> None:
    store.publish({"a": (1, 1)})
    store.publish({"a": (2, 1)})
    assert store.port.current() == version(2)


def test_the_row_in_force_is_the_newest_up_to_the_version_asked_for(store: Store) -> None:
    store.publish({"-a": (10, 8), "_b": (5, 0)})
    store.publish({"-a": (15, 9)})
    store.publish({"_b": (7, 7), "new": (1, 0)})
    asked = ["-a", "_b", "new", "nobody", "-a"]
    assert store.port.counts(asked, 1) == {"-a": SettledCount(10, 8), "_b": SettledCount(5, 0)}
    assert store.port.counts(asked, 2) == {"-a": SettledCount(15, 9), "_b": SettledCount(5, 0)}
    everything = {"-a": SettledCount(15, 9), "_b": SettledCount(7, 7), "new": SettledCount(1, 0)}
    assert store.port.counts(asked, 3) == everything
    assert store.port.counts([], 3) == {}


def test_changes_are_those_between_two_versions_only(store: Store) -> None:
    store.publish({"a": (10, 8), "b": (5, 0)})
    store.publish({"a": (15, 9)})
    store.publish({"a": (16, 9)})
    assert store.port.changes(["a", "b"], 1, 3) == {"a": SettledCount(16, 9)}
    assert store.port.changes(["a", "b"], 3, 3) == {}


def terminate_connections(url: str) -> None:
    """What a restart of the server does to those who are connected."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'viewledger-api' AND datname = current_database()"
        )
    connection.close()


def test_a_postgres_that_is_away_is_an_error_and_one_that_comes_back_is_used_again(postgres_url: str) -> None:
    with pytest.raises(UnavailableError):
        PostgresVersions("postgresql://nobody@127.0.0.1:9/nothing").current()
    with own_database(postgres_url, with_versions=False) as url:
        versions = PostgresVersions(url)
        assert versions.current() is None
        terminate_connections(url)
        assert versions.current() is None
        versions.close()


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE published.pointer SET version = 1",
        "INSERT INTO published.video_counts VALUES ('a', 1, 9, 9)",
        "UPDATE access.api_keys SET revoked_at = NULL",
        "INSERT INTO billing.transitions (subject_kind, subject_id, to_state, actor, reason)"
        " VALUES ('statement', 's', 'approved', 'a', 'r')",
        "INSERT INTO ingestion.replays DEFAULT VALUES",
        "SELECT iban FROM billing.bank_accounts",
        "CREATE TABLE published.another (n integer)",
    ],
)
def test_a_connection_of_the_api_has_no_right_to_change_anything_or_to_see_bank_data(
    postgres_url: str, write: str
) -> None:
    """Not even if the session may write: the role of the database lacks the right."""
    with own_database(postgres_url, with_versions=False) as url:
        with closing(PostgresReads(url)) as reads:
            assert reads.query("SELECT current_user::text", ()) == [(API_ROLE,)]
            with pytest.raises(UnavailableError, match=r"read-only transaction|permission denied"):
                reads.query(write, ())
        with closing(PostgresReads(url, read_only=False)) as writes:
            assert writes.query("SELECT current_user::text", ()) == [(API_ROLE,)]
            with pytest.raises(UnavailableError, match="permission denied"):
                writes.query(write, ())


@pytest.fixture
def namespace(redis_url: str) -> Iterator[str]:
    name = f"test{secrets.token_hex(4)}"
    yield name
    client = redis.Redis.from_url(redis_url)
    for key in client.scan_iter(f"{{{name}:*"):
        client.delete(key)
    client.close()


def read(url: str, namespace: str, *video_ids: str) -> Any:
    """What serving's port gives for offset_end 100 in every partition."""

    async def asked() -> Any:
        servers = connected_async(url, 1)
        try:
            counts = SpeedLayerCounts(AsyncRedisSegmentReader(servers, namespace=namespace), fresh_seconds=5)
            return await counts.read(version(1).offset_ends, list(video_ids))
        finally:
            await servers.aclose()

    return asyncio.run(asked())


def test_the_speed_layers_counts_are_summed_over_all_partitions(redis_url: str, namespace: str) -> None:
    store = RedisSegmentStore.connect(redis_url, namespace=namespace)
    client = redis.Redis.from_url(redis_url)
    for partition in range(PARTITIONS):
        store.reset(partition, position=100, segment=100, replay_until=0)
        client.hset(f"{{{namespace}:{partition}}}:segment:100", "-a", partition + 1)
    client.close()
    assert not read(redis_url, namespace, "-a").is_complete, "no speed process has sent a heartbeat"
    store.beat(dict.fromkeys(range(PARTITIONS), 100), store.now_ms() - 4_000, "0:log")
    sums = read(redis_url, namespace, "-a", "nobody")
    assert (dict(sums.views), sums.is_complete) == ({"-a": 6, "nobody": 0}, True)
    assert sums.offset_ends == version(1).offset_ends
    store.beat({0: 100}, store.now_ms() - 6_000, "0:log")
    assert not read(redis_url, namespace, "-a").is_complete, "one has been silent for longer than five seconds"


def test_a_speed_layer_without_state_is_incomplete(redis_url: str, namespace: str) -> None:
    sums = read(redis_url, namespace, "a")
    assert (dict(sums.views), sums.is_complete, sums.appended_at) == ({"a": 0}, False, None)


def test_a_redis_that_is_away_is_one_error(namespace: str) -> None:
    with pytest.raises(UnavailableError):
        read("redis://127.0.0.1:9/0", namespace, "a")
