"""The two segment stores that every law and contract is tested on: in memory, and on a real Redis."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from speed_layer.redis_segment_store import UNKNOWN_VIDEOS_MAX, RedisSegmentStore
from tests.speed_fakes import FakeSegmentStore

STORES = ("in memory", "on Redis")
AnyStore = FakeSegmentStore | RedisSegmentStore


class FlushableRedisStore(RedisSegmentStore):
    """A store with keys of its own that can be lost."""

    def flush(self) -> None:
        if keys := list(self._client.scan_iter(f"{{{self._namespace}:*", count=1000)):
            self._client.unlink(*keys)


@contextmanager
def redis_store(url: str, unknown_max: int = UNKNOWN_VIDEOS_MAX) -> Iterator[FlushableRedisStore]:
    """A store under a namespace nobody else uses; its keys are removed at the end."""
    client = redis.Redis.from_url(url)
    store = FlushableRedisStore(client, namespace=f"test-{uuid.uuid4().hex}", unknown_max=unknown_max)
    try:
        yield store
    finally:
        store.flush()
        client.close()


def any_store(
    request: pytest.FixtureRequest, unknown_max: int = UNKNOWN_VIDEOS_MAX
) -> Iterator[FakeSegmentStore | FlushableRedisStore]:
    """The body of a fixture with `params=STORES`."""
    if request.param == STORES[0]:
        yield FakeSegmentStore(unknown_max)
    else:
        with redis_store(request.getfixturevalue("redis_url"), unknown_max) as store:
            yield store
