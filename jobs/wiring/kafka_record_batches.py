"""Open record batches for kafka-python in every process: each codec, any headers, in bounded memory.

kafka-python refuses a whole batch for a header whose name is not UTF-8, which other clients send and Java reads, and
opens a compressed batch of 1 MiB to as many gigabytes as its sender likes. Of the headers only that of a trace is used,
and it decides nothing. The library has no hook for another reader, so `read_every_batch` replaces it; requirements.lock
pins the library, and a test compares the results of both.
"""

import io
from collections.abc import Callable
from typing import IO, Any

import lz4.frame
import zstandard
from kafka import codec
from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from ingestion.kafka_record_groups import TRACEPARENT, TRACEPARENT_BYTES, varint

BATCH_BYTES_MAX = 256 << 20
"""The largest opened size of a batch: 256 times the broker's 1 MiB; events compress tenfold at best."""
_SLICE_BYTES = 128 << 10
_TRACEPARENT = varint(len(TRACEPARENT)) + TRACEPARENT.encode() + varint(TRACEPARENT_BYTES)
CODEC_NAMES = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


def _snappy(data: bytes) -> IO[bytes]:
    # its format makes nothing smaller than about a twentieth
    return io.BytesIO(codec.snappy_decode(data))


def _zstd(data: bytes) -> IO[bytes]:
    reader: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    return reader


OPENERS: dict[int, Callable[[bytes], IO[bytes]]] = {
    1: lambda data: codec.gzip.GzipFile(fileobj=io.BytesIO(data)),
    2: _snappy,
    3: lambda data: lz4.frame.open(io.BytesIO(data)),
    4: _zstd,
}


def opened(codec_number: int, data: bytes, *, most: int = BATCH_BYTES_MAX) -> bytearray:
    """Return the decompressed bytes; raise CorruptRecordError if they cannot be opened or exceed `most` bytes."""
    name = CODEC_NAMES.get(codec_number, f"number {codec_number}")
    if codec_number not in OPENERS:
        raise CorruptRecordError(f"no codec of Kafka has the {name}")
    found = bytearray()
    try:
        stream = OPENERS[codec_number](data)
        while part := stream.read(_SLICE_BYTES):
            found += part
            if len(found) > most:
                raise CorruptRecordError(f"{len(data)} bytes of {name} open to more than {most}")
    except CorruptRecordError:
        raise
    except Exception as error:  # each package raises what it likes, RuntimeError among it
        raise CorruptRecordError(f"{len(data)} bytes of {name} cannot be opened: {error}") from error
    return found


class RecordBatch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch of message format 2 that reads records without their headers, except for that of a trace."""

    _buffer: bytearray
    _pos: int
    _decompressed: bool

    def _maybe_uncompress(self) -> None:
        if not self._decompressed and self.compression_type != self.CODEC_NONE:
            try:
                self._buffer = opened(self.compression_type, bytes(memoryview(self._buffer)[self._pos :]))
            except CorruptRecordError as error:
                raise CorruptRecordError(f"the batch of the offsets from {self.base_offset} on: {error}") from error
            self._pos = 0
        self._decompressed = True

    def _read_msg(self, decode_varint: Callable[[bytearray, int], tuple[int, int]] = decode_varint) -> Any:
        buffer = self._buffer
        length, start = decode_varint(buffer, self._pos)
        end = start + length
        delta_ms, at = decode_varint(buffer, start + 1)  # one byte of attributes, which mean nothing yet
        timestamp = self.max_timestamp if self.timestamp_type else self.first_timestamp + delta_ms
        offset_delta, at = decode_varint(buffer, at)
        key, at = _bytes_at(buffer, at)
        value, at = _bytes_at(buffer, at)
        if not at < end <= len(buffer):
            raise CorruptRecordError(
                f"the record at offset {self.base_offset + offset_delta} is not as long as it says"
            )
        self._pos = end
        headers = traceparent_in(buffer, at, end) if end - at > 1 else []
        return DefaultRecord(
            length, self.base_offset + offset_delta, timestamp, self.timestamp_type, key, value, headers
        )


def traceparent_in(buffer: bytearray, at: int, end: int) -> list[tuple[str, bytes]]:
    """Return the header of a trace among the bytes of a record's headers, whatever the others are."""
    found = buffer.find(_TRACEPARENT, at, end)
    begin = found + len(_TRACEPARENT)
    return [] if found < 0 else [(TRACEPARENT, bytes(buffer[begin : min(begin + TRACEPARENT_BYTES, end)]))]


def _bytes_at(buffer: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(buffer, at)
    if length < 0:
        return None, at
    return bytes(buffer[at : at + length]), at + length


def read_every_batch() -> None:
    """Make all consumers of this process read batches this way."""
    memory_records.DefaultRecordBatch = RecordBatch
