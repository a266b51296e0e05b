"""Plays: their keys, their tokens, and what of a token an event becomes."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingestion.contract.event import RejectedEvent
from ingestion.contract.plays import TOKEN_LENGTH_MAX, PlayRequest, ReadPlay
from ingestion.intake import AdmittedEvent, Origin, admit, arrival
from ingestion.jwk_set import KeySetError
from ingestion.jwt_plays import PlayKey, play_keys, play_reader, play_signer, secret_key
from ingestion.play_claims import NO_PLAYS, Plays
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of
from tests.ingestion_fakes import (
    KEY,
    NOW,
    PLAY_KEY,
    ed25519_jwk,
    event_json,
    hmac_jwk,
    play_of,
    text_of,
    token_of,
)

CAME = arrival(NOW, Origin("192.0.2.0/24", "Player/1.0"), broker_time=NOW)
PLAYS = Plays(play_reader([PLAY_KEY]))
PLAYED = {"view_duration": 45}


def played(token: Any, came: Any = CAME, plays: Plays = PLAYS, **words: Any) -> AdmittedEvent | RejectedEvent:
    return admit(json.dumps({"play": token, **PLAYED, **words}).encode(), came, KEY, plays)


def fields_of(outcome: AdmittedEvent | RejectedEvent) -> dict[str, Any]:
    assert isinstance(outcome, AdmittedEvent), outcome
    fields: dict[str, Any] = json.loads(outcome.value)
    return fields


def code_of(outcome: AdmittedEvent | RejectedEvent) -> str:
    assert isinstance(outcome, RejectedEvent), outcome
    (reason,) = outcome.reasons
    assert len(reason.detail) > len(reason.code)
    return reason.code


def test_an_event_with_a_play_says_what_the_play_says_and_not_what_its_sender_says() -> None:
    lies = {
        "event_id": str(UUID(int=1)),
        "video_id": "mine",
        "user_id": "somebody",
        "session_id": "another",
        "timestamp": "2026-11-01T00:00:00Z",
        "revenue_eligible": False,
        "geo_location": "CH",
    }
    expected = {
        "event_id": str(UUID(int=77, version=4)),
        "video_id": "played",
        "user_id": pseudonym_of("bob", KEY),
        "session_id": session_pseudonym_of("s2", KEY),
        "timestamp": "2026-11-23T09:59:00Z",
        "revenue_eligible": True,
        "geo_location": "DE",
        "view_duration": 45,
        "received_at": "2026-11-23T10:00:00.000Z",
        "client_network": "192.0.2.0/24",
        "user_agent": "Player/1.0",
    }
    for words in (lies, {}, dict.fromkeys(lies, None), {name: [1, {"a": "b"}] for name in lies}):
        outcome = played(token_of(), **words)
        assert fields_of(outcome) == expected
        assert isinstance(outcome, AdmittedEvent)
        assert (outcome.key, outcome.event_id, outcome.play_country) == (b"played", expected["event_id"], "DE")


def test_a_country_that_the_platform_does_not_know_is_not_the_senders_to_name() -> None:
    assert "geo_location" not in fields_of(played(token_of(geo_location=None), geo_location="CH"))


def test_the_token_never_reaches_the_log() -> None:
    token = token_of()
    for raw in (
        json.dumps({"play": token, **PLAYED}).encode(),
        json.dumps({"play": token, **PLAYED}).replace('"play"', '"pl\\u0061y"').encode(),
        event_json(play=token),
    ):
        outcome = admit(raw, CAME, KEY, PLAYS)
        assert isinstance(outcome, AdmittedEvent)
        assert token.encode() not in outcome.value
        assert b"play" not in outcome.value.replace(b"played", b"").replace(b"Player", b"")


def test_what_is_not_claimed_is_judged_as_strictly_as_ever() -> None:
    token = token_of()
    assert code_of(played(token, view_duration=-1)) == "view_duration_invalid"
    assert code_of(played(token, device_type=5)) == "device_type_invalid"
    repeated = f'{{"play": "{token}", "view_duration": 1, "view_duration": 2}}'.encode()
    assert code_of(admit(repeated, CAME, KEY, PLAYS)) == "duplicate_key"
    escaped = json.dumps({"play": token, **PLAYED, 'a"b': 'c"d'}).encode()
    assert fields_of(admit(escaped, CAME, KEY, PLAYS))['a"b'] == 'c"d'


def test_a_play_sent_again_is_the_same_event() -> None:
    first, again = (played(token_of(), view_duration=seconds) for seconds in (10, 45))
    assert isinstance(first, AdmittedEvent)
    assert isinstance(again, AdmittedEvent)
    assert first.event_id == again.event_id


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "play_malformed"),
        ("a.b", "play_malformed"),
        ("a.b.c.d", "play_malformed"),
        ("é.é.é", "play_malformed"),
        (7, "play_malformed"),
        (None, "play_malformed"),
        ("x" * (TOKEN_LENGTH_MAX + 1), "play_too_long"),
        (token_of(secret_key("other", bytes(32))), "play_key_unknown"),
        (token_of(secret_key("2026-11", bytes(32))), "play_signature_wrong"),
        (token_of()[:-1] + "!", "play_signature_wrong"),
        (token_of(audience="elsewhere"), "play_audience_wrong"),
        (token_of(user_id="bob"), "play_claims_invalid"),
        (token_of(session_id="viewer_" + "0" * 32), "play_claims_invalid"),
        (token_of(ad_views_max=51), "play_claims_invalid"),
        (token_of(video_id="a b"), "play_claims_invalid"),
        (token_of(begun_at_seconds=int(NOW.timestamp()) + 301), "play_not_begun"),
        (token_of(begun_at_seconds=int((NOW - timedelta(days=35, seconds=1)).timestamp())), "play_expired"),
    ],
)
def test_a_token_that_is_not_accepted_is_answered_with_its_own_code(token: Any, code: str) -> None:
    assert code_of(played(token)) == code


def test_the_refusal_names_the_event_by_the_id_that_its_sender_used() -> None:
    refused = played("a.b.c", event_id="mine")
    assert isinstance(refused, RejectedEvent)
    assert refused.event_id == "mine"


@pytest.mark.parametrize(
    "word", ["[" * 5_000 + "]" * 5_000, '"\\ud800"', "NaN", '"\\u0000"', "1e999", '"' + "x" * 70_000 + '"', "tru"]
)
@pytest.mark.parametrize("name", ["event_id", "user_id", "other"])
@pytest.mark.parametrize("token", ["a.b.c", token_of()])
def test_no_value_beside_a_token_breaks_its_answer(token: str, name: str, word: str) -> None:
    raw = f'{{"play": "{token}", "view_duration": 5, "{name}": {word}}}'.encode()
    outcome = admit(raw, CAME, KEY, PLAYS)
    msgspec.json.encode(outcome)
    if isinstance(outcome, AdmittedEvent):
        json.loads(outcome.value)
        assert token != "a.b.c"


def test_an_event_too_large_with_a_repeated_key_is_refused_like_any_other_too_large() -> None:
    raw = f'{{"play": "{token_of()}", "view_duration": 5, "view_duration": 6{" " * 66_000}}}'.encode()
    assert code_of(admit(raw, CAME, KEY, PLAYS)) == "body_too_large"


def test_a_token_of_another_algorithm_than_its_keys_is_refused() -> None:
    claims = jwt.decode(token_of(), options={"verify_signature": False})
    for algorithm, secret in (("HS384", bytes(48)), ("none", None)):
        with_kid = jwt.encode(claims, secret, algorithm, headers={"kid": PLAY_KEY.kid})
        assert code_of(played(with_kid)) == "play_algorithm_refused"
    critical = jwt.encode(claims, PLAY_KEY.secret, "HS256", headers={"kid": PLAY_KEY.kid, "crit": ["exp"]})
    assert code_of(played(critical)) == "play_algorithm_refused"


def test_delivery_stays_open_for_35_days_although_a_play_must_be_begun_soon() -> None:
    begun = int((NOW - timedelta(days=34)).timestamp())
    assert fields_of(played(token_of(begun_at_seconds=begun, start_until_seconds=begun + 60)))["view_duration"] == 45


@pytest.mark.parametrize(("seconds", "is_possible"), [(0, True), (360, True), (361, False), (86_400, False)])
def test_nobody_watches_longer_than_the_play_lasts_with_five_minutes_for_clocks(
    seconds: int, is_possible: bool
) -> None:
    outcome = played(token_of(), view_duration=seconds)
    if is_possible:
        assert fields_of(outcome)["view_duration"] == seconds
    else:
        assert code_of(outcome) == "view_duration_beyond_play"


def test_while_the_brokers_time_is_unknown_no_play_is_refused_for_its_time() -> None:
    outcome = played(token_of(begun_at_seconds=0), arrival(NOW, None, broker_time=None), view_duration=86_400)
    assert isinstance(outcome, AdmittedEvent)


@pytest.mark.parametrize(
    ("allowed", "sent", "kept"),
    [
        (2, "abc", "ab"),
        (2, "aabbc", "aabb"),  # the contract counts a repeated one once; the archive shows it
        (0, "ab", ""),
        (2, "ab", "ab"),
        (50, "abc", "abc"),
    ],
)
def test_of_the_advertisements_no_more_are_kept_than_the_play_allows(allowed: int, sent: str, kept: str) -> None:
    ads = [{"ad_id": each, "watched_seconds": 5, "x": 1.50} for each in sent]
    outcome = fields_of(played(token_of(ad_views_max=allowed), ad_views=ads))
    assert [each["ad_id"] for each in outcome["ad_views"]] == list(kept)


def test_without_keys_no_play_is_accepted_and_events_are_as_ever() -> None:
    assert code_of(played(token_of(), plays=NO_PLAYS)) == "play_key_unknown"
    assert isinstance(admit(event_json(), CAME, KEY), AdmittedEvent)


def test_where_plays_are_required_an_event_without_one_is_refused() -> None:
    required = Plays(PLAYS.read, are_required=True)
    assert code_of(admit(event_json(), CAME, KEY, required)) == "play_missing"
    assert code_of(admit(b"{}x", CAME, KEY, required)) == "json_malformed"
    assert isinstance(played(token_of(), plays=required), AdmittedEvent)


def test_every_key_of_the_set_reads_and_the_first_with_a_secret_signs() -> None:
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    sent = [ed25519_jwk("a", first, is_private=False), ed25519_jwk("b", second), hmac_jwk("c", bytes(32))]
    keys = play_keys(json.dumps({"keys": sent}))
    asked = PlayRequest("v", "alice", "s1", revenue_eligible=True, geo_location=None)
    signed = play_signer(keys, KEY, lambda: NOW)(asked)
    assert jwt.get_unverified_header(signed.play)["kid"] == "b"
    read = play_reader(keys)(signed.play)
    assert isinstance(read, ReadPlay)
    assert read.key_id == "b"
    assert read.play == play_of(
        play_id=UUID(signed.event_id),
        begun_at_seconds=int(NOW.timestamp()),
        start_until_seconds=int(NOW.timestamp()) + 600,
        user_id=pseudonym_of("alice", KEY),
        session_id=session_pseudonym_of("s1", KEY),
        video_id="v",
        geo_location=None,
        ad_views_max=0,
    )
    assert (signed.begun_at, signed.start_until) == (NOW, NOW + timedelta(seconds=600))
    for each in keys[1:]:
        assert isinstance(play_reader(keys)(token_of(each)), ReadPlay)
    public = play_keys(json.dumps({"keys": sent[:1]}))
    with pytest.raises(KeySetError, match="every key is public"):
        play_signer(public, KEY, lambda: NOW)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not a JWK Set"),
        ('{"keys": {}}', "not a JWK Set"),
        ('{"keys": []}', "has 0 keys"),
        ({"kid": "a b", "kty": "oct"}, "not a JWK Set"),
        (hmac_jwk("a", bytes(31)), "the key a has 31 bytes; at least 32"),
        ({"kid": "a", "kty": "oct", "alg": "HS256", "k": "é"}, "the key a cannot be read"),
        ({"kid": "a", "kty": "oct", "alg": "HS256", "k": "A"}, "the key a cannot be read"),
        ({"kid": "a", "kty": "oct", "alg": "none", "k": ""}, "with alg 'none'; allowed are"),
        ({"kid": "a", "kty": "RSA", "alg": "RS256"}, "of the kind 'RSA'"),
        (
            ed25519_jwk("a", Ed25519PrivateKey.generate()) | {"x": text_of(bytes(32))},
            "halves of the key a do not belong together",
        ),
    ],
)
def test_keys_that_cannot_be_used_are_refused_with_one_sentence(text: Any, sentence: str) -> None:
    written = text if isinstance(text, str) else json.dumps({"keys": [text]})
    with pytest.raises(KeySetError, match=sentence):
        play_keys(written)


def test_two_keys_of_one_name_are_refused_and_no_key_shows_its_secret() -> None:
    with pytest.raises(KeySetError, match="the same kid"):
        play_keys(json.dumps({"keys": [hmac_jwk("a", bytes(32)), hmac_jwk("a", bytes(33))]}))
    assert repr(PLAY_KEY) == "PlayKey('2026-11', HS256)"
    assert isinstance(PLAY_KEY, PlayKey)


def test_any_library_of_json_web_tokens_can_sign_a_play_and_open_ours() -> None:
    claims = jwt.decode(
        token_of(),
        PLAY_KEY.secret,
        ["HS256"],
        audience="viewledger",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert datetime.fromtimestamp(claims["iat"], NOW.tzinfo) == NOW - timedelta(seconds=60)
    again = jwt.encode(claims, PLAY_KEY.secret, "HS256", headers={"kid": PLAY_KEY.kid})
    assert play_reader([PLAY_KEY])(again) == ReadPlay(play_of(), PLAY_KEY.kid)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'["play"]', "json_not_an_object"),
        (b'"play"', "json_not_an_object"),
        (b'{"play":5,"event_id":"\xff"}', "play_malformed"),
        (b'{"play":"x","event_id":"\xff"}', "play_key_unknown"),
        (b'{"play":"x","event_id":7}', "play_key_unknown"),
        (b'{"play":"\xff"}', "json_malformed"),
        (b'{"play":"x"', "json_malformed"),
    ],
)
def test_what_is_not_an_event_with_a_play_is_refused_like_any_other(raw: bytes, code: str) -> None:
    refused = admit(raw, arrival(NOW, None, broker_time=NOW), KEY)
    assert isinstance(refused, RejectedEvent)
    assert [reason.code for reason in refused.reasons] == [code]
