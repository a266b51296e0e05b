"""The segment stores that every law and contract is tested on: in memory, and on real servers of every kind."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from speed_layer.redis_connection import connected
from speed_layer.redis_segment_store import TIMEOUT_SECONDS, UNKNOWN_VIDEOS_MAX, RedisSegmentStore
from tests.speed_fakes import FakeSegmentStore

SERVERS = {"on Redis": "redis_url", "on Sentinels": "sentinel_url", "on a Cluster": "cluster_url"}
"""Kind of servers → the fixture of their address."""
STORES = ("in memory", *SERVERS)
AnyStore = FakeSegmentStore | RedisSegmentStore


class FlushableRedisStore(RedisSegmentStore):
    """A store with keys of its own that can be lost."""

    def stored_keys(self) -> list[str]:
        """Return all keys, of every master."""
        pattern = f"{{{self._namespace}:*"
        return [key.decode() for each in self._servers.masters() for key in each.scan_iter(pattern, count=1000)]

    def flush(self) -> None:
        """Lose all keys, those of a partition at once: one that begins again meanwhile must not lose its new ones."""
        partitions: dict[str, list[str]] = {}
        for key in self.stored_keys():
            partitions.setdefault(key.partition("}")[0], []).append(key)
        firsts = [keys[0] for keys in partitions.values()]
        for keys, server in zip(partitions.values(), self._servers.holding(firsts), strict=True):
            server.unlink(*keys)


@contextmanager
def redis_store(url: str, unknown_max: int = UNKNOWN_VIDEOS_MAX) -> Iterator[FlushableRedisStore]:
    """A store under a namespace nobody else uses; its keys are removed at the end."""
    servers = connected(url, TIMEOUT_SECONDS)
    store = FlushableRedisStore(servers, namespace=f"test-{uuid.uuid4().hex}", unknown_max=unknown_max)
    try:
        yield store
    finally:
        store.flush()
        store.close()


def any_store(
    request: pytest.FixtureRequest, unknown_max: int = UNKNOWN_VIDEOS_MAX
) -> Iterator[FakeSegmentStore | FlushableRedisStore]:
    """The body of a fixture with `params=STORES`."""
    if request.param == STORES[0]:
        yield FakeSegmentStore(unknown_max)
    else:
        with redis_store(request.getfixturevalue(SERVERS[request.param]), unknown_max) as store:
            yield store
