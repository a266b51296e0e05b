"""Split a request body into events: one object, an array, or JSON lines, in gzip or plain. Pure.

Events stay the bytes that were sent, so that strict decoding still sees duplicate keys and the like.
"""

import zlib
from collections.abc import Callable, Sequence

import msgspec

from ingestion import cloud_events
from ingestion.contract.event import RejectedEvent
from ingestion.contract.problem import Problem

EVENTS_MAX = 500
BODY_BYTES_MAX = 1024 * 1024
JSON_TYPES = ("application/json", "application/x-ndjson", "application/jsonl", "text/plain")
"""`text/plain` is how a page's `sendBeacon` sends JSON to another origin without a preflight request."""
CLOUD_EVENT_TYPES = (cloud_events.ONE, cloud_events.BATCH)
_GZIP_WINDOW_BITS = 31
"""zlib's largest window, with the head and the checksum of gzip."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"

_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(msgspec.Raw).decode

NOT_JSON = "the body is not JSON: send one event, an array of events, or one event a line"


def check_media_type(content_type: str | None, content_encoding: str | None) -> Problem | None:
    """Return the problem with the two headers, if any. The content type may be absent: the first byte decides."""
    if content_encoding and content_encoding.strip().lower() not in ("gzip", "identity"):
        detail = f"Content-Encoding {content_encoding[:64]!r} is not supported: send gzip, or no encoding"
        return Problem(415, "encoding_unsupported", detail)
    if content_type is None:
        return None
    media_type = _media_type(content_type)
    if media_type not in JSON_TYPES + CLOUD_EVENT_TYPES:
        allowed = " or ".join((*JSON_TYPES[:2], cloud_events.ONE))
        return Problem(415, "media_type_unsupported", f"Content-Type {media_type[:64]!r}: it must be {allowed}")
    for parameter in content_type.lower().split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in ("utf-8", "utf8"):
            return Problem(415, "charset_unsupported", f"charset {value[:64]!r}: JSON is sent as UTF-8")
    return None


def events_of(body: bytes, header: Callable[[str], str | None]) -> Sequence[bytes | RejectedEvent] | Problem:
    """Return the events of a body in order, or the problem with the body as a whole; `header` returns a header's value.

    A CloudEvent whose envelope is refused is a rejected event among the others. The headers passed `check_media_type`.
    """
    if (header("content-encoding") or "").strip().lower() == "gzip":
        opened = _unzipped(body)
        if isinstance(opened, Problem):
            return opened
        body = opened
    media_type = _media_type(header("content-type") or "")
    if media_type in CLOUD_EVENT_TYPES:
        return _opened_cloud_events(body, media_type)
    if header(cloud_events.BINARY_MARK) is not None:
        return [cloud_events.opened_binary(header, body)]
    return split_body(body)


def split_body(body: bytes) -> list[bytes] | Problem:
    """Return the events of a body in order, without blank lines, or the problem with the body as a whole.

    The content decides, not the content type: `[` begins an array; a body that is one JSON value is one event; all else
    is JSON lines, where each line is judged by itself.
    """
    text = body.removeprefix(_BYTE_ORDER_MARK).strip(_WHITE_SPACE)
    if not text:
        return Problem(400, "body_empty", "the body is empty: send at least one event")
    events = _array(text) if text.startswith(b"[") else _one_or_lines(text)
    if isinstance(events, Problem):
        return events
    if not events:
        return Problem(400, "body_empty", "the array is empty: send at least one event")
    if len(events) > EVENTS_MAX:
        return Problem(413, "too_many_events", f"the body holds {len(events)} events; at most {EVENTS_MAX} are allowed")
    return events


def too_large() -> Problem:
    """Return the problem of a body over the limit."""
    return Problem(413, "body_too_large", f"the body has more than {BODY_BYTES_MAX} bytes; send it in several requests")


def not_json_at_all(results: list[RejectedEvent]) -> Problem | None:
    """Return a problem if none of the rejected results has another reason than that the text is not JSON."""
    if all(reason.code == "json_malformed" for rejected in results for reason in rejected.reasons):
        return Problem(400, "body_malformed", f"{NOT_JSON} ({results[0].reasons[0].detail})")
    return None


def _array(text: bytes) -> list[bytes] | Problem:
    try:
        return [bytes(raw) for raw in _decode_array(text)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if b"\n" in text:
            lines = _lines(text)
            if all(_is_json(line) for line in lines):
                return lines
        return Problem(400, "body_malformed", f"{NOT_JSON} ({error})")


def _one_or_lines(text: bytes) -> list[bytes]:
    return [text] if b"\n" not in text or _is_json(text) else _lines(text)


def _lines(text: bytes) -> list[bytes]:
    return [line for line in (each.strip(_WHITE_SPACE) for each in text.split(b"\n")) if line]


def _is_json(text: bytes) -> bool:
    try:
        _decode_one(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _unzipped(body: bytes) -> bytes | Problem:
    """Return what a gzip body holds, or its problem. It opens no more than a plain body may have, whatever it holds."""
    stream = zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
    try:
        opened = stream.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        return Problem(400, "body_malformed", f"the body is not gzip, as its Content-Encoding says ({error})")
    if len(opened) > BODY_BYTES_MAX:
        return too_large()
    if not stream.eof:
        return Problem(400, "body_malformed", "the gzip body ends too early: send the whole of it")
    if stream.unused_data:
        return Problem(400, "body_malformed", "bytes follow the end of the gzip body: send one gzip member")
    return opened


def _opened_cloud_events(body: bytes, media_type: str) -> list[bytes | RejectedEvent] | Problem:
    """Return the view event of each CloudEvent of a body in order, or the problem with the body as a whole."""
    envelopes = split_body(body)
    if isinstance(envelopes, Problem):
        return envelopes
    is_array = body.removeprefix(_BYTE_ORDER_MARK).lstrip(_WHITE_SPACE).startswith(b"[")
    if media_type == cloud_events.BATCH and not is_array:
        return Problem(400, "body_malformed", f"{cloud_events.BATCH} is an array; send one event as {cloud_events.ONE}")
    if media_type == cloud_events.ONE and (is_array or len(envelopes) > 1):
        return Problem(400, "body_malformed", f"{cloud_events.ONE} is one event; send several as {cloud_events.BATCH}")
    return [cloud_events.opened(envelope) for envelope in envelopes]


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
