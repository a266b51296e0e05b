"""The known name that is nearest to an unknown one: most unknown names are typing errors."""

import difflib
from collections.abc import Iterable

CANDIDATES_MAX = 10_000
"""The most names that are compared: the hint must not take longer than the work."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to another one; None if none is similar."""
    alike = [each for each in known if abs(len(each) - len(name)) <= 2]
    found = difflib.get_close_matches(name, alike[:CANDIDATES_MAX], n=1)
    return found[0] if found else None


def nearest_sentence(name: str, known: Iterable[str]) -> str:
    """Return the hint that follows an unknown name in a message."""
    found = nearest(name, known)
    return "allowed: one that is there" if found is None else f"the nearest that is there is {found!r}"
