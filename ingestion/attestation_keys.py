"""The keys by which messages of the log are attested: a JWK Set of secrets. Pure."""

from collections.abc import Mapping
from datetime import datetime

from ingestion.contract.instants import instant_of
from ingestion.jwk_set import KeySetError, SentKey, from_base64url, refuse_short, sent_keys


class _SentKey(SentKey, frozen=True):
    k: str = ""
    revoked: bool = False
    revoked_from: str | None = None


def attestation_keys(text: str | bytes) -> Mapping[str, bytes]:
    """Parse a JWK Set (RFC 7517) whose keys are `oct` with a `kid`; return them by id, in order. The first one attests.

    Keys with `"revoked": true` are left out: they vouch for nothing that comes from now on.

    Raises:
        KeySetError: one sentence.
    """
    found = _parsed(text, revoked=False)
    if not found:
        raise KeySetError("every key is revoked; add one that attests, in front of them")
    return found


def revoked_attestation_keys(text: str | bytes) -> Mapping[str, bytes]:
    """Return the keys with `"revoked": true`, by id, which events of before were judged by; raise as above."""
    return _parsed(text, revoked=True)


def revocation_instants(text: str | bytes) -> Mapping[str, datetime]:
    """Return from when on revoked keys are not trusted, by id, where `revoked_from` says so; raise as above."""
    sent = sent_keys(text, _SentKey)
    return {each.kid: _instant(each.kid, each.revoked_from) for each in sent if each.revoked_from is not None}


def _instant(key_id: str, text: str) -> datetime:
    try:
        return instant_of(text)
    except ValueError:
        raise KeySetError(
            f"the key {key_id} has revoked_from {text[:40]!r}; it must be an instant with its zone, such as "
            "2026-11-20T08:00:00Z"
        ) from None


def _parsed(text: str | bytes, *, revoked: bool) -> Mapping[str, bytes]:
    sent = sent_keys(text, _SentKey)
    found = {each.kid: _secret(each) for each in sent}
    if trusted := [each.kid for each in sent if each.revoked_from is not None and not each.revoked]:
        raise KeySetError(f'the key {trusted[0]} has revoked_from and is not revoked; add "revoked": true')
    return {each.kid: found[each.kid] for each in sent if each.revoked is revoked}


def _secret(sent: _SentKey) -> bytes:
    if sent.kty != "oct":
        raise KeySetError(f"the key {sent.kid} is of the kind {sent.kty[:16]!r}; it must be oct")
    try:
        secret = from_base64url(sent.k.encode("ascii"))
    except ValueError:
        raise KeySetError(f"the key {sent.kid} cannot be read; write its secret in base64url") from None
    refuse_short(sent.kid, secret)
    return secret
