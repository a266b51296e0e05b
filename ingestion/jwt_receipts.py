"""The signatures of receipts: a JWS in the compact form of RFC 7515, by Ed25519 keys of a JWK Set.

Any library of JWS can check one. Writing and reading are done here, as for plays: a receipt costs one signature, and no
second spelling of it is accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ingestion.ed25519_jwk import KIND, halves
from ingestion.jwk_set import (
    KEYS_MAX,
    KeySetError,
    SentKey,
    from_base64url,
    refuse_repeated,
    sent_keys,
    to_base64url,
)
from ingestion.receipts import ReadSigned, ReceiptError, Receipts, Sign

TYPE = "viewledger-receipt"
"""`typ` of the header: no other token signed by the same key is a receipt."""


@dataclass(frozen=True)
class ReceiptKey:
    """A key by its id; without its private half it only checks."""

    kid: str
    public: Ed25519PublicKey
    private: Ed25519PrivateKey | None

    def __repr__(self) -> str:
        return f"ReceiptKey({self.kid!r})"


class _SentKey(SentKey, frozen=True):
    alg: str = ""
    crv: str = ""
    x: str = ""
    d: str = ""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    kid: str
    typ: str


_header = msgspec.json.Decoder(_Header).decode
_encode = msgspec.json.Encoder().encode


def receipt_keys(text: str | bytes) -> tuple[ReceiptKey, ...]:
    """Parse a JWK Set (RFC 7517) of Ed25519 keys with a `kid` each.

    Raises:
        KeySetError: one sentence.
    """
    return tuple(_key(each) for each in sent_keys(text, _SentKey))


def receipts_by(keys: Sequence[ReceiptKey], *, are_for_all: bool) -> Receipts:
    """Return what a collector with these keys does: the first one with its private half signs.

    Raises:
        KeySetError: every key is public.
    """
    key = next((each for each in keys if each.private is not None), None)
    if key is None or key.private is None:
        raise KeySetError("every key is public, so none can sign; add a key with its private half")
    return Receipts(_signer(key.kid, key.private), are_for_all, public_key_set(keys))


def public_key_set(keys: Sequence[ReceiptKey]) -> bytes:
    """Return the public halves, a JWK Set."""
    return _encode({"keys": [_public_jwk(key.kid, key.public) for key in keys]})


def key_set_with_new(former: Sequence[ReceiptKey], key_id: str) -> bytes:
    """Return a JWK Set with a new key, which signs, and the public halves of the former ones.

    Raises:
        KeySetError: a former key has this id, or there are too many.
    """
    if len(former) >= KEYS_MAX:
        raise KeySetError(f"the set has {len(former)} keys; remove those of which no receipt is left")
    refuse_repeated([key_id, *(key.kid for key in former)])
    private = Ed25519PrivateKey.generate()
    new = _public_jwk(key_id, private.public_key()) | {"d": to_base64url(private.private_bytes_raw()).decode()}
    return _encode({"keys": [new, *(_public_jwk(key.kid, key.public) for key in former)]})


def _public_jwk(key_id: str, public: Ed25519PublicKey) -> dict[str, str]:
    kty, alg, crv = KIND
    return {"kid": key_id, "kty": kty, "alg": alg, "crv": crv, "x": to_base64url(public.public_bytes_raw()).decode()}


def signed_reader(keys: Sequence[ReceiptKey]) -> ReadSigned:
    """Return what reads the JWS of receipts that one of the keys signed."""
    by_id: Mapping[str, Ed25519PublicKey] = {key.kid: key.public for key in keys}

    def read(text: str) -> bytes:
        try:
            signed, _, signature = text.encode("ascii").rpartition(b".")
            head, _, payload = signed.partition(b".")
            header = _header(from_base64url(head))
            content, raw = from_base64url(payload), from_base64url(signature)
        except (ValueError, RecursionError):  # also those of msgspec and of the codec
            raise ReceiptError("has no signed part in three parts; keep it as the collector gave it") from None
        if (header.alg, header.typ) != (KIND[1], TYPE):
            named = f"{header.alg[:16]!r} and {header.typ[:32]!r}"
            raise ReceiptError(f"is signed as {named}; receipts are signed as {KIND[1]!r} and {TYPE!r}")
        key = by_id.get(header.kid)
        if key is None:
            raise ReceiptError(f"is signed by the key {header.kid[:64]!r}, which is unknown; give the collector's keys")
        try:
            key.verify(raw, signed)
        except InvalidSignature:
            raise ReceiptError("has a wrong signature: it was changed, or signed with another key") from None
        if to_base64url(raw) != signature:
            raise ReceiptError("has a signature in another spelling; keep it as the collector gave it")
        return content

    return read


def _signer(key_id: str, private: Ed25519PrivateKey) -> Sign:
    header = to_base64url(_encode({"alg": KIND[1], "kid": key_id, "typ": TYPE}))

    def sign(payload: bytes) -> str:
        signed = b"%b.%b" % (header, to_base64url(payload))
        return (b"%b.%b" % (signed, to_base64url(private.sign(signed)))).decode("ascii")

    return sign


def _key(sent: _SentKey) -> ReceiptKey:
    if (sent.kty, sent.alg, sent.crv) != KIND:
        raise KeySetError(
            f"the key {sent.kid} is of the kind {sent.kty[:16]!r} with alg {sent.alg[:16]!r}; it must be OKP of the "
            "curve Ed25519 with EdDSA"
        )
    try:
        return ReceiptKey(sent.kid, *halves(sent.kid, sent.x, sent.d))
    except KeySetError:
        raise
    except ValueError:
        raise KeySetError(f"the key {sent.kid} cannot be read; write its numbers in base64url") from None
