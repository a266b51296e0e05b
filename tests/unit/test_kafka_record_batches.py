"""Record batches: read as the library reads them, with any codec and headers, in bounded memory."""

import io
from contextlib import suppress

import lz4.frame
import pytest
import snappy
import zstandard
from kafka import codec
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from jobs.wiring.kafka_record_batches import CODEC_NAMES, RecordBatch, opened
from tests.examples import given, settings, st

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
COMPRESS = {1: codec.gzip_encode, 2: codec.snappy_encode, 3: codec.lz4_encode, 4: codec.zstd_encode}
RECORDS = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=40),
        st.none() | st.binary(max_size=300),
        st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2),
    ),
    min_size=1,
    max_size=30,
)


class HeaderName(str):
    """A name of a header as a client in C may send it: bytes that are not UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def batch_of(records: list[Record], codec_number: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec_number, 0, -1, -1, -1, 1 << 30)
    for index, (key, value, headers) in enumerate(records):
        builder.append(index, 1_000 + index, key, value, headers)
    return bytes(builder.build())


def read(kind: type[DefaultRecordBatch], batch: bytes) -> list[tuple[object, ...]]:
    return [(each.offset, each.timestamp, each.timestamp_type, each.key, each.value) for each in kind(batch)]


@settings(max_examples=200)
@given(records=RECORDS, codec_number=st.integers(0, 4))
def test_every_batch_is_read_as_the_library_reads_it(records: list[Record], codec_number: int) -> None:
    batch = batch_of(records, codec_number)
    assert read(RecordBatch, batch) == read(DefaultRecordBatch, batch)


@pytest.mark.parametrize("codec_number", range(5))
def test_a_header_whose_name_is_not_text_hides_no_record(codec_number: int) -> None:
    batch = batch_of([(b"k", b"v", [(HeaderName("x"), b"")]), (None, b"w", [])], codec_number)
    with pytest.raises(CorruptRecordError):
        read(DefaultRecordBatch, batch)
    assert [value for *_, value in read(RecordBatch, batch)] == [b"v", b"w"]


@pytest.mark.parametrize("codec_number", range(5))
def test_of_all_headers_that_of_a_trace_is_read(codec_number: int) -> None:
    value = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    others: list[tuple[str, bytes]] = [("tenant", b"1"), (HeaderName("x"), b"y")]
    written: list[Record] = [
        (b"k", b"v", [("traceparent", value)]),
        (b"k", value, [others[0], ("traceparent", value), others[1]]),
        (b"traceparent", b"traceparent", [("traceparent", value[:-1]), ("trace", value), *others]),
        (None, b"w", []),
    ]
    read_headers = [each.headers for each in RecordBatch(batch_of(written, codec_number))]
    assert read_headers == [[("traceparent", value)], [("traceparent", value)], [], []]


@pytest.mark.parametrize("codec_number", CODEC_NAMES)
def test_several_mebibytes_are_opened_and_what_is_more_than_the_bound_is_named(codec_number: int) -> None:
    data = bytes(range(256)) * (5 << 12)
    compressed = COMPRESS[codec_number](data)
    assert opened(codec_number, compressed) == data
    with pytest.raises(CorruptRecordError, match=rf"{CODEC_NAMES[codec_number]} open to more than 4194304"):
        opened(codec_number, compressed, most=4 << 20)


@pytest.mark.parametrize("codec_number", range(1, 8))
def test_bytes_of_no_codec_are_one_named_error(codec_number: int) -> None:
    for data in (b"\xff" * 40, b"\x82SNAPPY\x00" + b"\x00\x00\x00\x01" * 2 + b"\x7f\xff\xff\xff1"):
        with pytest.raises(CorruptRecordError, match=r"cannot be opened|no codec"):
            opened(codec_number, data)


def test_raw_snappy_and_frames_one_after_the_other_are_opened() -> None:
    data = b"event" * 50_000
    assert opened(2, snappy.compress(data)) == data
    assert opened(4, zstandard.compress(data) + zstandard.compress(data)) == data + data
    assert opened(3, lz4.frame.compress(data, store_size=False, block_linked=False)) == data
    stream = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(stream, closefd=False) as writer:  # as Java does: no size in front
        writer.write(data)
    assert opened(4, stream.getvalue()) == data


@settings(max_examples=300)
@given(records=RECORDS, codec_number=st.integers(0, 7), at=st.integers(61, 400), byte=st.integers(0, 255))
def test_a_damaged_batch_is_read_or_named_and_raises_nothing_else(
    records: list[Record], codec_number: int, at: int, byte: int
) -> None:
    batch = bytearray(batch_of(records, min(codec_number, 4)))
    batch[22] = (batch[22] & ~7) | codec_number
    if at < len(batch):
        batch[at] = byte
    with suppress(CorruptRecordError):
        read(RecordBatch, bytes(batch))
