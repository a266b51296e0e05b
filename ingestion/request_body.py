"""Split a request body into events: one object, an array, or JSON lines. Pure.

Events stay the bytes that were sent, so that strict decoding still sees duplicate keys and the like.
"""

import msgspec

from ingestion.contract.event import RejectedEvent
from ingestion.contract.problem import Problem

EVENTS_MAX = 500
BODY_BYTES_MAX = 1024 * 1024
JSON_TYPES = ("application/json", "application/x-ndjson", "application/jsonl")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"

_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(msgspec.Raw).decode

NOT_JSON = "the body is not JSON: send one event, an array of events, or one event a line"


def check_media_type(content_type: str | None, content_encoding: str | None) -> Problem | None:
    """Return the problem with the two headers, if any. The content type may be absent: the first byte decides."""
    if content_encoding and content_encoding.strip().lower() != "identity":
        return Problem(415, "encoding_unsupported", f"Content-Encoding {content_encoding[:64]!r}: send it uncompressed")
    if content_type is None:
        return None
    media_type, *parameters = [part.strip().lower() for part in content_type.split(";")]
    if media_type not in JSON_TYPES:
        allowed = " or ".join(JSON_TYPES[:2])
        return Problem(415, "media_type_unsupported", f"Content-Type {media_type[:64]!r}: it must be {allowed}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in ("utf-8", "utf8"):
            return Problem(415, "charset_unsupported", f"charset {value[:64]!r}: JSON is sent as UTF-8")
    return None


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
