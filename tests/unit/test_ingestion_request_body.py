import gzip
import tracemalloc
from typing import Any

import pytest

from ingestion.contract.event import RejectedEvent
from ingestion.contract.problem import Problem
from ingestion.request_body import BODY_BYTES_MAX, EVENTS_MAX, check_media_type, events_of, split_body


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b' \r\n{"a":\n 1}\n', [b'{"a":\n 1}']),  # one event over several lines
        (b"\xef\xbb\xbf{}", [b"{}"]),
        (b'[{"a":1}, {"b":2}]', [b'{"a":1}', b'{"b":2}']),
        (b'[{"a":1,"a":2},3]', [b'{"a":1,"a":2}', b"3"]),  # as sent: decoding still sees the key twice
        (b'[{"a":1.50}]', [b'{"a":1.50}']),
        (b'[{"a":"\xff"}]', [b'{"a":"\xff"}']),
        (b'{"a":1}\n\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\nnonsense\n{"b":2}', [b'{"a":1}', b"nonsense", b'{"b":2}']),
        (b"[1]\n[2]", [b"[1]", b"[2]"]),
        (b'{"a":NaN}', [b'{"a":NaN}']),
        (b"hello", [b"hello"]),
    ],
)
def test_a_body_is_taken_apart_without_changing_a_byte_of_an_event(body: bytes, events: list[bytes]) -> None:
    assert split_body(body) == events


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body_empty"),
        (b" \n", 400, "body_empty"),
        (b"\xef\xbb\xbf", 400, "body_empty"),
        (b"[]", 400, "body_empty"),
        (b'[{"a":1}', 400, "body_malformed"),
        (b'[{"a":1},]', 400, "body_malformed"),
        (b'[{"a":NaN}]', 400, "body_malformed"),
        (b"[" * 100_000, 400, "body_malformed"),
        (b"[" + b",".join([b"{}"] * (EVENTS_MAX + 1)) + b"]", 413, "too_many_events"),
        (b"{}\n" * (EVENTS_MAX + 1), 413, "too_many_events"),
    ],
)
def test_a_body_that_holds_no_events_is_a_problem(body: bytes, status: int, code: str) -> None:
    problem = split_body(body)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code) == (status, code)


def test_as_many_events_as_allowed_are_allowed() -> None:
    assert len(split_body(b"{}\n" * EVENTS_MAX)) == EVENTS_MAX  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content_type", "encoding", "code"),
    [
        (None, None, None),
        ("application/json", None, None),
        ("Application/JSON; charset=UTF-8", None, None),
        ("application/x-ndjson", "identity", None),
        ("text/plain;charset=UTF-8", None, None),
        ("application/json", "GZIP", None),
        ("application/cloudevents+json; charset=utf-8", None, None),
        ("application/cloudevents-batch+json", "gzip", None),
        ("text/plain;charset=iso-8859-1", None, "charset_unsupported"),
        ("application/x-www-form-urlencoded", None, "media_type_unsupported"),
        ("application/cloudevents+avro", None, "media_type_unsupported"),
        ("multipart/form-data; boundary=x", None, "media_type_unsupported"),
        ("application/json2", None, "media_type_unsupported"),
        ("", None, "media_type_unsupported"),
        ("application/json; charset=latin-1", None, "charset_unsupported"),
        ("application/json", "br", "encoding_unsupported"),
        ("application/json", "gzip, gzip", "encoding_unsupported"),
        ("application/json", "deflate", "encoding_unsupported"),
    ],
)
def test_only_json_in_utf_8_is_accepted_plain_or_in_gzip(
    content_type: str | None, encoding: str | None, code: str | None
) -> None:
    problem = check_media_type(content_type, encoding)
    assert (problem.code if problem else None) == code
    assert problem is None or problem.status == 415


def zipped_events(body: bytes) -> Any:
    return events_of(body, {"content-encoding": "gzip"}.get)


def test_a_gzip_body_is_read_like_a_plain_one() -> None:
    assert zipped_events(gzip.compress(b'{"a":1}\n{"b":2}')) == [b'{"a":1}', b'{"b":2}']
    assert zipped_events(gzip.compress(b"[1," + b" " * (BODY_BYTES_MAX - 5) + b"2]")) == [b"1", b"2"]


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"", 400, "body_malformed", "ends too early"),
        (b'{"a":1}', 400, "body_malformed", "is not gzip"),
        (gzip.compress(b"{}", mtime=0)[:-1], 400, "body_malformed", "ends too early"),
        (gzip.compress(b"{}", mtime=0)[:-5] + b"\0\0\0\0\0", 400, "body_malformed", "is not gzip"),
        (gzip.compress(b"{}", mtime=0) + b"x", 400, "body_malformed", "one gzip member"),
        (gzip.compress(b"{}", mtime=0) * 2, 400, "body_malformed", "one gzip member"),
        (gzip.compress(b"", mtime=0), 400, "body_empty", "empty"),
        (
            gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0),
            0,
            "",
            "",
        ),  # opened once: what it holds is judged as an event
        (gzip.compress(b" " * (BODY_BYTES_MAX + 1), mtime=0), 413, "body_too_large", "several requests"),
    ],
)
def test_a_wrong_gzip_body_is_a_problem_with_one_sentence(body: bytes, status: int, code: str, words: str) -> None:
    found = zipped_events(body)
    assert (found.status, found.code) == (status, code) if status else len(found) >= 1
    assert words in (found.detail if status else "")


def test_a_bomb_is_refused_in_bounded_memory() -> None:
    bomb = gzip.compress(b" " * (1000 * BODY_BYTES_MAX))
    assert len(bomb) < BODY_BYTES_MAX
    tracemalloc.start()
    try:
        problem = zipped_events(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * BODY_BYTES_MAX
    finally:
        tracemalloc.stop()
    assert (problem.status, problem.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "media_type", "words"),
    [
        (b"[{}]", "application/cloudevents+json", "send several as application/cloudevents-batch+json"),
        (b"{}\n{}", "application/cloudevents+json", "send several as application/cloudevents-batch+json"),
        (b"{}", "application/cloudevents-batch+json", "send one event as application/cloudevents+json"),
        (b"[{}", "application/cloudevents-batch+json", "not JSON"),
        (b"", "application/cloudevents+json", "empty"),
    ],
)
def test_a_body_of_cloud_events_has_the_form_of_its_media_type(body: bytes, media_type: str, words: str) -> None:
    problem = events_of(body, {"content-type": f"{media_type}; charset=utf-8"}.get)
    assert isinstance(problem, Problem)
    assert problem.status == 400
    assert words in problem.detail


def test_a_refused_envelope_stands_among_the_other_events() -> None:
    good = b'{"specversion":"1.0","id":"i","source":"/p","type":"viewledger.view","data":{"a":1}}'
    found = events_of(b"[" + good + b',{"id":7}]', {"content-type": "application/cloudevents-batch+json"}.get)
    assert isinstance(found, list)
    assert found[0] == b'{"event_id":"i","a":1}'
    assert isinstance(found[1], RejectedEvent)
