"""The keys of attestations, and where they are used."""

import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.attestation_keys import attestation_keys
from ingestion.contract.attestation import Attested, attestation_of, attested
from ingestion.contract.event import RejectedEvent
from ingestion.contract.event_contracts import EventContracts
from ingestion.intake import admit, arrival
from ingestion.jwk_set import KeySetError
from jobs.errors import CommandError
from jobs.settings.declared.pipeline import ATTESTATION_KEYS_FILE, PLAY_KEYS_FILE, PLAYS_REQUIRED
from jobs.wiring.attestations import read_attestation_keys
from jobs.wiring.plays import read_play_signer, read_plays
from speed_layer.chunk import Span, judge
from tests.ingestion_fakes import KEY, NOW, PLAY_KEY, event_json, hmac_jwk, token_of
from tests.speed_fakes import FakeRecord

KEYS = {"a": bytes(range(32)), "b": bytes(range(1, 33))}


def keys_file(folder: Path, name: str, *keys: dict[str, str]) -> str:
    path = folder / name
    path.write_text(json.dumps({"keys": keys}))
    return str(path)


def test_keys_are_read_in_order() -> None:
    written = json.dumps({"keys": [hmac_jwk(name, key) for name, key in KEYS.items()]})
    assert list(attestation_keys(written).items()) == list(KEYS.items())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not a JWK Set"),
        ('{"keys": []}', "not a JWK Set"),
        ({"kid": "a,b", "kty": "oct"}, "not a JWK Set"),
        ({"kid": "a", "kty": "OKP"}, "the key a is of the kind 'OKP'; it must be oct"),
        ({"kid": "a", "kty": "oct", "k": "é"}, "the key a cannot be read"),
        (hmac_jwk("a", bytes(31)), "the key a has 31 bytes; at least 32"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_with_one_sentence(text: Any, sentence: str) -> None:
    with pytest.raises(KeySetError, match=sentence):
        attestation_keys(text if isinstance(text, str) else json.dumps({"keys": [text]}))
    with pytest.raises(KeySetError, match="the same kid"):
        attestation_keys(json.dumps({"keys": [hmac_jwk("a", bytes(32)), hmac_jwk("a", bytes(33))]}))


def test_the_collector_attests_events_with_a_play_and_ingest_attests_all(tmp_path: Path) -> None:
    environ = {
        ATTESTATION_KEYS_FILE.name: keys_file(tmp_path, "a.json", *(hmac_jwk(name, key) for name, key in KEYS.items())),
        PLAY_KEYS_FILE.name: keys_file(tmp_path, "p.json", hmac_jwk(PLAY_KEY.kid, PLAY_KEY.secret)),
    }
    came = arrival(NOW, None, broker_time=NOW)
    with_play, without = json.dumps({"play": token_of(), "view_duration": 30}).encode(), event_json()
    expected = {(False, with_play): "yes", (False, without): "no", (True, with_play): "yes", (True, without): "yes"}
    for (is_trusted, raw), attested_as in expected.items():
        outcome = admit(raw, came, KEY, read_plays(environ, all_are_attested=is_trusted))
        assert not isinstance(outcome, RejectedEvent)
        assert attestation_of(outcome.value, {"a": KEYS["a"]}) == attested_as
    assert read_attestation_keys(environ) == KEYS


def test_a_file_of_keys_that_cannot_be_used_names_its_setting(tmp_path: Path) -> None:
    wrong = keys_file(tmp_path, "wrong.json", {"kid": "a", "kty": "oct", "k": ""})
    for setting, read in ((ATTESTATION_KEYS_FILE, read_attestation_keys), (PLAY_KEYS_FILE, read_plays)):
        for path in (wrong, str(tmp_path / "missing"), str(tmp_path)):
            with pytest.raises(CommandError, match=setting.name):
                read({setting.name: path})
    with pytest.raises(CommandError, match=f"{PLAYS_REQUIRED.name} is 1 and {PLAY_KEYS_FILE.name} is not set"):
        read_plays({}, are_required=True)
    assert read_play_signer({}) is None
    assert read_attestation_keys({}) == {}


def test_the_speed_layer_counts_who_vouches_and_counts_views_alike() -> None:
    values = [
        attested(event_json(1), "a", KEYS["a"]),
        attested(event_json(2), "a", KEYS["b"]),
        event_json(3),
        event_json(4),
        b"{}",
    ]
    records = [FakeRecord(offset, int(NOW.timestamp() * 1000), value) for offset, value in enumerate(values)]
    span, contracts = Span(0, 0, len(records), 1, records), EventContracts.of_new_log("views")
    chunk = judge(span, contracts, attestation_keys=KEYS)
    assert chunk.attestations == {Attested.YES: 1, Attested.FALSE: 1, Attested.NO: 2}
    unchecked = judge(span, contracts)
    assert set(unchecked.attestations.values()) == {0}
    assert chunk.candidates == unchecked.candidates
    assert len(chunk.candidates) == 4
