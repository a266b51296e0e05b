"""The servers of a Redis Cluster: which of them holds a key, as they answer themselves.

Each is spoken to like a single Redis. After an error, and when a slot has moved, the next call asks again who holds
what: the known servers and those of the URL in random order, so that a dead one delays few calls.

An answer ASK (a slot is being moved, and its keys are in two places) is an error like any other: nothing may be applied
until all keys of a partition are in one place again. A script that follows it finds only those that have moved already;
where the known ids are not among them, it counts repeats.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import redis
import redis.asyncio
from redis.crc import key_slot
from redis.exceptions import RedisError, SlotNotCoveredError

Address = tuple[str, int]
Client = TypeVar("Client", redis.Redis, redis.asyncio.Redis)
QUESTION = "CLUSTER SLOTS"


@dataclass(frozen=True)
class Slots:
    """Which servers hold which of the 16,384 slots."""

    ranges: Sequence[tuple[int, int, Sequence[Address]]]
    """First slot, last slot, the master and its replicas; in order."""

    @classmethod
    def of(cls, answer: Sequence[Sequence[Any]], asked: Address) -> Self:
        """Read the answer to `CLUSTER SLOTS`; a server without a name is the one that was asked."""
        return cls(
            sorted(
                (int(first), int(last), [(_text(host) or asked[0], int(port)) for host, port, *_ in servers])
                for first, last, *servers in answer
            )
        )

    def master_of(self, key: str) -> Address:
        """Return the master that holds a key.

        Raises:
            SlotNotCoveredError: none does.
        """
        slot = key_slot(key.encode())
        index = bisect_right(self.ranges, slot, key=lambda each: each[0]) - 1
        if index < 0 or slot > self.ranges[index][1]:
            raise SlotNotCoveredError(f"no server of the Cluster holds slot {slot}")
        return self.ranges[index][2][0]

    def masters(self) -> list[Address]:
        """Return the masters that hold a slot."""
        return list(dict.fromkeys(servers[0] for _, _, servers in self.ranges))

    def every(self) -> list[Address]:
        """Return these masters and the replicas that are well."""
        return list(dict.fromkeys(each for _, _, servers in self.ranges for each in servers))


class _Servers(Generic[Client]):
    """The clients of the servers, one for each, and what they last answered."""

    spreads_keys = True

    def __init__(self, named: Sequence[Address], connect: Callable[[Address], Client]) -> None:
        """`named`: the servers that the URL names. `connect` must not connect yet."""
        self._named = named
        self._connect: Callable[[Address], Client] = connect
        self._clients: dict[Address, Client] = {}
        self._slots: Slots | None = None

    def look_again(self) -> None:
        """Ask before the next call who holds what."""
        self._slots = None

    def _client(self, address: Address) -> Client:
        if address not in self._clients:
            self._clients[address] = self._connect(address)
        return self._clients[address]

    def _to_ask(self) -> Iterator[tuple[Address, Client]]:
        addresses = list(dict.fromkeys([*self._named, *self._clients]))
        random.shuffle(addresses)
        return ((address, self._client(address)) for address in addresses)


class Cluster(_Servers[redis.Redis]):
    """The servers of a Cluster. Everything raises RedisError or OSError if no server answers."""

    def holding(self, keys: Sequence[str]) -> list[redis.Redis]:
        """Return the client of the server that holds each key."""
        slots = self._known()
        return [self._client(slots.master_of(key)) for key in keys]

    def masters(self) -> list[redis.Redis]:
        """Return the clients of all masters."""
        return [self._client(address) for address in self._known().masters()]

    def every(self) -> Mapping[str, redis.Redis]:
        """Return host:port → client of every server, replicas as well."""
        return {f"{host}:{port}": self._client((host, port)) for host, port in self._known().every()}

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _known(self) -> Slots:
        if self._slots is not None:
            return self._slots
        failed: Exception | None = None
        for address, client in self._to_ask():
            try:
                answer = client.execute_command(QUESTION)  # type: ignore[no-untyped-call]
                self._slots = Slots.of(answer, address)
                return self._slots
            except (RedisError, OSError) as error:
                failed = error
        raise failed or SlotNotCoveredError("the URL of the Cluster names no server")


class AsyncCluster(_Servers[redis.asyncio.Redis]):
    """The same for an event loop."""

    async def holding(self, keys: Sequence[str]) -> list[redis.asyncio.Redis]:
        """Return the client of the server that holds each key."""
        slots = await self._known()
        return [self._client(slots.master_of(key)) for key in keys]

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def _known(self) -> Slots:
        if self._slots is not None:
            return self._slots
        failed: Exception | None = None
        for address, client in self._to_ask():
            try:
                answer = await client.execute_command(QUESTION)  # type: ignore[no-untyped-call]
                self._slots = Slots.of(answer, address)
                return self._slots
            except (RedisError, OSError) as error:
                failed = error
        raise failed or SlotNotCoveredError("the URL of the Cluster names no server")


def _text(host: bytes | str | None) -> str:
    return host.decode() if isinstance(host, bytes) else host or ""
