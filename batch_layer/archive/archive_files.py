"""The files of the archive: compare the record made when they were written with what is found now. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from batch_layer.lake.content import Content, Place

Hours = Mapping[Place, Content]
"""The content of a file by partition and hour."""


@dataclass(frozen=True)
class FileStatus:
    """The file system's status of a file, known without reading it."""

    byte_count: int
    modified_at: datetime


@dataclass(frozen=True)
class ArchivedFile:
    """A file of raw events as it was when its version was published."""

    status: FileStatus
    hours: Hours


@dataclass(frozen=True)
class RecordedFile:
    """The record of a file without its hours."""

    version: int
    """The version that added it."""
    status: FileStatus
    replaced_in: int | None = None
    """The version from which on its rows are in other files; None while they are in this one."""

    def belongs_to(self, version: int) -> bool:
        """Return whether a version's table has the file."""
        return self.version <= version and (self.replaced_in is None or self.replaced_in > version)


@dataclass(frozen=True)
class FoundFiles:
    """The files of raw events that were found now."""

    listed: Collection[str]
    """Files that the version's snapshot refers to."""
    on_main: Collection[str]
    """Files that `main` shows."""
    stored: Mapping[str, FileStatus]
    """Files in the table's folder, including those of runs that were never published."""


GONE = "is gone"
UNLISTED = "no longer belongs to the table"
ADDED = "was added after publication by no batch run"
CHANGED = "was changed after it was archived"


def suspects(version: int, recorded: Mapping[str, RecordedFile], found: FoundFiles) -> dict[str, str]:
    """Return path → what is wrong with it, as far as is known without reading a file; in the order of the paths.

    A changed file may still hold the recorded rows, for instance after it was restored from a copy: it must be read.
    """
    expected = {path: each for path, each in recorded.items() if each.belongs_to(version)}
    problems = dict.fromkeys({*found.listed, *found.on_main} - recorded.keys(), ADDED)
    for path, each in expected.items():
        if path not in found.stored:
            problems[path] = GONE
        elif path not in found.listed:
            problems[path] = UNLISTED
        elif found.stored[path] != each.status:
            problems[path] = CHANGED
    return dict(sorted(problems.items()))


def by_place(hours: Mapping[str, Hours]) -> dict[Place, Content]:
    """Return the content of all files together by partition and hour."""
    found: dict[Place, Content] = {}
    for of_file in hours.values():
        for place, content in of_file.items():
            found[place] = found.get(place, Content()) + content
    return found


def file_sentence(path: str, what: str, recorded: Hours, found: Hours) -> str | None:
    """Return a sentence that names the file and its first partition and hour that differ; None if its content is equal.

    A file that was added, or no longer belongs to the table, is wrong with any content.
    """
    places = sorted({*recorded, *found})
    nothing = Content()
    first = next((each for each in places if recorded.get(each, nothing) != found.get(each, nothing)), None)
    if first is None:
        return None if what == CHANGED else f"file {path} of raw_events {what}"
    return (
        f"file {path} of raw_events {what}: {first}: recorded {recorded.get(first, nothing)}, "
        f"found {found.get(first, nothing)}"
    )
