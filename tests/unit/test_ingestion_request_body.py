import pytest

from ingestion.contract.problem import Problem
from ingestion.request_body import EVENTS_MAX, check_media_type, split_body


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
        ("text/plain", None, "media_type_unsupported"),
        ("application/json2", None, "media_type_unsupported"),
        ("", None, "media_type_unsupported"),
        ("application/json; charset=latin-1", None, "charset_unsupported"),
        ("application/json", "gzip", "encoding_unsupported"),
    ],
)
def test_only_plain_json_in_utf_8_is_accepted(content_type: str | None, encoding: str | None, code: str | None) -> None:
    problem = check_media_type(content_type, encoding)
    assert (problem.code if problem else None) == code
    assert problem is None or problem.status == 415
