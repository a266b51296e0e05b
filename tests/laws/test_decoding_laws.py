"""The quick way and the slow way of decoding agree on every input."""

import json
import random
import uuid

from ingestion.contract import decoding
from ingestion.contract.event import RejectedEvent, ViewEvent
from ingestion.contract.event_contracts import NEWEST

SEED = 20261121
CASES = 4000


def random_event(rng: random.Random) -> bytes:
    event: dict[str, object] = {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "video_id": rng.choice(["-a_b", "abc", "#NAME?", "x" * 65]) if rng.random() < 0.2 else "video",
        "user_id": rng.choice(["u", "", "u" * 129, 'a"b', "\\u0041"]) if rng.random() < 0.2 else "user",
        "session_id": "session",
        "timestamp": rng.choice(["2026-11-21T10:00:00Z", "2026-11-21 10:00:00+02:00", "2026-11-21T10:00:00Z", "x"]),
        "view_duration": rng.choice([-1, 30.0, "30", 10**30]) if rng.random() < 0.2 else rng.choice([0, 30]),
        "revenue_eligible": rng.choice([True, False, True, False, None]),
    }
    optional = {
        "device_type": ["tv", None, 1, 'q"uote'],
        "geo_location": ["DE", None],
        "referrer": ["r", "back\\slash"],
        "schema_version": [1, 2, 0, None],
        "ad_views": [[], [{"ad_id": "a"}], [{"ad_id": "a", "ad_type": None}], None, [{}]],
        "user_agent": ["ua"],
        "future": [1, "x", {"a": "b"}],
    }
    for name, values in optional.items():
        if rng.random() < 0.3:
            event[name] = rng.choice(values)
    if rng.random() < 0.1:
        event.pop(rng.choice(list(event)))
    items = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in event.items()]
    rng.shuffle(items)
    if rng.random() < 0.2:
        items.append(rng.choice(items))
    raw = ("{" + ", ".join(items) + "}").encode()
    if rng.random() < 0.1:
        at = rng.randrange(len(raw))
        raw = raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
    return raw


def test_the_quick_way_decides_as_the_slow_way() -> None:
    rng = random.Random(SEED)
    accepted = 0
    for case in range(CASES):
        raw = random_event(rng)
        quick, slow = decoding.decode_view_event(raw), decoding._decode_slowly(raw, NEWEST)
        assert isinstance(quick, RejectedEvent) == isinstance(slow, RejectedEvent), (SEED, case, raw)
        if isinstance(quick, ViewEvent) and isinstance(slow, ViewEvent):
            accepted += 1
            assert all(getattr(quick, name) == getattr(slow, name) for name in ViewEvent.__struct_fields__), (case, raw)
        else:
            assert quick == slow, (SEED, case, raw)
    assert CASES / 20 < accepted < CASES, accepted


def test_no_bytes_at_all_make_decoding_raise() -> None:
    rng = random.Random(SEED)
    for _ in range(CASES):
        raw = rng.randbytes(rng.randrange(200))
        assert isinstance(decoding.decode_view_event(raw), RejectedEvent), (SEED, raw)
