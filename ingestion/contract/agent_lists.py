"""The dated lists by which user agents are read: robots, and the devices whose names only look like one."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, cast

import re2

from ingestion.contract.dated_lists import DatedList, ListError, in_force, read_lists

FOLDER = Path(__file__).with_name("lists")
ROBOTS, DEVICES = "robots", "devices"
REMOVED_MAX = 2
"""The names of devices that are looked for in a user agent."""


@dataclass(frozen=True)
class ListsInForce:
    """The versions that are in force together, from an instant on."""

    since: datetime
    robots: DatedList
    devices: DatedList


def lists_in_force(lists: tuple[DatedList, ...]) -> tuple[ListsInForce, ...]:
    """Return what is in force when, the newest first."""
    found = []
    for first_on in sorted({each.first_on for each in lists}, reverse=True):
        now = in_force(lists, first_on)
        if now.keys() >= {ROBOTS, DEVICES}:
            found.append(ListsInForce(datetime.combine(first_on, time(), UTC), now[ROBOTS], now[DEVICES]))
    return tuple(found)


@functools.cache
def shipped_lists() -> tuple[DatedList, ...]:
    """Return the lists that came with this program; raise ListError if one is not what was shipped."""
    return read_lists(FOLDER)


def finder(patterns: DatedList) -> Callable[[bytes], bool]:
    """Return a function that says whether a pattern finds an agent; it looks for no place, which takes longer."""
    found = re2.Set.SearchSet()
    _compiled(patterns, found.Add)
    found.Compile()
    return lambda agent: bool(found.Match(agent))


def remover(patterns: DatedList) -> Callable[[bytes], bytes]:
    """Return a function that cuts out of an agent what the patterns find, up to `REMOVED_MAX` times."""
    compiled = _compiled(patterns, re2.compile)
    return lambda agent: cast(bytes, compiled.sub(b" ", agent, REMOVED_MAX))


def _compiled(patterns: DatedList, compile_by: Callable[[str], Any]) -> Any:
    """Return the patterns as one: its time grows linearly with a text, whatever a sender writes."""
    try:
        return compile_by("|".join(f"(?:{line})" for line in patterns.lines))
    except re2.error as error:
        name = f"list {patterns.name} {patterns.version}"
        raise ListError(f"{name} has a pattern that RE2 refuses: {error}; install the program again") from error
