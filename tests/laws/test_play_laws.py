"""Laws of plays: claims win over every word, and no bit of a token can be changed."""

import json
import random
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import Reason, RejectedEvent
from ingestion.contract.plays import AUDIENCE, ReadPlay
from ingestion.intake import AdmittedEvent, Origin, admit, arrival
from ingestion.jwt_plays import PlayKey, play_keys, play_reader
from ingestion.play_claims import Plays
from tests.extreme_events import COUNTRIES, IDS, INSTANTS, TEXTS, WRONG, extreme_message
from tests.ingestion_fakes import KEY, NOW, PLAY_KEY, ed25519_jwk, play_of, token_of

SEED = 20_261_128
CLAIMED = ("event_id", "video_id", "user_id", "session_id", "timestamp", "revenue_eligible", "geo_location")
EXTREMES: list[Any] = [*WRONG, *TEXTS, *IDS, *INSTANTS, *COUNTRIES]
CAME = arrival(NOW, Origin("192.0.2.0/24", None), broker_time=NOW)
PAIR = play_keys(json.dumps({"keys": [ed25519_jwk("pair", Ed25519PrivateKey.generate())]}))[0]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def claims_of(outcome: AdmittedEvent | RejectedEvent) -> tuple[Any, ...]:
    assert isinstance(outcome, AdmittedEvent), outcome
    event = decode_view_event(outcome.value)
    return tuple(getattr(event, name) for name in CLAIMED)


def test_claims_win_over_every_word_of_a_sender() -> None:
    rng, plays = random.Random(SEED), Plays(play_reader([PLAY_KEY]))
    for geo_location in ("DE", None):
        play = play_of(geo_location=geo_location)
        token = token_of(geo_location=geo_location)
        expected = (
            play.play_id, play.video_id, play.user_id, play.session_id, play.begun_at, play.revenue_eligible,
            geo_location,
        )  # fmt: skip
        for number in range(3_000):
            words = {name: rng.choice(EXTREMES) for name in CLAIMED if rng.random() < 0.7}
            members = [("play", token), ("view_duration", 45), *words.items()]
            rng.shuffle(members)
            raw = json.dumps(dict(members)).encode()
            assert claims_of(admit(raw, CAME, KEY, plays)) == expected, (SEED, number, raw)


def test_a_play_opens_no_way_around_the_contract() -> None:
    """Whatever else a message is: with a play it is refused, or it is a well-formed event that says what it claims."""
    rng, plays, token = random.Random(SEED), Plays(play_reader([PLAY_KEY])), token_of().encode()
    accepted = 0
    for number in range(3_000):
        raw = extreme_message(rng)
        raw = raw.replace(b"{", b'{"play":"' + token + b'",', 1) if rng.random() < 0.8 else raw
        outcome = admit(raw, CAME, KEY, plays)
        if isinstance(outcome, AdmittedEvent) and outcome.play_country is not None:
            accepted += 1
            assert claims_of(outcome)[1] == "played", (SEED, number, raw)
            assert token not in outcome.value
            json.loads(outcome.value, object_pairs_hook=without_repeats)
    assert accepted > 100


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("key", [PLAY_KEY, PAIR], ids=lambda key: key.algorithm)
def test_no_character_of_a_token_can_be_changed_left_out_or_added(key: PlayKey) -> None:
    rng, read, token = random.Random(SEED), play_reader([key]), token_of(key)
    assert isinstance(read(token), ReadPlay)
    for index in range(len(token)):
        for other in rng.sample(LETTERS, 4 if key is PAIR else 12):
            for changed in (token[:index] + other + token[index + 1 :], token[:index] + other + token[index:]):
                assert changed == token or isinstance(read(changed), Reason), (SEED, index, other)
        assert isinstance(read(token[:index] + token[index + 1 :]), Reason), index
    for bit in range(8 * len(token)):
        flipped = bytearray(token.encode())
        flipped[bit // 8] ^= 1 << (bit % 8)
        assert isinstance(read(flipped.decode("latin-1")), Reason), bit
    for around in (token + "=", token + "\n", " " + token, token + "\0"):
        assert isinstance(read(around), Reason)


def test_what_this_reader_accepts_pyjwt_accepts_with_the_same_claims_and_the_reverse() -> None:
    rng, read = random.Random(SEED), play_reader([PLAY_KEY, PAIR])
    public = {PLAY_KEY.kid: PLAY_KEY.secret, PAIR.kid: PAIR.secret.public_key()}
    for number in range(300):
        key = rng.choice((PLAY_KEY, PAIR))
        token = token_of(key, video_id=f"v{number}")
        head, body, signature = token.split(".")
        forged = f"{head}.{body}.{rng.choice((signature, signature[::-1], token_of().split('.')[2]))}"
        try:
            theirs: Any = jwt.decode(
                forged, public[key.kid], [key.algorithm], audience=AUDIENCE,
                options={"verify_exp": False, "verify_iat": False},
            )  # fmt: skip
        except jwt.InvalidTokenError:
            theirs = None
        ours = read(forged)
        assert isinstance(ours, ReadPlay) == (theirs is not None), (SEED, number)
        if isinstance(ours, ReadPlay):
            assert (str(ours.play.play_id), ours.play.video_id) == (theirs["jti"], theirs["video_id"])
