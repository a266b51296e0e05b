import pytest

from serving_layer.counts.merge import SettledCount
from serving_layer.counts.settled_cache import SettledCache
from tests.serving_fakes import version

ONE, TWO = SettledCount(1, 1), SettledCount(2, 1)


def test_known_and_unknown_videos_are_remembered() -> None:
    cache = SettledCache(version(1))
    cache.remember(["a", "b"], {"a": ONE})
    assert (cache.get("a"), cache.get("b")) == (ONE, None)
    assert "c" not in cache
    with pytest.raises(KeyError):
        cache.get("c")


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = SettledCache(version(1), known_max=2)
    cache.remember(["a", "b"], {"a": ONE, "b": ONE})
    cache.get("a")
    cache.remember(["c"], {"c": ONE})
    assert cache.video_ids() == {"a", "c"}


def test_made_up_ids_never_push_out_real_ones() -> None:
    cache = SettledCache(version(1), known_max=2, unknown_max=3)
    cache.remember(["a", "b"], {"a": ONE, "b": ONE})
    for number in range(1_000):
        cache.remember([f"made-up-{number}"], {})
    assert {"a", "b"} <= cache.video_ids()
    assert len(cache) == 5


def test_at_a_new_version_changes_are_applied_and_the_unchanged_stays() -> None:
    cache = SettledCache(version(1))
    cache.remember(["a", "b", "new"], {"a": ONE, "b": ONE})
    cache.move_to(version(2), cache.video_ids(), {"a": TWO, "new": TWO, "never asked for": TWO})
    assert (cache.get("a"), cache.get("b"), cache.get("new")) == (TWO, ONE, TWO)
    assert "never asked for" not in cache
    assert cache.version == version(2)


def test_what_was_not_checked_for_changes_is_forgotten() -> None:
    cache = SettledCache(version(1))
    cache.remember(["a", "b"], {"a": ONE})
    cache.move_to(version(2), {"a"}, {})
    assert cache.video_ids() == {"a"}
