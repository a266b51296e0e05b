"""The known name nearest to one that is not known."""

import pytest

from billing.terms.nearest import nearest, nearest_sentence


@pytest.mark.parametrize(
    ("name", "like"), [("anne", "ann"), ("an", "ann"), ("nan", "ann"), ("bbo", "bob"), ("zoë", None), ("", None)]
)
def test_the_name_that_was_meant_is_found(name: str, like: str | None) -> None:
    assert nearest(name, ["ann", "bob", "a-much-longer-name"]) == like


def test_the_sentence_says_so() -> None:
    assert nearest_sentence("anne", ["ann"]) == "the nearest that is there is 'ann'"
    assert nearest_sentence("anne", []) == "allowed: one that is there"


def test_among_many_names_only_some_are_compared() -> None:
    assert nearest("anne", (f"{number:04}" for number in range(100_000))) is None
