"""Receipts: the collector's signed promise that the events of a request are in the log. Pure.

A receipt names every event that was admitted, with the SHA-256 of its message as it was written to the log. What is
signed is the instant, the number of events and the Merkle root over them (RFC 6962), so one event can be handed on
with its audit path and without the others. docs/concepts/receipts.md defines every byte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from ingestion.contract.event import VIDEO_ID_LENGTH_MAX, VIDEO_ID_PATTERN
from ingestion.contract.merkle import InclusionProof, MerkleTree, is_included, proofs_of_all
from ingestion.contract.problem import Problem
from ingestion.intake import AdmittedEvent, instant_text
from ingestion.request_body import EVENTS_MAX

HEADER = "receipt"
"""By this header of a request a sender asks for a receipt."""
LINE_BYTES_MAX = 1024 * 1024
"""The longest receipt that can be read: 500 events with their paths have half of it."""
_Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_EventId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")]
_VideoId = Annotated[str, Meta(pattern=VIDEO_ID_PATTERN.replace("$", r"\Z"), max_length=VIDEO_ID_LENGTH_MAX)]
_Text = Annotated[str, Meta(max_length=1024)]


class ReceiptError(ValueError):
    """It is not a receipt that the collector gave; the message is the end of a sentence about it."""


class ReceiptWanted(Enum):
    """Whether a request gets a receipt."""

    NO = 0
    YES = 1
    PATHS = 2
    """With the audit path of every event."""


class ReceiptedEvent(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One event of a receipt."""

    event_id: _EventId
    video_id: _VideoId
    event_day: date
    """The UTC day on which the view began."""
    sha256: _Hash
    """Of the message's value, byte by byte as the log has it."""
    leaf_index: Annotated[int, Meta(ge=0, lt=EVENTS_MAX)] | None = None
    audit_path: Annotated[tuple[_Hash, ...], Meta(max_length=16)] | None = None
    """The hashes beside its way to the root, lowest first."""

    @property
    def leaf(self) -> bytes:
        """Return the content of its leaf."""
        return f"{self.event_id} {self.video_id} {self.event_day} {self.sha256}".encode("ascii")


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sender keeps: all events of a request, or some of them with their audit paths."""

    signed: _Text
    """A JWS in the compact form; its payload is `Signed`."""
    events: Annotated[tuple[ReceiptedEvent, ...], Meta(min_length=1, max_length=EVENTS_MAX)]


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed about a request."""

    at: Annotated[datetime, Meta(tz=True)]
    """The instant after the log acknowledged all events, by the broker's clock."""
    events: Annotated[int, Meta(ge=1, le=EVENTS_MAX)]
    root: _Hash


Sign = Callable[[bytes], str]
"""The payload of a JWS → the JWS."""
ReadSigned = Callable[[str], bytes]
"""A JWS → its payload, if a known key signed it; raises ReceiptError."""


@dataclass(frozen=True)
class Receipts:
    """What a collector does about receipts."""

    sign: Sign | None = None
    """None: it has no key that signs."""
    are_for_all: bool = False
    """Whether every request gets one, asked for or not."""
    key_set: bytes = b'{"keys":[]}'
    """The public keys, a JWK Set."""

    def wanted(self, header: str | None) -> ReceiptWanted | Problem:
        """Return whether a request gets a receipt, by its header; a problem if the header cannot be honoured."""
        if header is None:
            return ReceiptWanted.YES if self.are_for_all else ReceiptWanted.NO
        if header not in ("yes", "paths"):
            return Problem(400, "receipt_unknown", f"Receipt: {header[:64]!r} is unknown; send yes or paths")
        if self.sign is None:
            return Problem(406, "receipts_unavailable", "this collector signs no receipts; send without the header")
        return ReceiptWanted.PATHS if header == "paths" else ReceiptWanted.YES


NO_RECEIPTS = Receipts()
_encode = msgspec.json.Encoder().encode
_receipt = msgspec.json.Decoder(Receipt).decode
_signed = msgspec.json.Decoder(Signed).decode


def receipted(event: AdmittedEvent) -> ReceiptedEvent:
    """Return an admitted event as its receipt names it."""
    digest = sha256(event.value).hexdigest()
    return ReceiptedEvent(event.event_id, event.key.decode("ascii"), event.happened_at.date(), digest)


def receipt_of(events: Sequence[ReceiptedEvent], at: datetime, sign: Sign, *, with_paths: bool) -> Receipt:
    """Return the receipt for the events of a request, one or more, which the log has acknowledged before `at`."""
    payload = {"at": instant_text(at), "events": len(events), "root": _root(events)}
    if with_paths:
        proofs = proofs_of_all([event.leaf for event in events])
        events = [_with_path(event, proof) for event, proof in zip(events, proofs, strict=True)]
    return Receipt(sign(_encode(payload)), tuple(events))


def read_receipt(line: bytes, read_signed: ReadSigned) -> tuple[Signed, tuple[ReceiptedEvent, ...]]:
    """Return what was signed, and the events that it covers; raise ReceiptError.

    A receipt without audit paths must have all events of its request, in their order.
    """
    try:
        receipt = _receipt(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReceiptError(f"is not a receipt ({error}); give the `receipt` of an answer, one a line") from None
    try:
        signed = _signed(read_signed(receipt.signed))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReceiptError(f"has a signed part that cannot be read ({error})") from None
    is_whole = all(each.leaf_index is None and each.audit_path is None for each in receipt.events)
    if not (_leads_as_whole(signed, receipt.events) if is_whole else _lead_by_paths(signed, receipt.events)):
        raise ReceiptError("does not lead to the root that was signed: an event was changed, added or left out")
    return signed, receipt.events


def _with_path(event: ReceiptedEvent, proof: InclusionProof) -> ReceiptedEvent:
    path = tuple(each.hex() for each in proof.path)
    return msgspec.structs.replace(event, leaf_index=proof.leaf_index, audit_path=path)


def _leads_as_whole(signed: Signed, events: Sequence[ReceiptedEvent]) -> bool:
    return len(events) == signed.events and _root(events) == signed.root


def _root(events: Sequence[ReceiptedEvent]) -> str:
    tree = MerkleTree()
    for event in events:
        tree.add(event.leaf)
    return tree.root().hex()


def _lead_by_paths(signed: Signed, events: Sequence[ReceiptedEvent]) -> bool:
    root = bytes.fromhex(signed.root)
    for event in events:
        if event.leaf_index is None or event.audit_path is None:
            return False
        path = tuple(bytes.fromhex(each) for each in event.audit_path)
        if not is_included(event.leaf, InclusionProof(event.leaf_index, signed.events, path), root):
            return False
    return True
