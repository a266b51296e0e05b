"""Encode the calls of the scripts for one partition, and decode their answers. No connection.

Key layout (`p` = partition; in a Cluster the hash tag is `{views:p:n}`, see `key_prefix`):

    {views:p}:state            HASH  position, segment, replay_until, appended_at_ms, applied_at_ms, covered_at_ms,
                                     target, target_at_ms (see beat.lua), log,
                                     unknown_videos, unknown_ids (see apply.lua)
    {views:p}:segments         ZSET  start offsets of the kept segments
    {views:p}:segment:<start>  HASH  video id → provisional views
    {views:p}:apart:<start>    STR   marks of videos whose views were set apart
    {views:p}:generations      ZSET  numbers of the kept generations
    {views:p}:seen:<number>    SET   event ids of 16 bytes first seen in that generation

Memory is dominated by the seen ids, of which at most three generations (1.5 horizons) are kept. An id takes 65 to 80
bytes (MEMORY USAGE on Redis 7.0, sets of 1,000 to 1,000,000), so with the default horizon of 2 h the bound is
80 bytes × events per second × 10,800 s: 0.9 GB for a steady 1,000 events/s, 43 GB for 50,000/s. A shorter horizon
(VIEWLEDGER_SPEED_HORIZON_SECONDS) shrinks it in proportion. The counts of a segment take about 100 bytes a video.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from types import EllipsisType
from typing import Any

import msgspec
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from ingestion.contract.topics import PARTITION_COUNT
from speed_layer.chunk import Chunk
from speed_layer.segments import Applied, Moved, PartitionReading

NAMESPACE = "views"
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Script:
    """A Lua script and its digest in Redis."""

    source: str
    digest: str
    is_read_only: bool = False

    @classmethod
    def from_file(cls, name: str, *, is_read_only: bool = False) -> "Script":
        """Read `redis_scripts/<name>.lua`."""
        source = (Path(__file__).parent / "redis_scripts" / f"{name}.lua").read_text()
        # Redis names scripts by SHA-1; nothing is protected by it.
        return cls(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), is_read_only)


APPLY = Script.from_file("apply")
BEAT = Script.from_file("beat")
CUT = Script.from_file("cut")
KNOWS = Script.from_file("knows", is_read_only=True)
PRUNE = Script.from_file("prune")
READ = Script.from_file("read", is_read_only=True)
RESET = Script.from_file("reset")


@dataclass(frozen=True)
class Call:
    """One call of a script on one partition."""

    script: Script
    arguments: tuple[Any, ...]

    @property
    def key(self) -> str:
        """Return the partition's key prefix."""
        return str(self.arguments[0])

    @property
    def command(self) -> tuple[Any, ...]:
        """Return the Redis command that runs the script by its digest."""
        name = "EVALSHA_RO" if self.script.is_read_only else "EVALSHA"
        return (name, self.script.digest, 1, *self.arguments)


@cache
def key_prefix(namespace: str, partition: int, *, spread: bool = False) -> str:
    """Return the prefix of every key of the partition: a hash tag, so that they are in one slot of a Cluster.

    `spread`: the tag ends with the first number that puts it near the partition's own place among the slots. Masters
    hold ranges of slots, so each gets its share of partitions: `{views:0}` to `{views:11}` themselves would be 4, 6
    and 2 on three masters. The first twelve are in the middle of a twelfth each, later rounds of twelve at a quarter,
    three quarters, an eighth and so on: places do not depend on how many there are. One server keeps the short form.
    """
    if not spread:
        return f"{{{namespace}:{partition}}}"
    twelfth = REDIS_CLUSTER_HASH_SLOTS / PARTITION_COUNT
    earlier_rounds, own = divmod(partition, PARTITION_COUNT)
    place = (own + _halved(earlier_rounds + 1)) * twelfth
    distance_max = twelfth / (4 * (earlier_rounds + 1))
    tags = (f"{{{namespace}:{partition}:{number}}}" for number in count())
    return next(tag for tag in tags if abs(key_slot(tag.encode()) - place) < distance_max)


def _halved(number: int) -> float:
    """Return the term of the van der Corput sequence: 1/2, 1/4, 3/4, 1/8, 5/8 and so on from number 1 on."""
    return int(f"{number:b}"[::-1], 2) / (1 << number.bit_length())


def apply_call(prefix: str, chunk: Chunk, applied_at_ms: int, unknown_max: int) -> Call:
    """Return the call that applies a chunk; a segment takes up to `unknown_max` videos outside the catalogue."""
    span = chunk.span
    appended_at_ms = chunk.appended_at_ms
    return Call(
        APPLY,
        (
            prefix,
            span.position,
            span.next_position,
            span.generation,
            "" if appended_at_ms is None else appended_at_ms,
            applied_at_ms,
            b"".join(chunk.candidates),
            _encode(["" if event_id in chunk.invalid else video for event_id, video in chunk.candidates.items()]),
            _encode(list(chunk.unknown_videos)),
            unknown_max,
        ),
    )


def applied(reply: Sequence[Any]) -> Applied | Moved:
    """Decode the answer to `apply_call`."""
    if reply[0] == 1:
        counted, known, is_warm_up, apart, invalid = reply[1:]
        return Applied(counted, known, apart=apart, invalid=invalid, is_warm_up=is_warm_up == 1)
    if len(reply) == 1:
        return Moved(None, None)
    return Moved(int(reply[1]), int(reply[2]))


def reset_call(
    prefix: str, begin: tuple[int, int, int, str], instead_of: PartitionReading | EllipsisType | None
) -> Call:
    """Return the call that restarts the partition at (position, segment, replay_until, log)."""
    match instead_of:
        case PartitionReading():
            return Call(RESET, (prefix, *begin, instead_of.position, instead_of.segment))
        case None:
            return Call(RESET, (prefix, *begin, "", ""))
    return Call(RESET, (prefix, *begin))


def read_call(prefix: str, offset_end: int, video_ids: Sequence[str] = ()) -> Call:
    """Return the call that reads the state and the counts of some videos from `offset_end` on."""
    return Call(READ, (prefix, offset_end, *video_ids))


def beat_call(prefix: str, log_end: int, asked_at_ms: int, log: str) -> Call:
    """Return the call that notes where the partition of a log ended at an instant of the server's clock."""
    return Call(BEAT, (prefix, log_end, asked_at_ms, log))


def knows_call(prefix: str, event_id: bytes) -> Call:
    """Return the call that asks whether the partition remembers an event id."""
    return Call(KNOWS, (prefix, event_id))


def partition_reading(reply: Sequence[Any]) -> PartitionReading | None:
    """Decode the answer to `read_call`."""
    if not reply:
        return None
    has_segment, position, segment, replay_until, appended_at_ms, applied_at_ms, covered_ago_ms, log, *views = reply
    return PartitionReading(
        has_segment=has_segment == 1,
        position=position,
        segment=segment,
        replay_until=_present(replay_until),
        appended_at_ms=_present(appended_at_ms),
        applied_at_ms=_present(applied_at_ms),
        covered_ago_ms=_present(covered_ago_ms),
        log=log.decode(),
        views=tuple(max(count, -1 - count) for count in views),
        is_doubtful=tuple(count < 0 for count in views),
    )


def _present(number: int) -> int | None:
    return None if number < 0 else number
