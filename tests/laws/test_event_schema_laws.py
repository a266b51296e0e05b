"""The JSON Schema accepts what the collector accepts, and refuses what it refuses as far as a schema can say."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from ingestion.contract.event import Reason, RejectedEvent
from ingestion.contract.event_schema import INSTANT_PATTERN, event_schema
from ingestion.contract.plays import TOKEN_LENGTH_MAX, ReadPlay
from ingestion.intake import Origin, admit, arrival
from ingestion.play_claims import Plays
from tests.extreme_events import extreme_message
from tests.ingestion_fakes import KEY, NOW, play_of
from tests.laws.test_decoding_laws import random_event

SEED = 20261128
CASES = 6000
OF_THE_TEXT = {"json_malformed", "duplicate_key", "body_too_large"}
"""Reasons about the text of an event; a schema judges the value that a text stands for."""


def ecma_pattern(_: Any, pattern: str, instance: object, __: Any) -> Iterator[ValidationError]:
    """Patterns are those of ECMA 262, where `$` is the end alone; Python's own lets a line feed pass."""
    if isinstance(instance, str) and re.search(re.sub(r"\$$", r"\\Z", pattern), instance) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


VALIDATOR = extend(Draft202012Validator, {"pattern": ecma_pattern})(event_schema())


def is_beyond_a_schema(code: str, sent: dict[str, Any]) -> bool:
    """Whether no schema can give this reason: a day that does not exist, or 60.0 for 60."""
    name = code.removesuffix("_invalid")
    value = sent.get(name)
    if name == "timestamp":
        return isinstance(value, str) and re.fullmatch(INSTANT_PATTERN, value) is not None
    return isinstance(value, float) and value.is_integer()


def read(token: str) -> ReadPlay | Reason:
    """Any token is that of one play, if it is not too long."""
    if len(token) > TOKEN_LENGTH_MAX:
        return Reason("play_too_long", "the play is too long")
    return ReadPlay(play_of(), "a-key")


CAME = arrival(NOW, Origin(), broker_time=None)
"""Without the broker's time: no event is too early or too late."""
PLAYS = ["token", "token", "t" * TOKEN_LENGTH_MAX, "t" * (TOKEN_LENGTH_MAX + 1), None, 5, ["token"], {}]


def with_play(rng: random.Random, raw: bytes) -> bytes:
    """The same event with a play, if it is an object; claimed fields may be missing or wrong."""
    if not raw.startswith(b"{") or rng.random() < 0.6:
        return raw
    further = json.dumps({"play": rng.choice(PLAYS)}).encode()
    return further[:-1] + (b"," if raw != b"{}" else b"") + raw[1:]


def test_the_schema_agrees_with_the_collector() -> None:
    rng = random.Random(SEED)
    accepted = refused = beyond = played = 0
    for case in range(CASES):
        raw = with_play(rng, random_event(rng) if case % 2 else extreme_message(rng))
        outcome = admit(raw, CAME, KEY, Plays(read))
        codes = [reason.code for reason in outcome.reasons] if isinstance(outcome, RejectedEvent) else []
        if OF_THE_TEXT & set(codes):
            continue
        try:
            sent = json.loads(raw)
        except ValueError:  # within a field that the play claims, which is not read
            assert b'"play"' in raw
            continue
        if VALIDATOR.is_valid(sent):
            beyond += bool(codes)
            assert all(is_beyond_a_schema(code, sent) for code in codes), (SEED, case, raw, codes)
        else:
            assert codes, (SEED, case, raw, [error.message for error in VALIDATOR.iter_errors(sent)])
        accepted, refused = accepted + (not codes), refused + bool(codes)
        played += not codes and "play" in sent
    assert min(accepted, refused, 3 * played) > 500
    assert 0 < beyond < refused / 5
