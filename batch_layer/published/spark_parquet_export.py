"""Write an answer of any size as Parquet files, part by part."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FILE_ROWS_MAX = 1_000_000
"""About 60 MB of events: with a few million rows, one file for every core of a laptop's DuckDB."""
DIGEST_BYTES = 1 << 20


@dataclass(frozen=True)
class ExportedFile:
    """One file that was written."""

    path: Path
    row_count: int
    sha256: str


@dataclass(frozen=True)
class ExportedTable:
    """All files of one table."""

    files: tuple[ExportedFile, ...]

    @property
    def row_count(self) -> int:
        """Return the rows of all files."""
        return sum(each.row_count for each in self.files)


def export_table(parts: Iterable[pa.Table], folder: Path, rows_max: int = FILE_ROWS_MAX) -> ExportedTable:
    """Write the parts to `folder`, which must not exist; the first part has the columns.

    There is at least one file, so that a reader finds the columns of an empty table, too. A file has at most
    `rows_max` rows plus one part.
    """
    folder.mkdir()
    files: list[ExportedFile] = []
    writer: pq.ParquetWriter | None = None
    path, rows = folder, 0
    for part in parts:
        if writer is None or rows >= rows_max:
            if writer is not None:
                writer.close()
                files.append(_written(path, rows))
            path, rows = folder / f"part-{len(files):05}.parquet", 0
            writer = pq.ParquetWriter(path, part.schema, compression="snappy")
        writer.write_table(part.cast(writer.schema))
        rows += part.num_rows
    if writer is not None:
        writer.close()
        files.append(_written(path, rows))
    return ExportedTable(tuple(files))


def _written(path: Path, rows: int) -> ExportedFile:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(DIGEST_BYTES):
            digest.update(block)
    return ExportedFile(path, rows, digest.hexdigest())
