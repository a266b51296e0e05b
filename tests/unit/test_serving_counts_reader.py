import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from ingestion.contract.unavailable import Part, UnavailableError
from jobs.resilience.circuit_breaker import CircuitBreaker
from serving_layer.counts.merge import ServedCount
from tests.serving_fakes import FakePublished, FakeSpeed, reader_of, version


def run(scenario: Callable[[FakePublished, FakeSpeed], Awaitable[None]]) -> None:
    asyncio.run(scenario(FakePublished(), FakeSpeed()))  # type: ignore[arg-type]


def numbers(counts: list[ServedCount]) -> list[tuple[int, int, int]]:
    return [(count.version, count.settled_views, count.provisional_views) for count in counts]


def test_counts_come_in_the_order_asked_for_and_unknown_videos_are_zero() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        published.publish({"a": (10, 8), "b": (20, 0)})
        speed.views = {(100, "b"): 3}
        reader = reader_of(published, speed)
        await reader.refresh()
        counts = await reader.read(["b", "nobody", "a", "b"])
        assert [count.video_id for count in counts] == ["b", "nobody", "a", "b"]
        assert numbers(counts) == [(1, 20, 3), (1, 0, 0), (1, 10, 0), (1, 20, 3)]
        assert [count.known for count in counts] == [True, False, True, True]

    run(scenario)


def test_one_answer_needs_one_round_trip_and_cached_videos_need_no_look_up() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        published.publish({"a": (10, 8)})
        reader = reader_of(published, speed)
        await reader.refresh()
        for _ in range(3):
            await reader.read(["a", "nobody"])
        assert [ids for _, ids in speed.trips] == [["a", "nobody"]] * 3
        assert published.asked == [("a", "nobody")]

    run(scenario)


def test_before_the_first_version_offsets_are_zero_and_nothing_is_looked_up() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        speed.views = {(0, "a"): 5}
        reader = reader_of(published, speed)
        await reader.refresh()
        (count,) = await reader.read(["a"])
        assert (count.version, count.views, count.complete, count.settled_until) == (0, 5, True, None)
        assert published.asked == []

    run(scenario)


def test_nothing_is_served_while_nobody_knows_the_version() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        published.is_away = True
        reader = reader_of(published, speed)
        with pytest.raises(UnavailableError):
            await reader.refresh()
        with pytest.raises(UnavailableError, match="not known yet"):
            await reader.read(["a"])

    run(scenario)


def test_without_the_speed_layer_settled_counts_are_served_and_it_is_left_alone_for_a_while() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        now = [0.0]
        published.publish({"a": (10, 8)})
        speed.views, speed.is_away = {(100, "a"): 2}, True
        breaker = CircuitBreaker(Part.REDIS, failures_max=1, monotonic=lambda: now[0])
        reader = reader_of(published, breaker.on(speed, FakeSpeed.read))
        await reader.refresh()
        for _ in range(5):
            (count,) = await reader.read(["a"])
            assert (count.views, count.complete) == (10, False)
        assert len(speed.trips) == 1
        assert not reader.is_speed_answering
        speed.is_away, now[0] = False, 1.0
        (count,) = await reader.read(["a"])
        assert (count.views, count.complete) == (12, True)
        assert reader.is_speed_answering

    run(scenario)


def test_without_the_store_of_versions_cached_videos_are_served_and_others_refused() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        published.publish({"a": (10, 8), "b": (1, 1)})
        reader = reader_of(published, speed)
        await reader.refresh()
        await reader.read(["a", "nobody"])
        published.is_away = True
        with pytest.raises(UnavailableError):
            await reader.refresh()
        assert numbers(await reader.read(["a", "nobody"])) == [(1, 10, 0), (1, 0, 0)]
        with pytest.raises(UnavailableError):
            await reader.read(["a", "b"])
        published.is_away = False
        assert numbers(await reader.read(["b"])) == [(1, 1, 0)]

    run(scenario)


def test_a_new_version_is_served_from_the_cache_with_only_its_changes_looked_up() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        published.publish({"a": (10, 8), "b": (1, 1)})
        reader = reader_of(published, speed)
        await reader.refresh()
        await reader.read(["a", "b", "new"])
        published.publish({"a": (15, 9)})
        published.publish({"new": (7, 7), "unasked": (1, 1)})
        await reader.refresh()
        published.is_away = True
        assert numbers(await reader.read(["a", "b", "new"])) == [(3, 15, 0), (3, 1, 0), (3, 7, 0)]

    run(scenario)


def test_both_halves_of_an_answer_belong_to_one_version_when_one_is_published_in_between() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        published.publish({"a": (10, 8)})
        speed.views = {(100, "a"): 5, (200, "a"): 1}
        reader = reader_of(published, speed)
        await reader.refresh()
        speed.gate = asyncio.Event()
        asked = asyncio.create_task(reader.read(["a"]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [ends[0] for ends, _ in speed.trips] == [100]
        published.publish({"a": (14, 8)})
        await reader.refresh()
        speed.gate.set()
        assert numbers(await asked) == [(1, 10, 5)]
        assert numbers(await reader.read(["a"])) == [(2, 14, 1)]

    run(scenario)


def test_a_database_whose_pointer_went_back_starts_over() -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        published.publish({"a": (10, 8)})
        published.publish({"a": (20, 8)})
        reader = reader_of(published, speed)
        await reader.refresh()
        await reader.read(["a"])
        published.rows, published.pointer = {}, version(1)
        await reader.refresh()
        assert numbers(await reader.read(["a"])) == [(1, 0, 0)]

    run(scenario)


def growing(total: dict[str, int], generator: random.Random) -> dict[int, dict[str, int]]:
    """How many views each of five versions settles, by version and video."""
    settled: dict[int, dict[str, int]] = {0: dict.fromkeys(total, 0)}
    for number in range(1, 6):
        before = settled[number - 1]
        settled[number] = {each: generator.randint(before[each], views) for each, views in total.items()}
    del settled[0]
    return settled


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_published_meanwhile_settled_and_provisional_add_up_to_a_recount(seed: int) -> None:
    async def scenario(published: FakePublished, speed: FakeSpeed) -> None:
        generator = random.Random(seed)
        total = {f"v{number}": generator.randrange(500) for number in range(20)}
        settled_at = growing(total, generator)
        speed.views = {(0, each): views for each, views in total.items()}
        for number, counts in settled_at.items():
            speed.views |= {(100 * number, each): total[each] - settled for each, settled in counts.items()}
        reader = reader_of(published, speed)
        await reader.refresh()

        async def ask() -> None:
            for _ in range(15):
                asked = generator.sample(list(total), generator.randint(1, 6))
                for count in await reader.read(asked):
                    assert count.views == total[count.video_id], f"seed {seed}: {count}"
                await asyncio.sleep(0)

        async def publish() -> None:
            for counts in settled_at.values():
                for _ in range(generator.randrange(12)):
                    await asyncio.sleep(0)
                published.publish({each: (views, 0) for each, views in counts.items()})
                await reader.refresh()

        await asyncio.gather(publish(), *(ask() for _ in range(8)))

    run(scenario)
