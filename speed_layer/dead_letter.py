"""Write and read the letter about a rejected message. Pure."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from ingestion.contract.dead_letter import DeadLetter
from ingestion.contract.event import event_id_of
from speed_layer.chunk import Rejection

VALUE_BYTES_MAX = 128 * 1024
"""A longer value is cut, so that the letter, at up to 6 bytes a character, stays below the broker's 1 MiB. An event may
have 64 KiB; the archive holds longer messages in full."""
EVENT_ID_LENGTH_MAX = 128


def dead_letter(topic: str, partition: int, rejection: Rejection) -> tuple[bytes, bytes]:
    """Return (key, value) of the letter; the key identifies the message, so that repeated letters are recognisable."""
    record, event_id = rejection.record, rejection.event.event_id
    letter: dict[str, Any] = {
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "appended_at_ms": record.timestamp,
        "reasons": [{"code": reason.code, "detail": reason.detail} for reason in rejection.event.reasons],
        "event_id": event_id if event_id is None else event_id[:EVENT_ID_LENGTH_MAX],
    }
    key = f"{topic}/{partition}/{record.offset}".encode()
    return key, json.dumps(letter | _value_fields(record.value), ensure_ascii=True).encode()


def _value_fields(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value": None, "value_encoding": "none"}
    kept = value[:VALUE_BYTES_MAX]
    cut = {"value_bytes": len(value), "value_is_cut": True} if len(kept) < len(value) else {}
    try:
        return {"value": kept.decode(), "value_encoding": "utf-8", **cut}
    except UnicodeDecodeError:
        return {"value": base64.b64encode(kept).decode(), "value_encoding": "base64", **cut}


def read_letter(value: bytes) -> DeadLetter | None:
    """Parse a value that `dead_letter` wrote; return None for any other value."""
    try:
        letter = json.loads(value)
        event_id = letter["event_id"]
        return DeadLetter(
            partition=letter["partition"],
            offset=letter["offset"],
            appended_at=datetime.fromtimestamp(letter["appended_at_ms"] / 1000, UTC),
            event_id=event_id and (event_id_of(event_id) or event_id),
            reasons=tuple(f"{reason['code']}: {reason['detail']}" for reason in letter["reasons"]),
            text=letter["value"] or "",
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
