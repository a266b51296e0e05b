"""Laws of attestation: reading is as without it, and no changed message stays attested."""

import json
import random

import pytest
from msgspec.structs import asdict

from ingestion.contract.attestation import BYTES_MAX, Attested, attestation_of, attested, without_attestation
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import EVENT_BYTES_MAX, RejectedEvent, ViewEvent
from ingestion.contract.event_contracts import NEWEST, OLDEST
from ingestion.intake import AdmittedEvent, Origin, admit, arrival
from ingestion.play_claims import Plays
from tests.extreme_events import RAW, extreme_message
from tests.ingestion_fakes import KEY, NOW, event_fields, event_json

SEED = 20_261_128
KEYS = {"a": bytes(range(32)), "b.2": bytes(range(1, 33))}


def shown(decoded: ViewEvent | RejectedEvent) -> object:
    """The outcome by value: the two ways of decoding make records of two classes."""
    return asdict(decoded) if isinstance(decoded, ViewEvent) else decoded


@pytest.mark.parametrize("contract", range(OLDEST, NEWEST + 1))
def test_an_attested_message_reads_as_it_would_without_its_attestation(contract: int) -> None:
    rng = random.Random(SEED)
    read = rejected = 0
    messages = [each for each in RAW if isinstance(each, bytes)] + [extreme_message(rng) for _ in range(5_000)]
    for raw in messages:
        plain = decode_view_event(raw, contract)
        if not raw.endswith(b"}") or raw == b"{}" or len(raw) + BYTES_MAX > EVENT_BYTES_MAX:
            continue
        now = decode_view_event(attested(raw, "a", KEYS["a"]), contract)
        if isinstance(plain, RejectedEvent) and plain.reasons[0].code.startswith("json_"):
            assert isinstance(now, RejectedEvent), raw  # where the text breaks is named by another byte
            continue
        assert shown(now) == shown(plain), (SEED, contract, raw)
        read += isinstance(now, ViewEvent)
        rejected += isinstance(now, RejectedEvent)
    assert min(read, rejected) > 100


def test_the_fast_way_and_the_slow_way_read_an_attested_message_alike() -> None:
    rng = random.Random(SEED)
    for number in range(500):
        fields = event_fields(
            number, ad_views=[{"ad_id": "x"}] * rng.randrange(3), device_type=rng.choice((None, "tv"))
        )
        fast = attested(json.dumps(fields).encode(), "b.2", KEYS["b.2"])
        slow = attested(json.dumps(fields | {"unknown": 1}).encode(), "b.2", KEYS["b.2"])
        assert shown(decode_view_event(fast)) == shown(decode_view_event(slow))
        assert isinstance(decode_view_event(fast), ViewEvent)


def test_every_changed_bit_makes_an_attestation_false_or_takes_it_away() -> None:
    rng = random.Random(SEED)
    for raw in (event_json(), event_json(ad_views=[{"ad_id": "x", "watched_seconds": 5}], x="é")):
        for key_id, key in KEYS.items():
            message = attested(raw, key_id, key)
            assert attestation_of(message, KEYS) is Attested.YES
            for bit in range(8 * len(message)):
                changed = bytearray(message)
                changed[bit // 8] ^= 1 << (bit % 8)
                assert attestation_of(bytes(changed), KEYS) is not Attested.YES, (key_id, bit)
            for _ in range(200):
                place = rng.randrange(len(message) + 1)
                longer = message[:place] + rng.randbytes(1) + message[place:]
                shorter = message[: place - 1] + message[place:] if place else message[1:]
                assert longer == message or attestation_of(longer, KEYS) is not Attested.YES
                assert attestation_of(shorter, KEYS) is not Attested.YES


def test_no_two_messages_or_keys_have_the_same_bytes_under_the_hash() -> None:
    """What is hashed is a beginning of the attested message, and the rest of it follows from that beginning."""
    rng = random.Random(SEED)
    seen: dict[bytes, tuple[bytes, str]] = {}
    for _ in range(5_000):
        text = "".join(rng.choice('a,":}{attested_by') for _ in range(rng.randrange(30)))
        value, key_id = json.dumps({"x": text}).encode(), rng.choice(("a", "b", "a.b", "ab", "a-"))
        hashed = attested(value, key_id, KEYS["a"])[:-50]
        assert seen.setdefault(hashed, (value, key_id)) == (value, key_id)
        assert without_attestation(attested(value, key_id, KEYS["a"])) == value


def test_a_key_vouches_under_its_own_name_alone() -> None:
    assert attestation_of(attested(event_json(), "b.2", KEYS["a"]), KEYS) is Attested.FALSE
    assert attestation_of(attested(event_json(), "unknown", KEYS["a"]), KEYS) is Attested.FALSE
    assert attestation_of(attested(event_json(), "a", KEYS["a"]), {}) is Attested.FALSE


def test_any_bytes_have_an_answer_and_none_is_attested_by_chance() -> None:
    rng = random.Random(SEED)
    tail = attested(b"{}", "a", KEYS["a"])
    for _ in range(20_000):
        value = rng.randbytes(rng.randrange(200)) + tail[rng.randrange(len(tail)) :]
        assert attestation_of(value, KEYS) is not Attested.YES
        without_attestation(value)


def test_nobody_can_send_an_attestation_through_the_collector() -> None:
    came = arrival(NOW, Origin(None, None), broker_time=NOW)
    sent = attested(event_json(), "a", KEYS["a"])
    escaped = event_json(x=1).replace(b'"x"', b'"attest\\u0065d_by"')
    for plays in (Plays(), Plays(attest=lambda value: attested(value, "a", KEYS["a"]))):
        for raw in (sent, escaped, event_json(attestation="0" * 32, attested_by="a")):
            outcome = admit(raw, came, KEY, plays)
            assert isinstance(outcome, AdmittedEvent)
            assert attestation_of(outcome.value, KEYS) is Attested.NO
            assert b"attest" not in outcome.value
