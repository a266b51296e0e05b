"""Tokens of plays: the keys, signing and reading. Both a platform that signs by itself and this product use it.

A token is a JWT in the compact form of RFC 7515. Signing is PyJWT's. Reading HS256 costs PyJWT five times as much as
all of the rest of an event, so it is done here: one HMAC, and a comparison of the signature as text, which leaves no
second spelling of a token. A law holds the two against each other.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import jwt
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ingestion.contract.event import Reason
from ingestion.contract.keyed_hash import keyed_hash
from ingestion.contract.plays import (
    AUDIENCE,
    TOKEN_LENGTH_MAX,
    Play,
    PlayReader,
    PlayRequest,
    PlaySigner,
    ReadPlay,
    SignedPlay,
)
from ingestion.ed25519_jwk import KIND, halves
from ingestion.jwk_set import KeySetError, SentKey, from_base64url, refuse_short, sent_keys, to_base64url
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of

START_SECONDS = 600


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str = ""
    crit: object = None


_header = msgspec.json.Decoder(_Header).decode
_claims = msgspec.json.Decoder(Play).decode


@dataclass(frozen=True)
class PlayKey:
    """A key by its id: it checks signatures and, if it holds a secret, makes them."""

    kid: str
    algorithm: str
    is_signed: Callable[[bytes, bytes], bool]
    """Whether a signature, as a token spells it, is that of a message."""
    secret: Any = None
    """The key that signs; None for a public key."""

    def __repr__(self) -> str:
        return f"PlayKey({self.kid!r}, {self.algorithm})"


def play_keys(text: str | bytes) -> tuple[PlayKey, ...]:
    """Parse a JWK Set (RFC 7517) whose keys are `oct` with HS256 or `OKP`/`Ed25519` with EdDSA, each with a `kid`.

    Raises:
        KeySetError: one sentence.
    """
    return tuple(_key(each) for each in sent_keys(text, _SentKey))


class _SentKey(SentKey, frozen=True):
    alg: str = ""
    k: str = ""
    crv: str = ""
    x: str = ""
    d: str = ""


def _key(sent: _SentKey) -> PlayKey:
    kind = (sent.kty, sent.alg, sent.crv)
    try:
        if kind == ("oct", "HS256", ""):
            return secret_key(sent.kid, from_base64url(sent.k.encode("ascii")))
        if kind == KIND:
            return _signing_pair(sent.kid, *halves(sent.kid, sent.x, sent.d))
    except KeySetError:
        raise
    except ValueError:
        raise KeySetError(f"the key {sent.kid} cannot be read; write its numbers in base64url") from None
    raise KeySetError(
        f"the key {sent.kid} is of the kind {sent.kty[:16]!r} with alg {sent.alg[:16]!r}; allowed are oct with HS256 "
        "and OKP of the curve Ed25519 with EdDSA"
    )


def secret_key(kid: str, secret: bytes) -> PlayKey:
    """Return an HS256 key of at least 32 bytes; raise KeySetError."""
    refuse_short(kid, secret)

    def is_signed(message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(to_base64url(keyed_hash(secret, message)), signature)

    return PlayKey(kid, "HS256", is_signed, secret)


def _signing_pair(kid: str, public: Ed25519PublicKey, private: Ed25519PrivateKey | None) -> PlayKey:
    def is_signed(message: bytes, signature: bytes) -> bool:
        try:
            found = from_base64url(signature)
            public.verify(found, message)
        except (ValueError, InvalidSignature):
            return False
        return to_base64url(found) == signature

    return PlayKey(kid, "EdDSA", is_signed, private)


def play_reader(keys: Sequence[PlayKey], audience: str = AUDIENCE) -> PlayReader:
    """Return what reads tokens that one of the keys signed for an audience."""
    by_id: Mapping[str, PlayKey] = {key.kid: key for key in keys}

    def read(token: str) -> ReadPlay | Reason:
        if len(token) > TOKEN_LENGTH_MAX:
            return Reason("play_too_long", f"play: the token has {len(token)} characters; at most {TOKEN_LENGTH_MAX}")
        try:
            signed, _, signature = token.encode("ascii").rpartition(b".")
            head, _, body = signed.partition(b".")
            header = _header(from_base64url(head))
        except (ValueError, RecursionError):  # also those of msgspec and of the codec
            return _MALFORMED
        key = by_id.get(header.kid)
        if key is None:
            return Reason(
                "play_key_unknown", f"play: no key {header.kid[:64]!r} is known; take a play of this platform"
            )
        if header.alg != key.algorithm or header.crit is not None:
            return Reason("play_algorithm_refused", f"play: {header.alg[:16]!r} is not the algorithm of its key")
        if not key.is_signed(signed, signature):
            return Reason("play_signature_wrong", "play: the signature is wrong; send the token as it was issued")
        try:
            play = _claims(from_base64url(body))
        except (ValueError, RecursionError) as error:
            return Reason("play_claims_invalid", f"play: {error}; the signer must correct it")
        if play.audience != audience:
            return Reason(
                "play_audience_wrong", f"play: it was signed for {play.audience[:64]!r}, not for {audience!r}"
            )
        return ReadPlay(play, key.kid)

    return read


_MALFORMED = Reason("play_malformed", "play: not a token in three parts; send the token as it was issued")


def play_signer(
    keys: Sequence[PlayKey],
    pseudonym_key: bytes,
    clock: Callable[[], datetime],
    *,
    audience: str = AUDIENCE,
    start_seconds: int = START_SECONDS,
) -> PlaySigner:
    """Return what signs plays that begin now, with the first key that holds a secret.

    Raises:
        KeySetError: every key is public.
    """
    key = next((each for each in keys if each.secret is not None), None)
    if key is None:
        raise KeySetError("every key is public, so none can sign; add a key with its secret")

    def sign(asked: PlayRequest) -> SignedPlay:
        begun = int(clock().timestamp())
        play = Play(
            play_id=uuid4(),
            audience=audience,
            begun_at_seconds=begun,
            start_until_seconds=begun + start_seconds,
            user_id=pseudonym_of(asked.user_id, pseudonym_key),
            session_id=session_pseudonym_of(asked.session_id, pseudonym_key),
            video_id=asked.video_id,
            revenue_eligible=asked.revenue_eligible,
            geo_location=asked.geo_location,
            ad_views_max=asked.ad_views_max,
            player=asked.player,
        )
        return SignedPlay(signed_text(play, key), str(play.play_id), play.begun_at, play.start_until)

    return sign


def signed_text(play: Play, key: PlayKey) -> str:
    """Return the token of a play, signed by a key that holds a secret."""
    claims: dict[str, Any] = msgspec.to_builtins(play)
    for name in ("geo_location", "player"):
        if claims[name] is None:
            del claims[name]
    return jwt.encode(claims, key.secret, key.algorithm, headers={"kid": key.kid, "typ": None})
