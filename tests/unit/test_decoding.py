"""Decoding turns any bytes into an event or into every reason why not."""

import json
import uuid
from datetime import UTC, datetime

import pytest

from ingestion.contract.decoding import NESTING_MAX, decode_view_event
from ingestion.contract.event import EVENT_BYTES_MAX, RejectedEvent, ViewEvent, payload_digest

GOOD = {
    "event_id": "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b",
    "video_id": "-JinobXWPk",
    "user_id": "viewer-1",
    "session_id": "session-1",
    "timestamp": "2026-11-21T10:00:00Z",
    "view_duration": 45,
    "revenue_eligible": True,
}


def encode(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def codes(raw: bytes) -> set[str]:
    decoded = decode_view_event(raw)
    assert isinstance(decoded, RejectedEvent), decoded
    return {reason.code for reason in decoded.reasons}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"video_id": "_abc"},
        {"video_id": "a" * 64},
        {"view_duration": 0},
        {"view_duration": 86_400},
        {"user_id": "x" * 128},
        {"device_type": None, "referrer": None},
        {"device_type": 'with "quotes" and \\ and é'},
        {"ad_views": []},
        {"ad_views": [{"ad_id": "a"}, {"ad_id": "b", "ad_type": "pre_roll", "watched_seconds": 3}]},
        {"schema_version": 7, "field_of_the_future": {"a": [1]}},
        {"timestamp": "2026-11-21T11:00:00.123456+01:00"},
        {"event_id": GOOD["event_id"].upper()},
    ],
)
def test_an_event_that_keeps_the_contract_is_decoded(changes: dict[str, object]) -> None:
    decoded = decode_view_event(encode(**changes))
    assert isinstance(decoded, ViewEvent), decoded
    assert decoded.event_id == uuid.UUID(GOOD["event_id"])


@pytest.mark.parametrize("name", list(GOOD))
def test_a_missing_required_field_is_named(name: str) -> None:
    assert codes(without(name)) == {f"{name}_missing"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "not-a-uuid"),
        ("event_id", 7),
        ("video_id", "#NAME?"),
        ("video_id", ""),
        ("video_id", "a" * 65),
        ("video_id", "a\n"),
        ("video_id", "é"),
        ("user_id", ""),
        ("user_id", "x" * 129),
        ("session_id", None),
        ("timestamp", "2026-11-21T10:00:00"),
        ("timestamp", "21.11.2026"),
        ("timestamp", 1_700_000_000),
        ("view_duration", -1),
        ("view_duration", 86_401),
        ("view_duration", 30.0),
        ("view_duration", "30"),
        ("view_duration", True),
        ("revenue_eligible", "true"),
        ("revenue_eligible", 1),
        ("ad_views", [{"ad_type": "pre_roll"}]),
        ("schema_version", 0),
        ("schema_version", 1_000_001),
        ("schema_version", 10**4_200),
    ],
)
def test_a_wrong_value_is_named(field: str, value: object) -> None:
    assert codes(encode(**{field: value})) == {f"{field}_invalid"}


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00+00:01",
     "9999-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00"],
)  # fmt: skip
def test_an_instant_without_a_form_in_utc_or_out_of_bounds_is_rejected_and_says_the_bounds(text: str) -> None:
    decoded = decode_view_event(encode(timestamp=text))
    assert isinstance(decoded, RejectedEvent)
    (reason,) = decoded.reasons
    assert reason.code == "timestamp_invalid"
    assert "in the years from 1970 to 9998 (UTC)" in reason.detail


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-10-31T23:59:59.9999999Z", datetime(2026, 10, 31, 23, 59, 59, 999999, UTC)),
        ("2026-11-01T00:59:59.9999995+01:00", datetime(2026, 10, 31, 23, 59, 59, 999999, UTC)),
        ("2026-10-31T23:59:59." + "9" * 90 + "z", datetime(2026, 10, 31, 23, 59, 59, 999999, UTC)),
        ("2026-10-31T23:59:59.0000009Z", datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9998-12-31T23:59:59.999999Z", datetime(9998, 12, 31, 23, 59, 59, 999999, UTC)),
    ],
)
def test_an_instant_is_brought_into_utc_and_cut_to_the_microsecond(text: str, instant: datetime) -> None:
    raw = encode(timestamp=text)
    for each in (raw, raw.replace(b".9", b"\\u002e9"), raw.replace(b"23:59", b"2\\u0033:59")):
        decoded = decode_view_event(each)
        assert isinstance(decoded, ViewEvent)
        assert decoded.timestamp == instant
        assert decoded.timestamp.tzinfo is UTC


def test_json_that_nests_too_deep_is_rejected_at_a_depth_of_its_own() -> None:
    def with_depth(depth: int) -> bytes:
        return encode(unknown=0).replace(b'"unknown": 0', b'"unknown": ' + b"[" * depth + b"]" * depth)

    assert isinstance(decode_view_event(with_depth(NESTING_MAX)), ViewEvent)
    assert codes(with_depth(NESTING_MAX + 1)) == {"json_malformed"}


def test_every_reason_is_listed_at_once() -> None:
    assert codes(encode(video_id="#NAME?", view_duration=-1, timestamp="yesterday")) == {
        "video_id_invalid",
        "view_duration_invalid",
        "timestamp_invalid",
    }


def test_a_reason_shows_the_value_but_never_a_persons() -> None:
    shown = decode_view_event(encode(video_id="#NAME?"))
    hidden = decode_view_event(encode(user_id=["secret@example.com"]))
    assert isinstance(shown, RejectedEvent)
    assert isinstance(hidden, RejectedEvent)
    assert "#NAME?" in shown.reasons[0].detail
    assert "secret" not in hidden.reasons[0].detail


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "json_malformed"),
        (b"{", "json_malformed"),
        (b"\xff\xfe", "json_malformed"),
        (b"null", "json_not_an_object"),
        (b"[]", "json_not_an_object"),
        (b"\xef\xbb\xbf{}", "json_malformed"),
        (encode().replace(b"45", b"NaN"), "json_malformed"),
        (encode().replace(b"45", b"Infinity"), "json_malformed"),
        (encode().replace(b"viewer-1", b"viewer\xff"), "json_malformed"),
        (encode() + b"x", "json_malformed"),
        (b"[" * 100_000, "body_too_large"),
        (b"[" * 60_000, "json_malformed"),
        (encode(referrer="x" * EVENT_BYTES_MAX), "body_too_large"),
        (encode()[:-1] + b', "view_duration": 45}', "duplicate_key"),
        (encode()[:-1] + b', "view\\u005fduration": 45}', "duplicate_key"),
        (encode()[:-1] + b', "unknown": {"a": 1, "a": 1}}', "duplicate_key"),
    ],
)
def test_bytes_that_are_not_an_event_are_rejected_with_one_reason(raw: bytes, code: str) -> None:
    assert codes(raw) == {code}


def test_a_missing_optional_field_does_not_hide_a_duplicate_key() -> None:
    raw = b'{"video_id":"abc",' + encode(quality="hd")[1:].replace(b'"quality": "hd"', b'"device_type": "tv"')
    assert codes(raw) == {"duplicate_key"}


def digest(raw: bytes) -> str:
    decoded = decode_view_event(raw)
    assert isinstance(decoded, ViewEvent)
    return payload_digest(decoded)


def test_the_payload_digest_ignores_what_the_collector_added_and_how_an_instant_is_written() -> None:
    same = [
        encode(),
        encode(received_at="2026-11-21T10:00:01Z", client_network="10.0.0.0/24", user_agent="x"),
        encode(timestamp="2026-11-21T11:00:00+01:00"),
        encode(device_type=None),
        encode(schema_version=1),
    ]
    assert len({digest(raw) for raw in same}) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("view_duration", 46), ("video_id", "other"), ("quality", "hd"), ("ad_views", [{"ad_id": "a"}])],
)
def test_the_payload_digest_tells_other_values_apart(field: str, value: object) -> None:
    assert digest(encode(**{field: value})) != digest(encode())


def test_a_wrong_video_id_is_refused_in_words_and_not_by_a_regular_expression() -> None:
    found = decode_view_event(b'{"video_id": "no id!"}')
    assert isinstance(found, RejectedEvent)
    answer = {reason.code: reason.detail for reason in found.reasons}
    assert answer["video_id_invalid"] == 'video_id: Expected `str` of letters, digits, - and _ alone, got "no id!"'
