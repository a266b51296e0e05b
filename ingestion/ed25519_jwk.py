"""The Ed25519 keys of a JWK Set, as RFC 8037 spells them. Pure."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ingestion.jwk_set import KeySetError, from_base64url

KIND = ("OKP", "EdDSA", "Ed25519")
"""`kty`, `alg` and `crv` of such a key."""


def halves(key_id: str, x: str, d: str) -> tuple[Ed25519PublicKey, Ed25519PrivateKey | None]:
    """Return the public key and, unless `d` is empty, the private one.

    Raises:
        KeySetError: they do not belong together.
        ValueError: one of them is not 32 bytes in base64url.
    """
    private = Ed25519PrivateKey.from_private_bytes(_bytes(d)) if d else None
    public = Ed25519PublicKey.from_public_bytes(_bytes(x))
    if private is not None and private.public_key() != public:
        raise KeySetError(f"the halves of the key {key_id} do not belong together; write the set again")
    return public, private


def _bytes(text: str) -> bytes:
    return from_base64url(text.encode("ascii"))
