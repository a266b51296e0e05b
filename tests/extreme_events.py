"""Messages at the edges of every field: each type, length, number, instant and shape of JSON that a sender may use."""

import json
import random
import uuid

INSTANTS = [
    "2026-11-21T10:00:00Z", "2026-11-21T10:00:00z", "2026-11-21t10:00:00+02:00", "2026-11-21 10:00:00-23:59",
    "2026-11-21T10:00:00+0100", "2026-11-21T10:00:00.1Z", "2026-11-21T10:00:00.123456Z", "2026-11-20T23:59:59.9999999Z",
    "2026-11-20T23:59:59.9999994Z", "2026-10-31T23:59:59.9999999+00:00", "2026-11-21T00:59:59.9999995+01:00",
    "2026-11-21T10:00:00." + "9" * 80 + "Z", "2026-11-21T10:00:00.000000000+00:00", "0001-01-01T00:00:00+01:00",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "0001-01-01T23:59:59-23:59", "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.9999999Z", "9999-12-31T00:00:00Z", "9999-12-30T23:59:59.999999Z",
    "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:01", "2026-11-21T23:59:60Z",
    "2026-11-21T24:00:00Z", "2026-02-29T00:00:00Z", "2026-11-21T10:00Z", "2026-11-21", "2026-W47-6T10:00:00Z",
    "2026-11-21T10:00:00", "2026-11-21T10:00:00+24:00", "2026-11-21T10:00:00.Z", "\uff12026-11-21T10:00:00Z", "", " ",
]  # fmt: skip
WRONG = [None, True, False, 0, -1, 1.5, 1e300, 10**18, 2**63, 2**64, 10**40, "", "\0", [], {}, [[]], {"a": {}}]
TEXTS = [
    "a",
    "\0",
    "a\nb",
    "\u2028",
    "é" * 128,
    "x" * 64,
    "x" * 65,
    "x" * 128,
    "x" * 129,
    "\U0001f600",
    '"\\/',
    "'; --",
]
IDS = [
    "8F14E45F-CEEA-467F-9A3C-1B2D3E4F5A6B",
    "8f14e45fceea467f9a3c1b2d3e4f5a6b",
    "{8f14e45f}",
    "urn:uuid:0",
    "x" * 200,
]
COUNTRIES = ["US", "us", "USA", "UK", "EL", "US-CA", "it-CH", "XX", "ZZ", "*", "", " US", "ß", "Deutschland", "x" * 64]
AD_VIEWS = [
    [], [{"ad_id": "a"}], [{"ad_id": "a"}, {"ad_id": "a"}], [{"ad_id": "a", "ad_type": "pre\npre"}, {"ad_id": "b"}],
    [{"ad_id": "a", "ad_type": "", "watched_seconds": 0}], [{"ad_id": "a", "watched_seconds": 86_400}],
    [{"ad_id": "a", "watched_seconds": 86_401}], [{"ad_type": "a"}], [None], [{"ad_id": "a\0", "ad_type": "\0"}],
    [{"ad_id": str(index)} for index in range(50)], [{"ad_id": str(index)} for index in range(51)],
    [{"ad_id": str(index)} for index in range(1_800)],
]  # fmt: skip
RAW = [
    b"", b"null", b"{}", b"[]", b"\xff", b"\xef\xbb\xbf{}", b"[" * 70_000, b"{" * 500, b'{"a":' * 30 + b"1" + b"}" * 30,
    b'{"event_id":"\\ud800"}', b'{"event_id":"\xed\xa0\x80"}', b'{"a":1e999}', b'{"a":' + b"9" * 5_000 + b"}", b"-0",
    b"NaN", b'{"event_id":"8F14E45F-CEEA-467F-9A3C-1B2D3E4F5A6B","b":1,"c":2,"c":3,"b":4}',
    b'{"a":"' + b"x" * 65_536 + b'"}',
]  # fmt: skip


def extreme_message(rng: random.Random) -> bytes:
    """Return an event with some fields at their edges, and sometimes bytes that are not an event."""
    if rng.random() < 0.05:
        return rng.choice(RAW)
    event: dict[str, object] = {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "video_id": "video",
        "user_id": "user",
        "session_id": "session",
        "timestamp": "2026-11-21T09:00:00Z",
        "view_duration": 60,
        "revenue_eligible": True,
    }
    edges: dict[str, list[object]] = {
        "event_id": [*IDS, *WRONG],
        "video_id": ["-", "_", "a" * 64, "a" * 65, "a\n", "é", *WRONG],
        "user_id": [*TEXTS, *WRONG],
        "session_id": [*TEXTS, *WRONG],
        "timestamp": [*INSTANTS, *INSTANTS, *INSTANTS, *WRONG],
        "view_duration": [0, 1, 29, 30, 86_399, 86_400, 86_401, *WRONG],
        "revenue_eligible": ["true", *WRONG],
        "device_type": [*TEXTS, *WRONG],
        "geo_location": [*COUNTRIES, *TEXTS, *WRONG],
        "referrer": [*TEXTS, "r" * 2_048, "r" * 2_049, *WRONG],
        "quality": [*TEXTS, *WRONG],
        "ad_views": [*AD_VIEWS, *AD_VIEWS, *WRONG],
        "schema_version": [1, 10**6, 10**6 + 1, 2**63, 10**400, *WRONG],
        "received_at": [*TEXTS, *WRONG],
        "client_network": ["10.0.0.0/24", *TEXTS, *WRONG],
        "user_agent": [*TEXTS, *WRONG],
        "unknown": [*TEXTS, *WRONG],
    }
    for name in rng.sample(list(edges), rng.choice([0, 1, 1, 1, 2, 3])):
        event[name] = rng.choice(edges[name])
    if rng.random() < 0.05:
        event["unknown"] = nested(rng.choice([1, 60, 62, 63, 64, 65, 200, 400]))
    raw = json.dumps(event, ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), (", ", ": ")])).encode()
    if rng.random() < 0.05:
        raw = raw.replace(b".9999999", b"\\u002e9999999").replace(b"09:00:00Z", b"09:00:00.999999\\u0039Z")
    return raw


def nested(depth: int) -> object:
    """Return a value that nests so deep, in lists and objects by turns."""
    value: object = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value
