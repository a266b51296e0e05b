"""Lists that came with the program: files beside an index that names version, source, licence, SHA-256 and first day.

Which version is in force depends on a day alone, so a replay in a year uses the same lists.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

INDEX = "lists.toml"


class ListError(Exception):
    """A list is not what the program was shipped with; the sentence names the file and what to do."""


@dataclass(frozen=True)
class DatedList:
    """One version of a list."""

    name: str
    version: int
    first_on: date
    """The first day on which it is in force, until the next version's."""
    source: str
    commit: str | None
    """The source's commit; None for a list of this project's own."""
    licence: str
    sha256: str
    lines: tuple[str, ...]
    """Without empty lines and comments."""


def read_lists(folder: Path) -> tuple[DatedList, ...]:
    """Read the lists that a folder's index names, and compare each with its SHA-256.

    Raises:
        ListError: a file is missing or differs.
    """
    return tuple(_read(folder, entry) for entry in tomllib.loads(_text(folder / INDEX))["list"])


def in_force(lists: tuple[DatedList, ...], day: date) -> dict[str, DatedList]:
    """Return the version of each list that is in force on a day, by name."""
    ascending = sorted(lists, key=lambda each: each.first_on)
    return {each.name: each for each in ascending if each.first_on <= day}


def _read(folder: Path, entry: dict[str, Any]) -> DatedList:
    path = folder / entry["file"]
    text = _text(path)
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != entry["sha256"]:
        raise ListError(
            f"{path} has the SHA-256 {found}, but {INDEX} names {entry['sha256']}; install the program again"
        )
    lines = tuple(line for line in text.splitlines() if line and not line.startswith("#"))
    described = (entry["source"], entry.get("commit"), entry["licence"])
    return DatedList(entry["name"], entry["version"], entry["first_on"], *described, found, lines)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ListError(f"{path} cannot be read ({error}); install the program again") from error
