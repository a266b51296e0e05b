"""The segment store on Redis: a synchronous one for counting and for batch runs, an asynchronous reader for serving.

Both send the calls of `redis_calls` in one round trip (a pipeline) and send the scripts' text if Redis does not have
them yet. They retry nothing: the caller may repeat every call.
"""

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import AuthenticationError, NoPermissionError, NoScriptError, RedisError

from ingestion.contract.unavailable import Part, UnavailableError, one_line
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
from speed_layer.redis_connection import connected
from speed_layer.segments import Applied, Moved, PartitionReading, ProvisionalViews

TIMEOUT_SECONDS = 5.0
UNKNOWN_VIDEOS_MAX = 100_000
"""The number of videos outside the catalogue that a segment takes: about 10 MB for each partition."""


class RedisSegmentStore:
    """Keeps positions, counts and seen ids in Redis. Raises UnavailableError when Redis does not answer properly.

    `namespace` begins every key, so that tests and topics can share a Redis.
    """

    def __init__(
        self, client: redis.Redis, *, namespace: str = NAMESPACE, unknown_max: int = UNKNOWN_VIDEOS_MAX
    ) -> None:
        self._client = client
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
        """Return a store on the server that `url` leads to (see `redis_connection`); connects at the first call."""
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
        """Return the server's time."""
        try:
            seconds, microseconds = self._client.time()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return int(seconds) * 1000 + int(microseconds) // 1000

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
        try:
            for partition in range(partition_count):
                self._client.unlink(f"{self._prefix(partition)}:state")
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

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
        replies = self._run(_read_calls(self._namespace, offset_ends, video_ids))
        return ProvisionalViews.summed(video_ids, [partition_reading(reply) for reply in replies])

    def knows(self, event_id: bytes, partition_count: int) -> bool:
        """Return whether an id of 16 bytes is remembered: an event with it that may count came within the horizon."""
        calls = [knows_call(self._prefix(partition), event_id) for partition in range(partition_count)]
        return any(reply == 1 for reply in self._run(calls))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def unsafe_settings(self) -> list[str]:
        """Return one sentence for each server setting under which counts could be lost silently.

        They are read by INFO, which is allowed where CONFIG is not. A server that refuses us, or that we do not trust,
        is one sentence, too: no retry heals it.
        """
        try:
            policy = self._client.info("memory")["maxmemory_policy"]
            is_kept = self._client.info("persistence")["aof_enabled"]
        except (RedisError, OSError) as error:
            if sentence := _refusal(error):
                return [sentence]
            raise _unavailable(error) from error
        found = []
        if policy != "noeviction":
            found.append(
                f"Redis has maxmemory-policy {policy}, which drops counts when memory is short: set noeviction"
            )
        if not is_kept:
            found.append("Redis has appendonly off, so that a restart loses counts: set appendonly yes")
        return found

    def _prefix(self, partition: int) -> str:
        return key_prefix(self._namespace, partition)

    def _run(self, calls: Sequence[Call]) -> list[Any]:
        try:
            replies = self._send(calls)
            if missing := _missing(calls, replies):
                for source in {call.script.source for _, call in missing}:
                    self._client.script_load(source)
                again = self._send([call for _, call in missing])
                _fill(replies, missing, again)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return _checked(replies)

    def _send(self, calls: Sequence[Call]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command(*call.command)  # type: ignore[no-untyped-call]
            return list(pipeline.execute(raise_on_error=False))


class AsyncRedisSegmentReader:
    """Reads the segment store from an event loop, for the API. Raises UnavailableError like the synchronous store."""

    def __init__(self, client: redis.asyncio.Redis, *, namespace: str = NAMESPACE) -> None:
        self._client = client
        self._namespace = namespace

    async def read(self, offset_ends: Sequence[int], video_ids: Sequence[str]) -> ProvisionalViews:
        """Return the provisional views of some videos since a version's `offset_end` of every partition."""
        replies = await self._run(_read_calls(self._namespace, offset_ends, video_ids))
        return ProvisionalViews.summed(video_ids, [partition_reading(reply) for reply in replies])

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        try:
            replies = await self._send(calls)
            if missing := _missing(calls, replies):
                for source in {call.script.source for _, call in missing}:
                    await self._client.script_load(source)
                again = await self._send([call for _, call in missing])
                _fill(replies, missing, again)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return _checked(replies)

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command(*call.command)
            return list(await pipeline.execute(raise_on_error=False))


def _read_calls(namespace: str, offset_ends: Sequence[int], video_ids: Sequence[str]) -> list[Call]:
    return [read_call(key_prefix(namespace, index), end, video_ids) for index, end in enumerate(offset_ends)]


def _missing(calls: Sequence[Call], replies: Sequence[Any]) -> list[tuple[int, Call]]:
    """Return the calls, with their indexes, whose script Redis does not have (a new or flushed server)."""
    pairs = enumerate(zip(calls, replies, strict=True))
    return [(index, call) for index, (call, reply) in pairs if isinstance(reply, NoScriptError)]


def _fill(replies: list[Any], missing: Sequence[tuple[int, Call]], again: Sequence[Any]) -> None:
    for (index, _), reply in zip(missing, again, strict=True):
        replies[index] = reply


def _checked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise _unavailable(reply) from reply
    return replies


def _refusal(error: Exception) -> str | None:
    """Return one sentence for an error that only another setting heals; None for any other."""
    text = one_line(error)
    if isinstance(error, NoPermissionError):
        return f"Redis gives this user too few rights ({text}); docs/operate/secure-servers.md lists them"
    if isinstance(error, AuthenticationError):
        return f"Redis refuses this user or password ({text}); set VIEWLEDGER_REDIS_URL right"
    if "certificate verify failed" in text:
        return f"the certificate of Redis is not accepted ({text}); renew it, or name its authority by ?ssl_ca_certs="
    if "tlsv" in text or "alert" in text.lower():
        return f"Redis refuses our certificate ({text}); name one by ?ssl_certfile= and its key by &ssl_keyfile="
    return None


def _unavailable(error: Exception) -> UnavailableError:
    return UnavailableError(Part.REDIS, f"Redis: {error}")
