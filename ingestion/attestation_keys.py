"""The keys by which messages of the log are attested: a JWK Set of secrets. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from ingestion.contract.instants import instant_of
from ingestion.jwk_set import KeySetError, SentKey, from_base64url, refuse_short, sent_keys


class _SentKey(SentKey, frozen=True, forbid_unknown_fields=True):
    """A misspelt `revoked_from` would leave a leaked key trusted unseen, so no other members are taken."""

    k: str = ""
    revoked: bool = False
    revoked_from: str | None = None
    alg: str = ""
    use: str = ""
    key_ops: tuple[str, ...] = ()


class _Key(NamedTuple):
    kid: str
    secret: bytes
    is_revoked: bool
    revoked_from: datetime | None


def attestation_keys(text: str | bytes) -> Mapping[str, bytes]:
    """Parse a JWK Set (RFC 7517) whose keys are `oct` with a `kid`; return them by id, in order. The first one attests.

    Keys with `"revoked": true` are left out: they vouch for nothing that comes from now on.

    Raises:
        KeySetError: one sentence.
    """
    found = {each.kid: each.secret for each in _parsed(text) if not each.is_revoked}
    if not found:
        raise KeySetError("every key is revoked; add one that attests, in front of them")
    return found


def revoked_attestation_keys(text: str | bytes) -> Mapping[str, bytes]:
    """Return the keys with `"revoked": true`, by id, which events of before were judged by; raise as above."""
    return {each.kid: each.secret for each in _parsed(text) if each.is_revoked}


def revocation_instants(text: str | bytes) -> Mapping[str, datetime]:
    """Return from when on revoked keys are not trusted, by id, where `revoked_from` says so; raise as above."""
    return {each.kid: each.revoked_from for each in _parsed(text) if each.revoked_from is not None}


def _parsed(text: str | bytes) -> list[_Key]:
    """Read all of the file, whatever is asked of it: what one reader would refuse, no other one accepts."""
    return [_Key(each.kid, _secret(each), each.revoked, _revoked_from(each)) for each in sent_keys(text, _SentKey)]


def _revoked_from(sent: _SentKey) -> datetime | None:
    if sent.revoked_from is None:
        return None
    if not sent.revoked:
        raise KeySetError(f'the key {sent.kid} has revoked_from and is not revoked; add "revoked": true')
    try:
        return instant_of(sent.revoked_from)
    except ValueError:
        raise KeySetError(
            f"the key {sent.kid} has revoked_from {sent.revoked_from[:40]!r}; it must be an instant with its "
            "zone, such as 2026-11-20T08:00:00Z"
        ) from None


def _secret(sent: _SentKey) -> bytes:
    if sent.kty != "oct":
        raise KeySetError(f"the key {sent.kid} is of the kind {sent.kty[:16]!r}; it must be oct")
    try:
        secret = from_base64url(sent.k.encode("ascii"))
    except ValueError:
        raise KeySetError(f"the key {sent.kid} cannot be read; write its secret in base64url") from None
    refuse_short(sent.kid, secret)
    return secret
