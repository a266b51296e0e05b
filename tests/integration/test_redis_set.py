"""The segment store on a Redis with TLS and users with rights, and on a master that Sentinels replace."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from ingestion.contract.unavailable import UnavailableError
from speed_layer.chunk import Chunk, Span
from speed_layer.redis_connection import connected_async
from speed_layer.redis_segment_store import AsyncRedisSegmentReader, RedisSegmentStore
from speed_layer.segments import Applied
from tests.certificates import Authority
from tests.redis_set import SentinelSet, secure_redis, sentinel_set
from tests.speed_fakes import FakeRecord

RIGHTS = (
    "speed on >pass ~{views:* -@all +@read +@write +@scripting +@connection -@dangerous +time +info",
    "api on >pass %R~{views:* -@all +@read +@connection +evalsha_ro +script|load -@dangerous +time",
)
"""As docs/operate/secure-servers.md says; a test compares the two."""
PAGE = Path(__file__).parents[2] / "docs" / "operate" / "secure-servers.md"
RECOVERED_SECONDS_MAX = 30.0


def chunk(position: int, count: int = 100) -> Chunk:
    """Return a chunk of events that were not sent before."""
    records = [FakeRecord(position + index, 490_000 * 3_600_000, b"") for index in range(count)]
    ids = {UUID(int=position + index + 1).bytes: f"v{index % 7}" for index in range(count)}
    return Chunk(Span(0, position, position + count, 490_000, records), ids)


def read_async(url: str) -> dict[str, int]:
    """Return the views as the API reads them."""

    async def read() -> dict[str, int]:
        client = connected_async(url, 5)
        try:
            reading = await AsyncRedisSegmentReader(client).read([0], [f"v{index}" for index in range(7)])
        finally:
            await client.aclose()
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


@pytest.fixture
def watched() -> Iterator[SentinelSet]:
    with sentinel_set() as running:
        yield running


def test_counting_goes_on_exactly_after_the_master_died(watched: SentinelSet) -> None:
    chunks, killed_at = 40, 0.0
    with closing(RedisSegmentStore.connect(watched.url)) as store:
        assert store.unsafe_settings() == []
        store.reset(0, position=0, segment=0, replay_until=0)
        position, recovered_after = 0, 0.0
        give_up_at = time.monotonic() + 120
        while position < 100 * chunks:
            assert time.monotonic() < give_up_at
            if position == 100 * (chunks // 2) and not killed_at:
                killed_at = watched.kill_master()
            try:
                (result,) = store.apply([chunk(position)], 1)
            except UnavailableError:
                # the outcome is unknown: the stored position says it, as it does for the speed layer
                try:
                    (stored,) = store.positions(1)
                except UnavailableError:
                    time.sleep(0.05)  # as the speed layer pauses between tries
                    continue
                assert stored is not None
                position = stored
                continue
            assert isinstance(result, Applied), result
            position += 100
            recovered_after = recovered_after or (time.monotonic() - killed_at if killed_at else 0.0)
    assert recovered_after < RECOVERED_SECONDS_MAX
    assert sum(read_async(watched.url).values()) == 100 * chunks
