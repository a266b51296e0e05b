"""A fake of the port `Staging`: pieces are files of a folder, so that Spark's own processes can write them, too."""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_layer.versions.day_changes import DayChange, InvalidChange, ViewerChange
from batch_layer.versions.ports import VideoCount


@dataclass(frozen=True)
class FolderStaging:
    """Keeps each piece in its own file."""

    folder: Path

    def store_counts(self, run_id: str, piece: int, rows: Iterable[VideoCount]) -> int:
        return self._store("counts", run_id, piece, list(rows))

    def store_days(self, run_id: str, piece: int, rows: Iterable[DayChange]) -> int:
        return self._store("days", run_id, piece, list(rows))

    def store_invalid(self, run_id: str, piece: int, rows: Iterable[InvalidChange]) -> int:
        return self._store("invalid", run_id, piece, list(rows))

    def store_viewers(self, run_id: str, piece: int, rows: Iterable[ViewerChange]) -> int:
        return self._store("viewers", run_id, piece, list(rows))

    def counts(self, run_id: str) -> list[VideoCount]:
        return self._rows("counts", run_id)

    def days(self, run_id: str) -> list[DayChange]:
        return self._rows("days", run_id)

    def invalid(self, run_id: str) -> list[InvalidChange]:
        return self._rows("invalid", run_id)

    def viewers(self, run_id: str) -> list[ViewerChange]:
        return self._rows("viewers", run_id)

    def drop(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()

    def _store(self, kind: str, run_id: str, piece: int, rows: list[Any]) -> int:
        (self.folder / f"{kind}-{run_id}-{piece}").write_bytes(pickle.dumps(rows))
        return len(rows)

    def _rows(self, kind: str, run_id: str) -> list[Any]:
        pieces = sorted(self.folder.glob(f"{kind}-{run_id}-*"))
        return [row for path in pieces for row in pickle.loads(path.read_bytes())]  # noqa: S301 - written above
