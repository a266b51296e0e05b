"""The files of the archive: what was put on record when they were written, against what is found now. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from batch_layer.lake.content import Content, Place

Hours = Mapping[Place, Content]
"""What a file holds of each partition and hour."""


@dataclass(frozen=True)
class FileStatus:
    """What the file system says of a file without reading it."""

    byte_count: int
    modified_at: datetime


@dataclass(frozen=True)
class ArchivedFile:
    """A file of raw events as it was when its version was published."""

    status: FileStatus
    hours: Hours


@dataclass(frozen=True)
class RecordedFile:
    """What is on record of a file without its hours."""

    version: int
    """The version that added it."""
    status: FileStatus


@dataclass(frozen=True)
class FoundFiles:
    """The files of raw events as they are found now."""

    listed: Collection[str]
    """Those that the version's snapshot refers to."""
    on_main: Collection[str]
    """Those that `main` shows."""
    stored: Mapping[str, FileStatus]
    """Those that lie in the table's folder, those of runs that were never published among them."""


GONE = "is gone"
UNLISTED = "no longer belongs to the table"
ADDED = "was added after publication by no batch run"
CHANGED = "was changed after it was archived"


def suspects(version: int, recorded: Mapping[str, RecordedFile], found: FoundFiles) -> dict[str, str]:
    """Return path → what is wrong with it, by what can be said without reading a file; in the order of the paths.

    A changed file may still hold the rows on record, for instance when it was brought back from a copy: it must be
    read.
    """
    expected = {path: each for path, each in recorded.items() if each.version <= version}
    said = dict.fromkeys({*found.listed, *found.on_main} - recorded.keys(), ADDED)
    for path, each in expected.items():
        if path not in found.stored:
            said[path] = GONE
        elif path not in found.listed:
            said[path] = UNLISTED
        elif found.stored[path] != each.status:
            said[path] = CHANGED
    return dict(sorted(said.items()))


def file_sentence(path: str, what: str, recorded: Hours, found: Hours) -> str | None:
    """Return a sentence that names the file and its first partition and hour that differ; None when it holds the same.

    What was added or belongs to the table no more is wrong whatever it holds.
    """
    places = sorted({*recorded, *found})
    nothing = Content()
    first = next((each for each in places if recorded.get(each, nothing) != found.get(each, nothing)), None)
    if first is None:
        return None if what == CHANGED else f"file {path} of raw_events {what}"
    return (
        f"file {path} of raw_events {what}: {first}: on record are {recorded.get(first, nothing)}, "
        f"found are {found.get(first, nothing)}"
    )
