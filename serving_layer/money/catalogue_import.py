"""A new version of the catalogue from uploaded files, and the port that imports them. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

import msgspec

from ingestion.contract.requests import RequestKey

BYTES_MAX = 8 * 1024 * 1024
"""Bound of all files together; larger catalogues are imported on the machine."""
FILE_NAMES = ("payees", "videos", "owners")
PROBLEMS_SHOWN = 100
PROPOSED = "proposed"
"""The state of an import that waits for a second person."""


@dataclass(frozen=True)
class CatalogueFiles:
    """The files, as `billing catalogue import` takes them."""

    payees: bytes
    videos: bytes
    owners: bytes | None = None
    removals_max: int = 0
    """The most payees and videos that the import may remove."""

    def digest(self) -> bytes:
        """Return bytes that are the same for the same files, independent of their packing."""
        allowed = f"removals {self.removals_max} ".encode() if self.removals_max else b""
        return allowed + b"".join(
            name.encode() + hashlib.sha256(content).digest()
            for name in FILE_NAMES
            if (content := getattr(self, name)) is not None
        )


class ChangeCounts(msgspec.Struct, frozen=True):
    """How many are new, changed, or gone."""

    new: int
    changed: int
    gone: int


class ImportAnswer(msgspec.Struct, frozen=True):
    """The answer to an import, the same for every repetition of the request."""

    version: int
    """The version of the catalogue with this content."""
    new: bool
    """False: it was already in force or waiting, and nothing was imported."""
    state: str
    """`in_force`, or `proposed`: it waits for a second person, since it could move money that is not billed."""
    payee_count: int
    video_count: int
    changes: dict[str, ChangeCounts] = {}
    """`payees`, `videos` or `owners` (shares of videos) → their differences from the catalogue in force."""


class CatalogueImports(Protocol):
    """Checks files as a whole and stores them as a version. Called from a thread; may take a minute."""

    def import_files(self, files: CatalogueFiles, request: RequestKey) -> ImportAnswer:
        """Import, once for a request; store nothing if any file has an error.

        Raises FileRefusedError, KeyReusedError and UnavailableError.
        """
