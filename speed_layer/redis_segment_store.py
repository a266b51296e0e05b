"""The segment store on Redis: a synchronous one for counting and for batch runs, an asynchronous reader for serving.

Both send the calls of `redis_calls` to the server that holds their partition, in one round trip for each server (a
pipeline). They send the scripts' text if a server does not have it yet, and follow a slot that has moved to another
server of a Cluster. They retry nothing else: the caller may repeat every call.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.exceptions import MovedError, NoScriptError, RedisError

from ingestion.contract.unavailable import UnavailableError
from speed_layer.chunk import Chunk
from speed_layer.redis_calls import (
    CUT,
    NAMESPACE,
    PRUNE,
    Call,
    applied,
    apply_call,
    beat_call,
    key_prefix,
    knows_call,
    partition_reading,
    read_call,
    reset_call,
)
from speed_layer.redis_cluster import AsyncCluster, Cluster
from speed_layer.redis_connection import AsyncSingle, Single, connected
from speed_layer.redis_refusals import refusal, unavailable, unsafe
from speed_layer.segments import Applied, Moved, PartitionReading, ProvisionalViews

Client = TypeVar("Client", redis.Redis, redis.asyncio.Redis)
TIMEOUT_SECONDS = 5.0
OF_A_CLUSTER = (
    "Redis is a server of a Cluster; VIEWLEDGER_REDIS_URL must begin with redis+cluster:// or rediss+cluster://"
)
REMEDIES_MAX = 2
"""A slot has moved, and then its new server does not have the script."""
UNKNOWN_VIDEOS_MAX = 100_000
"""The number of videos outside the catalogue that a segment takes: about 10 MB for each partition."""


class RedisSegmentStore:
    """Keeps positions, counts and seen ids in Redis. Raises UnavailableError when Redis does not answer properly.

    `namespace` begins every key, so that tests and topics can share a Redis.
    """

    def __init__(
        self, servers: Single | Cluster, *, namespace: str = NAMESPACE, unknown_max: int = UNKNOWN_VIDEOS_MAX
    ) -> None:
        self._servers = servers
        self._namespace = namespace
        self._unknown_max = unknown_max

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        namespace: str = NAMESPACE,
        timeout_seconds: float = TIMEOUT_SECONDS,
        unknown_max: int = UNKNOWN_VIDEOS_MAX,
    ) -> "RedisSegmentStore":
        """Return a store on the servers that `url` leads to (see `redis_connection`); connects at the first call."""
        return cls(connected(url, timeout_seconds), namespace=namespace, unknown_max=unknown_max)

    def apply(self, chunks: Sequence[Chunk], applied_at_ms: int) -> list[Applied | Moved]:
        """Apply the chunks in order, each completely or, if the stored position differs, not at all."""
        calls = [
            apply_call(self._prefix(chunk.span.partition), chunk, applied_at_ms, self._unknown_max) for chunk in chunks
        ]
        return [applied(reply) for reply in self._run(calls)]

    def cut(self, partition_count: int) -> tuple[int | None, ...]:
        """Close the open segment of every partition; return where the next one starts, which is a run's `offset_end`.

        None means a partition without state. Each partition is cut atomically, at its own position.
        """
        replies = self._run([Call(CUT, (self._prefix(partition),)) for partition in range(partition_count)])
        return tuple(None if reply is None else int(reply) for reply in replies)

    def now_ms(self) -> int:
        """Return the servers' time: that of the slowest clock, so that no age by another one is too small."""
        try:
            times = [master.time() for master in self._servers.masters()]
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error
        return min(int(seconds) * 1000 + int(microseconds) // 1000 for seconds, microseconds in times)

    def beat(self, log_ends: Mapping[int, int], asked_at_ms: int, log: str) -> None:
        """Note where partitions of a log ended at an instant of the server's time; skip those without state."""
        self._run([beat_call(self._prefix(partition), end, asked_at_ms, log) for partition, end in log_ends.items()])

    def prune(self, offset_ends: Sequence[int]) -> int:
        """Drop every segment that starts before its partition's offset; return how many. The open one stays."""
        return sum(self._run([Call(PRUNE, (self._prefix(index), end)) for index, end in enumerate(offset_ends)]))

    def reset(
        self,
        partition: int,
        *,
        position: int,
        segment: int,
        replay_until: int,
        log: str = "",
        instead_of: PartitionReading | EllipsisType | None = ...,
    ) -> bool:
        """Forget the partition and restart it with one empty segment, reading a log from `position`.

        Return False and change nothing if the state is no longer the one that was read (None: no state).
        Without `instead_of` it restarts the partition in any state.
        """
        begin = (position, segment, replay_until, log)
        return bool(self._run([reset_call(self._prefix(partition), begin, instead_of)])[0])

    def forget(self, partition_count: int) -> None:
        """Forget the stored positions, so that every partition is restarted from the published version.

        Answers for a partition are incomplete until it has been counted again.
        """
        prefixes = [self._prefix(partition) for partition in range(partition_count)]
        try:
            for prefix, server in zip(prefixes, self._servers.holding(prefixes), strict=True):
                server.unlink(f"{prefix}:state")
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    def look(self, offset_ends: Mapping[int, int]) -> dict[int, PartitionReading | None]:
        """Read the state of some partitions, without counts, relative to their `offset_end`."""
        replies = self._run([read_call(self._prefix(partition), end) for partition, end in offset_ends.items()])
        return {partition: partition_reading(reply) for partition, reply in zip(offset_ends, replies, strict=True)}

    def positions(self, partition_count: int) -> tuple[int | None, ...]:
        """Return the next offset to apply of every partition; None without state."""
        readings = self.look(dict.fromkeys(range(partition_count), 0))
        return tuple(None if reading is None else reading.position for reading in readings.values())

    def read(self, offset_ends: Sequence[int], video_ids: Sequence[str]) -> ProvisionalViews:
        """Return the provisional views of some videos since a version's `offset_end` of every partition."""
        calls = [read_call(self._prefix(partition), end, video_ids) for partition, end in enumerate(offset_ends)]
        replies = self._run(calls)
        return ProvisionalViews.summed(video_ids, [partition_reading(reply) for reply in replies])

    def knows(self, event_id: bytes, partition_count: int) -> bool:
        """Return whether an id of 16 bytes is remembered: an event with it that may count came within the horizon."""
        calls = [knows_call(self._prefix(partition), event_id) for partition in range(partition_count)]
        return any(reply == 1 for reply in self._run(calls))

    def close(self) -> None:
        """Close the connections."""
        self._servers.close()

    def unsafe_settings(self) -> list[str]:
        """Return one sentence for each setting of a server under which counts could be lost silently.

        Replicas are asked as well: each may become a master. The settings are read by INFO, which is allowed where
        CONFIG is not. A server that refuses us, or that we do not trust, is one sentence, too: no retry heals it.
        """
        try:
            return [
                sentence
                for name, server in self._servers.every().items()
                for sentence in unsafe(name, server.info(), in_cluster=self._servers.spreads_keys)
            ]
        except (RedisError, OSError) as error:
            if sentence := refusal(error):
                return [sentence]
            raise self._unavailable(error) from error

    def _prefix(self, partition: int) -> str:
        return key_prefix(self._namespace, partition, spread=self._servers.spreads_keys)

    def _run(self, calls: Sequence[Call]) -> list[Any]:
        try:
            replies = self._send(calls)
            for _ in range(REMEDIES_MAX):
                if not (failed := _failed(replies)):
                    break
                self._remedy([calls[index] for index in failed], [replies[index] for index in failed])
                _fill(replies, failed, self._send([calls[index] for index in failed]))
            return _checked(replies)
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    def _send(self, calls: Sequence[Call]) -> list[Any]:
        replies: list[Any] = [None] * len(calls)
        for server, indexes in _by_server(self._servers.holding([call.key for call in calls])).items():
            with server.pipeline(transaction=False) as pipeline:
                for index in indexes:
                    pipeline.execute_command(*calls[index].command)  # type: ignore[no-untyped-call]
                _fill(replies, indexes, pipeline.execute(raise_on_error=False))
        return replies

    def _remedy(self, calls: Sequence[Call], errors: Sequence[RedisError]) -> None:
        if any(isinstance(error, MovedError) for error in errors):
            self._servers.look_again()
        lacking = [call for call, error in zip(calls, errors, strict=True) if isinstance(error, NoScriptError)]
        servers = self._servers.holding([call.key for call in lacking])
        for server, source in {(server, call.script.source) for server, call in zip(servers, lacking, strict=True)}:
            server.script_load(source)

    def _unavailable(self, error: Exception) -> UnavailableError:
        self._servers.look_again()
        return unavailable(error, in_cluster=self._servers.spreads_keys)


class AsyncRedisSegmentReader:
    """Reads the segment store from an event loop, for the API. Raises UnavailableError like the synchronous store."""

    def __init__(self, servers: AsyncSingle | AsyncCluster, *, namespace: str = NAMESPACE) -> None:
        self._servers = servers
        self._namespace = namespace

    async def read(self, offset_ends: Sequence[int], video_ids: Sequence[str]) -> ProvisionalViews:
        """Return the provisional views of some videos since a version's `offset_end` of every partition."""
        spread = self._servers.spreads_keys
        prefixes = [key_prefix(self._namespace, partition, spread=spread) for partition in range(len(offset_ends))]
        calls = [read_call(prefix, end, video_ids) for prefix, end in zip(prefixes, offset_ends, strict=True)]
        return ProvisionalViews.summed(video_ids, [partition_reading(reply) for reply in await self._run(calls)])

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        try:
            replies = await self._send(calls)
            for _ in range(REMEDIES_MAX):
                if not (failed := _failed(replies)):
                    break
                await self._remedy([calls[index] for index in failed], [replies[index] for index in failed])
                _fill(replies, failed, await self._send([calls[index] for index in failed]))
            return _checked(replies)
        except (RedisError, OSError) as error:
            self._servers.look_again()
            raise unavailable(error, in_cluster=self._servers.spreads_keys) from error

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        replies: list[Any] = [None] * len(calls)

        async def ask(server: redis.asyncio.Redis, indexes: Sequence[int]) -> None:
            async with server.pipeline(transaction=False) as pipeline:
                for index in indexes:
                    pipeline.execute_command(*calls[index].command)
                _fill(replies, indexes, await pipeline.execute(raise_on_error=False))

        servers = _by_server(await self._servers.holding([call.key for call in calls]))
        asked = [ask(server, indexes) for server, indexes in servers.items()]
        await (asked[0] if len(asked) == 1 else asyncio.gather(*asked))  # a task of its own would take 50 us
        return replies

    async def _remedy(self, calls: Sequence[Call], errors: Sequence[RedisError]) -> None:
        if any(isinstance(error, MovedError) for error in errors):
            self._servers.look_again()
        lacking = [call for call, error in zip(calls, errors, strict=True) if isinstance(error, NoScriptError)]
        servers = await self._servers.holding([call.key for call in lacking])
        for server, source in {(server, call.script.source) for server, call in zip(servers, lacking, strict=True)}:
            await server.script_load(source)


def _by_server(servers: Sequence[Client]) -> dict[Client, list[int]]:
    """Return server → the indexes of the calls that it answers, in their order."""
    indexes: dict[Client, list[int]] = {}
    for index, server in enumerate(servers):
        indexes.setdefault(server, []).append(index)
    return indexes


def _failed(replies: Sequence[Any]) -> list[int]:
    """Return the indexes of the replies that a remedy exists for: a server without the script, or without the slot."""
    return [index for index, reply in enumerate(replies) if isinstance(reply, (NoScriptError, MovedError))]


def _fill(replies: list[Any], indexes: Sequence[int], found: Sequence[Any]) -> None:
    for index, reply in zip(indexes, found, strict=True):
        replies[index] = reply


def _checked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
