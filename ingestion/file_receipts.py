"""Read a file of receipts, one JSON object a line, in flat memory."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ingestion.receipts import LINE_BYTES_MAX, ReadSigned, ReceiptedEvent, ReceiptError, Signed, read_receipt

_READ_BYTES = 1 << 16


class UsableLine(NamedTuple):
    """A receipt whose signature and events are right."""

    line: int
    signed: Signed
    events: tuple[ReceiptedEvent, ...]


class UnusableLine(NamedTuple):
    """A line that is not a receipt of the collector."""

    line: int
    problem: str
    """The end of a sentence about the line."""


def receipts_in(opened: BinaryIO, read_signed: ReadSigned) -> Iterator[UsableLine | UnusableLine]:
    """Yield every line of a file that is not blank; a file without any is an unusable first line."""
    number, is_empty = 0, True
    for number, line in enumerate(iter(lambda: opened.readline(LINE_BYTES_MAX + 1), b""), 1):
        if not line.strip():
            continue
        is_empty = False
        if len(line) > LINE_BYTES_MAX:
            _skip_line(opened, line)
            yield UnusableLine(number, f"has more than {LINE_BYTES_MAX} bytes, which no receipt has")
            continue
        try:
            yield UsableLine(number, *read_receipt(line, read_signed))
        except ReceiptError as error:
            # a line without its end that does not end an object: what wrote or copied the file was interrupted
            is_cut = not line.rstrip().endswith(b"}") and not line.endswith(b"\n")
            yield UnusableLine(number, "ends within a receipt: the file was cut off" if is_cut else str(error))
    if is_empty:
        yield UnusableLine(1, "is empty: the file holds no receipt")


def _skip_line(opened: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = opened.readline(_READ_BYTES)
