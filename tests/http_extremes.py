"""Values that break programs, and ports that fail for what PostgreSQL does not take."""

from typing import Any

from tests.proof_fakes import EVENT, STATEMENT
from tests.serving_access import OWNER

DIGITS = "9" * 5_000
EXTREMES = (
    "", "\0", "a\0b", " ", "-1", "0", "1", "+1", "1_000", "1e3", "1e999", "NaN", "Infinity", "0x10", "٣", "²", "½",
    DIGITS, "-" + DIGITS, "9223372036854775807", "9223372036854775808", "99999999999999999999", "true", "null", "[]",
    "{}", "[" * 5_000, "a" * 9_000, "é", "😀", "\ud800", "\u202e", "a\r\nX-Evil: 1", "../../etc/passwd",
    "//evil.example", "%00", "%2e%2e%2f", "a;b=c", "'; DROP TABLE x; --", "<script>", "0001-01-01T00:00:00+01:00",
    "0001-01-01T00:00:00+23:59", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59-23:59", "2026-11-20T00:00:00",
    "2026-11-20T00:00:60Z", "2026-02-30", "2026-W01-1", "2026-11-20", "Europe/Berlin", "posixrules", "localtime",
    "UTC", "hour", "month", "country,device", "csv", "ndjson", "views", "*/*;q=x", "text/csv;q=0",
    "text/csv;q=" + DIGITS, "Bearer", "Bearer x", "Bearer é", "Bearer " + "." * 50, "Bearer a.b.c", "W/\"x\"", "*",
    "bytes=0-" + DIGITS, "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=é",
    "application/x-www-form-urlencoded; charset=x", "application/json; charset=utf-16", "a=b; a=c", EVENT, STATEMENT,
    OWNER,
)  # fmt: skip
BODIES = (
    b"", b"\0", b"null", b"[]", b"{}", b"[" * 20_000, b'{"a":' * 20_000, b'{"video_ids":[]}',
    b'{"video_ids":["\\ud800"]}', b'{"video_ids":["\xff"]}', b'{"video_ids":["' + b"a" * 70 + b'"]}',
    b'{"video_ids":' + b"[" * 5_000, b"9" * 5_000, b"1e999", b'{"objection":"\\u0000"}', b'{"objection":"\\ud800"}',
    b'{"objection":"\xff"}', b'{"objection":1e999}', b'{"objection":null}', b'{"objection":"\\u202e"}',
    b'{"objection":' + b"[" * 5_000, b"\xff\xfe", b"\xef\xbb\xbf{}", b"{}\n{}\n", b"NaN", b'{"a":1,"a":2}',
    b'{"event_id":' + b"9" * 5_000 + b"}", b'{"timestamp":"0001-01-01T00:00:00+23:59"}',
    b'"play"', b'["play"]', b'{"play":null}', b'{"play":"x","event_id":"\xff"}', b'{"play":5,"event_id":"\xff"}',
    b'{"play":"\\ud800"}', b'{"\\u0070lay":"x"}', b'{"id":"\xff","specversion":"1.0"}', b'{"data":{},"data":{}}',
)  # fmt: skip


class Storing:
    """A port that accepts what PostgreSQL accepts, and fails for the rest as psycopg2 does."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._checking(found) if callable(found) else found

    @staticmethod
    def _checking(call: Any) -> Any:
        def checked(*arguments: Any, **named: Any) -> Any:
            for each in (*arguments, *named.values()):
                if isinstance(each, str):
                    assert "\0" not in each, "A string literal cannot contain NUL (0x00) characters."
                    each.encode()
                assert not isinstance(each, int) or abs(each) < 2**63, "bigint out of range"
            return call(*arguments, **named)

        return checked
