"""The dated lists by which user agents are read: robots, and the devices whose names only look like one.

A list is a file beside `lists.toml`, which names its version, source, licence, SHA-256 and first day. Which version is
in force depends on the day of an event alone, so a replay in a year gives the same verdicts.
"""

import functools
import hashlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, cast

import re2

FOLDER = Path(__file__).with_name("lists")
INDEX = "lists.toml"
ROBOTS, DEVICES = "robots", "devices"
REMOVED_MAX = 2
"""The names of devices that are looked for in a user agent."""


class AgentListError(Exception):
    """A list is not what the program was shipped with; the sentence names the file and what to do."""


@dataclass(frozen=True)
class AgentList:
    """One version of a list: RE2 patterns of user agents."""

    name: str
    version: int
    first_on: date
    """The first event day on which it is in force, until the next version's."""
    source: str
    commit: str | None
    """The source's commit; None for a list of this project's own."""
    licence: str
    sha256: str
    patterns: tuple[str, ...]

    def remover(self) -> Callable[[bytes], bytes]:
        """Return a function that cuts out of an agent what the patterns find, up to `REMOVED_MAX` times."""
        compiled = self._compiled(re2.compile)
        return lambda agent: cast(bytes, compiled.sub(b" ", agent, REMOVED_MAX))

    def finder(self) -> Callable[[bytes], bool]:
        """Return a function that says whether a pattern finds an agent; it looks for no place, which takes longer."""
        found = re2.Set.SearchSet()
        self._compiled(found.Add)
        found.Compile()
        return lambda agent: bool(found.Match(agent))

    def _compiled(self, compile_by: Callable[[str], Any]) -> Any:
        """Return the patterns as one: its time grows linearly with a text, whatever a sender writes."""
        try:
            return compile_by("|".join(f"(?:{pattern})" for pattern in self.patterns))
        except re2.error as error:
            raise AgentListError(f"list {self.name} {self.version} has a pattern that RE2 refuses: {error}") from error


@dataclass(frozen=True)
class ListsInForce:
    """The versions that are in force together, from an instant on."""

    since: datetime
    robots: AgentList
    devices: AgentList


def lists_in_force(lists: tuple[AgentList, ...]) -> tuple[ListsInForce, ...]:
    """Return what is in force when, the newest first."""
    found = []
    for first_on in sorted({each.first_on for each in lists}, reverse=True):
        newest = {
            each.name: each
            for each in sorted(lists, key=lambda each: each.first_on)
            if each.first_on <= first_on
        }  # fmt: skip
        if newest.keys() >= {ROBOTS, DEVICES}:
            since = datetime.combine(first_on, time(), UTC)
            found.append(ListsInForce(since, newest[ROBOTS], newest[DEVICES]))
    return tuple(found)


@functools.cache
def shipped_lists() -> tuple[AgentList, ...]:
    """Return the lists that came with this program.

    Raises:
        AgentListError: a file is missing or is not the one that was shipped.
    """
    return read_lists(FOLDER)


def read_lists(folder: Path) -> tuple[AgentList, ...]:
    """Read the lists that a folder's index names, and compare each with its SHA-256.

    Raises:
        AgentListError: a file is missing or differs.
    """
    return tuple(_read(folder, entry) for entry in tomllib.loads(_text(folder / INDEX))["list"])


def _read(folder: Path, entry: dict[str, Any]) -> AgentList:
    path = folder / entry["file"]
    text = _text(path)
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != entry["sha256"]:
        raise AgentListError(
            f"{path} has the SHA-256 {found}, but {INDEX} names {entry['sha256']}; install the program again"
        )
    lines = tuple(line for line in text.splitlines() if line and not line.startswith("#"))
    return AgentList(
        entry["name"],
        entry["version"],
        entry["first_on"],
        entry["source"],
        entry.get("commit"),
        entry["licence"],
        found,
        lines,
    )


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise AgentListError(f"{path} cannot be read ({error}); install the program again") from error
