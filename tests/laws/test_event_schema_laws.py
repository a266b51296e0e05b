"""The JSON Schema accepts what the decoder accepts, and refuses what it refuses as far as a schema can say."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent
from ingestion.contract.event_schema import INSTANT_PATTERN, event_schema
from tests.extreme_events import extreme_message
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


def test_the_schema_agrees_with_the_decoder() -> None:
    rng = random.Random(SEED)
    accepted = refused = beyond = 0
    for case in range(CASES):
        raw = random_event(rng) if case % 2 else extreme_message(rng)
        decoded = decode_view_event(raw)
        codes = [reason.code for reason in decoded.reasons] if isinstance(decoded, RejectedEvent) else []
        if OF_THE_TEXT & set(codes):
            continue
        sent = json.loads(raw)
        if VALIDATOR.is_valid(sent):
            beyond += bool(codes)
            assert all(is_beyond_a_schema(code, sent) for code in codes), (SEED, case, raw, codes)
        else:
            assert codes, (SEED, case, raw, [error.message for error in VALIDATOR.iter_errors(sent)])
        accepted, refused = accepted + (not codes), refused + bool(codes)
    assert min(accepted, refused) > 500
    assert 0 < beyond < refused / 5
