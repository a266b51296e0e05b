"""The known name that is nearest to one that is not known: most of these are slips of the pen."""

import difflib
from collections.abc import Iterable

CANDIDATES_MAX = 10_000
"""Names that are compared: it is a help, and must not take longer than the work."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one; None where none is."""
    alike = [each for each in known if abs(len(each) - len(name)) <= 2]
    found = difflib.get_close_matches(name, alike[:CANDIDATES_MAX], n=1)
    return found[0] if found else None


def nearest_sentence(name: str, known: Iterable[str]) -> str:
    """Return what a message says after it named what is not known."""
    found = nearest(name, known)
    return "allowed: one that is there" if found is None else f"the nearest that is there is {found!r}"
