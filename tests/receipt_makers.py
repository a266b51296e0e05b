"""Keys of receipts, and receipts as a collector gives them."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingestion.intake import AdmittedEvent
from ingestion.jwt_receipts import receipt_keys, receipts_by, signed_reader
from ingestion.receipts import ReceiptedEvent, receipt_of, receipted
from tests.ingestion_fakes import NOW, ed25519_jwk

SIGNING = Ed25519PrivateKey.from_private_bytes(bytes(range(64, 96)))
KEYS = receipt_keys(json.dumps({"keys": [ed25519_jwk("r1", SIGNING)]}))
RECEIPTS = receipts_by(KEYS, are_for_all=False)
READ_SIGNED = signed_reader(KEYS)


def line_of(admitted: Sequence[AdmittedEvent], *, with_paths: bool = False, at: Any = NOW) -> bytes:
    """One line of a file of receipts, as a collector gives it."""
    return line_over([receipted(each) for each in admitted], with_paths=with_paths, at=at)


def line_over(events: Sequence[ReceiptedEvent], *, with_paths: bool = False, at: Any = NOW) -> bytes:
    assert RECEIPTS.sign is not None
    return msgspec.json.encode(receipt_of(events, at, RECEIPTS.sign, with_paths=with_paths)) + b"\n"
