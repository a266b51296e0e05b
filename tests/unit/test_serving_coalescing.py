import asyncio

import pytest

from serving_layer.counts.coalescing import CoalescedReads


class Store:
    """Answers {key: trip number}; every trip waits for its turn to be let go."""

    def __init__(self) -> None:
        self.trips: list[list[str]] = []
        self.gate = asyncio.Event()
        self.failures: list[Exception] = []

    async def load(self, keys: list[str]) -> dict[str, int]:
        self.trips.append(keys)
        number = len(self.trips)
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return dict.fromkeys(keys, number)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_reads_that_arrive_during_a_round_trip_share_the_next_one() -> None:
    async def scenario() -> None:
        store = Store()
        reads = CoalescedReads(store.load)
        first = reads.read(["a"])
        await settle()
        others = [reads.read([key]) for key in ("b", "c", "b")]
        await settle()
        assert store.trips == [["a"]]
        store.gate.set()
        assert await first == {"a": 1}
        assert await asyncio.gather(*others) == [{"b": 2, "c": 2}] * 3
        assert store.trips == [["a"], ["b", "c"]]

    asyncio.run(scenario())


def test_a_read_never_gets_an_answer_that_began_before_it() -> None:
    async def scenario() -> None:
        store = Store()
        reads = CoalescedReads(store.load)
        early = reads.read(["a"])
        await settle()
        late = reads.read(["a"])
        store.gate.set()
        assert (await early, await late) == ({"a": 1}, {"a": 2})

    asyncio.run(scenario())


def test_a_round_trip_carries_no_more_keys_than_allowed() -> None:
    async def scenario() -> None:
        store = Store()
        store.gate.set()
        reads = CoalescedReads(store.load, keys_max=3)
        await asyncio.gather(*(reads.read([f"{number}a", f"{number}b"]) for number in range(4)))
        assert [len(keys) for keys in store.trips] == [2, 2, 2, 2]
        await reads.read(list("abcdef"))
        assert len(store.trips[-1]) == 6, "a single read of more goes alone"

    asyncio.run(scenario())


def test_an_error_reaches_the_readers_of_its_round_trip_and_no_others() -> None:
    async def scenario() -> None:
        store = Store()
        store.failures = [ConnectionError("gone")]
        reads = CoalescedReads(store.load)
        first = reads.read(["a"])
        await settle()
        second = reads.read(["b"])
        store.gate.set()
        with pytest.raises(ConnectionError):
            await first
        assert await second == {"b": 2}

    asyncio.run(scenario())


def test_a_reader_that_gives_up_disturbs_no_other() -> None:
    async def scenario() -> None:
        store = Store()
        reads = CoalescedReads(store.load)
        leaving, staying = reads.read(["a"]), reads.read(["a"])
        await settle()
        leaving.cancel()
        store.gate.set()
        assert await staying == {"a": 1}

    asyncio.run(scenario())
