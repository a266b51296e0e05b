"""Coalesce many concurrent reads into few round trips: reads that arrive during one share the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class _Trip(Generic[Key, Answer]):
    __slots__ = ("keys", "waiting")

    def __init__(self) -> None:
        self.keys: dict[Key, None] = {}
        self.waiting: list[asyncio.Future[Answer]] = []


class CoalescedReads(Generic[Key, Answer]):
    """Reads keys through `load`, which reads many at once; for one event loop.

    One round trip is under way at a time and carries at most `keys_max` keys (a single read of more goes alone). Every
    read gets the answer of the round trip that carried its keys, or its error; a cancelled read disturbs no other.
    """

    def __init__(self, load: Callable[[list[Key]], Awaitable[Answer]], *, keys_max: int = 1_000) -> None:
        self._load = load
        self._keys_max = keys_max
        self._queue: list[_Trip[Key, Answer]] = []
        self._runner: asyncio.Task[None] | None = None

    def read(self, keys: Collection[Key]) -> "asyncio.Future[Answer]":
        """Return a future of the answer to a round trip that carries these keys and begins after this call."""
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        trip = self._queue[-1] if self._queue else None
        if trip is None or len(trip.keys) + len(keys) > self._keys_max:
            trip = _Trip()
            self._queue.append(trip)
        trip.keys.update(dict.fromkeys(keys))
        trip.waiting.append(waiter)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return waiter

    async def _run(self) -> None:
        while self._queue:
            trip = self._queue.pop(0)
            try:
                answer = await self._load(list(trip.keys))
            except Exception as error:  # noqa: BLE001  every reader gets it raised
                for waiter in trip.waiting:
                    if not waiter.done():
                        waiter.set_exception(error)
            else:
                for waiter in trip.waiting:
                    if not waiter.done():
                        waiter.set_result(answer)
