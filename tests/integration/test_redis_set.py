"""The segment store on a Redis with TLS and users with rights, and on sets in which another server takes over."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID

import pytest

from faults.certificates import Authority
from faults.redis_sets import Cluster, RedisSet, SentinelSet
from faults.waiting import until
from ingestion.contract.topics import PARTITION_COUNT
from ingestion.contract.unavailable import UnavailableError
from jobs.checkup.checks import CheckVerdict
from jobs.checkup.servers import redis_replication_row, redis_rows
from speed_layer.chunk import Chunk, Span
from speed_layer.redis_connection import connected_async
from speed_layer.redis_segment_store import AsyncRedisSegmentReader, RedisSegmentStore
from speed_layer.segments import Applied, Moved
from tests.redis_set import running, secure_cluster, secure_redis
from tests.speed_fakes import FakeRecord

RIGHTS = (
    "speed on >pass ~{views:* -@all +@read +@write +@scripting +@connection -@dangerous +time +info",
    "api on >pass %R~{views:* -@all +@read +@connection +evalsha_ro +script|load -@dangerous +time",
)
"""As docs/operate/secure-servers.md says; a test compares the two."""
PAGE = Path(__file__).parents[2] / "docs" / "operate" / "secure-servers.md"
RECOVERED_SECONDS_MAX = 30.0


def chunk(position: int, count: int = 100, *, partition: int = 0) -> Chunk:
    """Return a chunk of events that were not sent before."""
    records = [FakeRecord(position + index, 490_000 * 3_600_000, b"") for index in range(count)]
    ids = {UUID(int=position + index + 1).bytes: f"v{index % 7}" for index in range(count)}
    return Chunk(Span(partition, position, position + count, 490_000, records), ids)


def read_async(url: str) -> dict[str, int]:
    """Return the views as the API reads them."""

    async def read() -> dict[str, int]:
        servers = connected_async(url, 5)
        videos = [f"v{index}" for index in range(7)]
        try:
            reading = await AsyncRedisSegmentReader(servers).read([0] * PARTITION_COUNT, videos)
        finally:
            await servers.aclose()
        return dict(reading.views)

    return asyncio.run(read())


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[int, Authority]]:
    with secure_redis(RIGHTS) as running:
        yield running


def url_of(secured: tuple[int, Authority], user: str, shown: str = "pass") -> str:
    port, authority = secured
    return f"rediss://{user}:{shown}@127.0.0.1:{port}/0?ssl_ca_certs={authority.file}"


def refusal(url: str) -> str:
    """Return the one sentence with which the speed process ends."""
    with closing(RedisSegmentStore.connect(url)) as store:
        (sentence,) = store.unsafe_settings()
    assert "\n" not in sentence
    return sentence


def test_the_speed_layer_counts_and_the_api_reads_with_their_own_rights(secured: tuple[int, Authority]) -> None:
    with closing(RedisSegmentStore.connect(url_of(secured, "speed"))) as store:
        assert store.unsafe_settings() == []
        store.forget(1)
        assert store.reset(0, position=0, segment=0, replay_until=0)
        assert store.apply([chunk(0)], 1) == [Applied(100, 0)]
        assert store.now_ms() > 0
        assert sum(read_async(url_of(secured, "api")).values()) == 100
        assert store.cut(1) == (100,)
        assert store.knows(UUID(int=1).bytes, 1)
        assert store.prune([100]) == 1


def test_the_api_may_not_write_and_nobody_reads_the_settings(secured: tuple[int, Authority]) -> None:
    store = RedisSegmentStore.connect(url_of(secured, "api"))
    with closing(store), pytest.raises(UnavailableError, match="permission"):
        store.reset(0, position=0, segment=0, replay_until=0)
    assert refusal(url_of(secured, "api")).startswith("Redis gives this user too few rights (")


def test_a_wrong_password_or_certificate_is_one_sentence(secured: tuple[int, Authority], tmp_path: Path) -> None:
    port, _ = secured
    sentence = refusal(url_of(secured, "speed", "guess"))
    assert sentence.startswith("Redis refuses this user or password (")
    assert "guess" not in sentence
    stranger = Authority(tmp_path, "stranger")
    sentence = refusal(f"rediss://speed:pass@127.0.0.1:{port}/0?ssl_ca_certs={stranger.file}")
    assert sentence.startswith("the certificate of Redis is not accepted (")
    assert sentence.endswith("renew it, or name its authority by ?ssl_ca_certs=")


def test_a_redis_that_cannot_be_reached_is_waited_for() -> None:
    with closing(RedisSegmentStore.connect("rediss://127.0.0.1:9/0")) as store, pytest.raises(UnavailableError):
        store.unsafe_settings()


def test_the_page_lists_these_rights() -> None:
    text = PAGE.read_text()
    for rule in RIGHTS:
        assert rule.replace(">pass", ">PASSWORD") in text
    assert "`+cluster|slots`" in text


@pytest.fixture(params=[SentinelSet, Cluster])
def servers(request: pytest.FixtureRequest) -> Iterator[RedisSet]:
    with running(request.param) as started:
        yield started


def positions_counted(store: RedisSegmentStore) -> list[int]:
    """Return where each partition continues; begin those without a state, as the speed layer does."""
    positions = store.positions(PARTITION_COUNT)
    for partition, position in enumerate(positions):
        if position is None:
            store.reset(partition, position=0, segment=0, replay_until=0, instead_of=None)
    return [position or 0 for position in positions]


def test_counting_goes_on_exactly_after_a_master_died(servers: RedisSet) -> None:
    """On every partition, so that in a Cluster some are on the master that dies."""
    # any server of a Cluster leads to all: here only the one that dies is named
    url = servers.url.partition(",")[0] if isinstance(servers, Cluster) else servers.url
    with closing(RedisSegmentStore.connect(url)) as store:
        assert store.unsafe_settings() == []
        count_until(store, 1_000)
        servers.kill_master()
        killed_at = time.monotonic()
        count_until(store, 1_100)
        assert time.monotonic() - killed_at < RECOVERED_SECONDS_MAX

        def all_are_shown() -> bool:
            """Return whether the API reads every event; never one more."""
            count_until(store, 2_000)
            with suppress(UnavailableError):  # a Sentinel may name the former master for a moment
                shown = sum(read_async(servers.url).values())
                assert shown <= PARTITION_COUNT * 2_000
                return shown == PARTITION_COUNT * 2_000
            return False

        until(all_are_shown, RECOVERED_SECONDS_MAX, "the API reads every event")


def count_until(store: RedisSegmentStore, end: int) -> None:
    """Count every partition up to a position, in chunks of 100; follow the stored positions, wherever they are."""
    positions: list[int] = []
    give_up_at = time.monotonic() + 120
    while not positions or min(positions) < end:
        assert time.monotonic() < give_up_at
        try:
            # after a failure the outcome is unknown, and a server that takes over may lack what came last
            positions = positions or positions_counted(store)
            due = [each for each, position in enumerate(positions) if position < end]
            answers = store.apply([chunk(positions[each], partition=each) for each in due], 1)
        except UnavailableError:
            positions = []
            time.sleep(0.05)  # as the speed layer pauses between tries
            continue
        for partition, answer in zip(due, answers, strict=True):
            positions[partition] += 100
            if isinstance(answer, Moved):
                positions = []
                break


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running(Cluster) as started:
        yield started


def test_the_counts_of_a_slot_that_is_moved_stay_whole(cluster: Cluster) -> None:
    """While a slot is moved, its keys are in two places; nothing may be counted or begun in either."""
    with closing(RedisSegmentStore.connect(cluster.url, namespace="moved")) as store:
        store.reset(0, position=0, segment=0, replay_until=0)
        assert store.apply([chunk(0)], 1) == [Applied(100, 0)]
        with cluster.moving(store._prefix(0)) as move_keys:
            for _ in range(2):
                for change in (
                    lambda: store.apply([chunk(100)], 1),
                    lambda: store.reset(0, position=0, segment=0, replay_until=0, instead_of=None),
                    lambda: store.positions(1),
                ):
                    with pytest.raises(UnavailableError, match=r"^Redis: slot \d+ is being moved to 127"):
                        change()
                move_keys()
        assert store.apply([chunk(100), chunk(50)], 1) == [Applied(100, 0), Moved(200, 0)]
        assert sum(store.read([0], [f"v{index}" for index in range(7)]).views.values()) == 200


def test_a_slot_that_has_moved_is_followed_at_once(cluster: Cluster) -> None:
    """Its new master does not have the scripts yet."""
    videos = [f"v{index}" for index in range(7)]

    async def read_before_and_after(prefix: str) -> list[int]:
        servers = connected_async(cluster.url, 5)
        reader = AsyncRedisSegmentReader(servers, namespace="followed")
        try:
            found = [await reader.read([0], videos)]
            with cluster.moving(prefix):
                pass
            for node in cluster.nodes:
                with node.client() as client:
                    client.script_flush()
            found.append(await reader.read([0], videos))
        finally:
            await servers.aclose()
        return [sum(each.views.values()) for each in found]

    with closing(RedisSegmentStore.connect(cluster.url, namespace="followed")) as store:
        store.reset(0, position=0, segment=0, replay_until=0)
        assert store.apply([chunk(0)], 1) == [Applied(100, 0)]
        assert asyncio.run(read_before_and_after(store._prefix(0))) == [100, 100]
        assert store.apply([chunk(100)], 1) == [Applied(100, 0)], "its last look was before the move, too"


def test_a_url_of_the_other_kind_is_one_sentence(cluster: Cluster, redis_url: str) -> None:
    one_of_them = f"redis://127.0.0.1:{cluster.nodes[0].port}/0"
    assert refusal(one_of_them).startswith("Redis is a server of a Cluster; VIEWLEDGER_REDIS_URL must begin with")
    with (
        closing(RedisSegmentStore.connect(one_of_them)) as store,
        pytest.raises(UnavailableError, match=r"redis\+cluster://"),
    ):
        store.positions(PARTITION_COUNT)
    alone = redis_url.replace("redis://", "redis+cluster://")
    assert refusal(alone).startswith("Redis is not a server of a Cluster; VIEWLEDGER_REDIS_URL must begin with")


@pytest.fixture(scope="module", params=[SentinelSet, Cluster])
def healthy(request: pytest.FixtureRequest) -> Iterator[RedisSet]:
    with running(request.param) as started:
        yield started


def test_settings_of_every_server_are_looked_at(healthy: RedisSet) -> None:
    """Replicas as well: each may become a master."""
    replica = healthy.nodes[-1]
    with replica.client() as client, closing(RedisSegmentStore.connect(healthy.url)) as store:
        client.config_set("maxmemory-policy", "allkeys-lru")
        (sentence,) = store.unsafe_settings()
        client.config_set("maxmemory-policy", "noeviction")
    assert sentence.startswith(f"Redis at 127.0.0.1:{replica.port} has maxmemory-policy allkeys-lru")


def test_doctor_looks_at_every_server(healthy: RedisSet) -> None:
    rows = redis_rows({"VIEWLEDGER_REDIS_URL": healthy.url})
    assert [row for row in rows if row.verdict is not CheckVerdict.OK] == []
    found = [row.found for row in rows if row.subject.endswith(" replication")]
    half = len(healthy.nodes) // 2
    assert sorted(found) == sorted(["master of 1"] * half + ["has what its master has"] * half)
    assert sum(row.subject.endswith(" eviction") for row in rows) == len(healthy.nodes)
    assert sum(row.subject.startswith("clock redis ") for row in rows) == len(healthy.nodes)


def test_doctor_reports_a_master_that_nobody_follows_and_a_replica_that_lost_its_master() -> None:
    alone = redis_replication_row({"role": "master", "connected_slaves": 0}, subject="redis one")
    assert (alone.subject, alone.verdict) == ("redis one replication", CheckVerdict.WARN)
    lost = redis_replication_row({"role": "slave", "master_link_status": "down"}, subject="redis two")
    assert (lost.subject, lost.verdict) == ("redis two replication", CheckVerdict.WARN)
    assert alone.remedy
    assert lost.remedy


def test_a_cluster_speaks_tls_and_its_users_need_one_more_right() -> None:
    with secure_cluster() as (cluster, authority):
        for node in cluster.nodes:
            with node.client() as client:
                for rule in RIGHTS:
                    client.execute_command("ACL SETUSER", *rule.split(), "+cluster|slots")
        place = f"127.0.0.1:{cluster.tls_ports[0]}?ssl_ca_certs={authority.file}"
        with closing(RedisSegmentStore.connect(f"rediss+cluster://speed:pass@{place}")) as store:
            assert store.unsafe_settings() == []
            for partition in range(PARTITION_COUNT):
                store.reset(partition, position=0, segment=0, replay_until=0)
            assert store.apply([chunk(0), chunk(0, partition=7)], 1) == [Applied(100, 0), Applied(100, 0)]
            assert store.now_ms() > 0
        assert sum(read_async(f"rediss+cluster://api:pass@{place}").values()) == 200
        assert refusal(f"rediss+cluster://speed:guess@{place}").startswith("Redis refuses this user or password (")
