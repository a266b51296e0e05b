"""Search every file below a folder for a text, inside the compressed pages of Parquet and the blocks of Avro too."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def files_with(folder: Path, text: str) -> list[Path]:
    """The files that hold the text anywhere."""
    wanted = text.encode()
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files, f"no file in {folder}"
    return [path for path in files if any(wanted in part for part in _parts(path))]


def _parts(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if path.suffix == ".parquet":
        yield from (_bytes_of(column) for column in pq.read_table(path).columns)
    elif content.startswith(b"Obj\x01"):
        sync = content[-16:]
        for block in content.split(sync)[1:-1]:
            yield zlib.decompress(_after_two_numbers(block), wbits=-15)


def _bytes_of(column: pa.ChunkedArray) -> bytes:
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode("utf-8", "replace") for value in column.to_pylist()
    )


def _after_two_numbers(block: bytes) -> bytes:
    """The data of a block of Avro: its count of rows and its size, as numbers of seven bits a byte, come before."""
    at = 0
    for _ in range(2):
        while block[at] & 0x80:
            at += 1
        at += 1
    return block[at:]
