"""What strangers send is worked on in time that grows as the input does, not with its square.

Time is that of this thread's processor, so that what else the machine does is not measured; the smallest of some tries.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser

from billing.terms.file_catalogue import read_catalogue
from billing.terms.file_csv import SentFile
from ingestion.client_network import client_address
from ingestion.contract.event import EVENT_BYTES_MAX
from ingestion.contract.requests import FileRefusedError
from ingestion.intake import Origin, admit, arrival
from ingestion.request_body import BODY_BYTES_MAX, check_media_type, events_of, split_body
from serving_layer.access.sign_in import opened, safe_return_path
from serving_layer.money.appeals import objection_of
from serving_layer.problems.problems import ProblemError
from serving_layer.request.accept import preferred
from serving_layer.request.cursors import Cursors
from serving_layer.request.parameters import canonical, refuse_unknown
from serving_layer.request.request_ids import request_id_from
from serving_layer.request.video_ids import looked_up
from serving_layer.routes.http_answers import matches
from tests.ingestion_fakes import KEY, NOW, event_json

GROWTH_MAX = 30
"""For eight times the input: 8 is linear, 64 quadratic."""
NEGLIGIBLE_SECONDS = 0.004
HEADER, URL, IMPORT = 32 * 1024, 8 * 1024, 1024 * 1024
CAME = arrival(NOW, Origin("192.0.2.0/24", "x"), broker_time=NOW)
CLOUD_EVENT = b'{"specversion":"1.0","id":"i","source":"/p","type":"viewledger.view","data":'
GOOD = event_json()[:-1].decode()


def collected(text: str) -> None:
    """What the collector does with a body."""
    events = split_body(text.encode(errors="surrogateescape"))
    if isinstance(events, list):
        for each in events:
            admit(each, CAME, KEY)


def collected_as_cloud_events(text: str) -> None:
    """What it does with the same text as CloudEvents."""
    sent = text.encode(errors="surrogateescape")
    for body in (sent, CLOUD_EVENT + sent + b"}"):
        events = events_of(body, {"content-type": "application/cloudevents+json"}.get)
        if isinstance(events, list):
            for each in events:
                if isinstance(each, bytes):
                    admit(each, CAME, KEY)


def many(form: str, size: int) -> str:
    """A form repeated with its number in it, up to a size."""
    return "".join(form.format(number) for number in range(size // (len(form) + 4)))


EVENTS: dict[str, Callable[[int], str]] = {
    "distinct keys and the last twice": lambda n: f'{GOOD},{many(chr(34) + "{}" + chr(34) + ":0,", n)}"z":0,"z":1}}',
    "one key again and again": lambda n: GOOD + ',"a":0' * (n // 6) + "}",
    "keys twice in many objects": lambda n: GOOD + ',"x":[' + '{"a":1,"a":1},' * (n // 14) + "0]}",
    "unknown keys": lambda n: "{" + many('"{}":0,', n) + '"z":0}',
    "nested lists": lambda n: GOOD + ',"x":' + "[" * (n // 2) + "]" * (n // 2) + "}",
    "nested objects": lambda n: GOOD + ',"x":' + '{"a":' * (n // 6) + "0" + "}" * (n // 6) + "}",
    "advertisements": lambda n: GOOD + ',"ad_views":[' + '{"ad_id":"a"},' * (n // 14) + '{"ad_id":1}]}',
    "a long number": lambda n: GOOD + ',"x":' + "9" * n + "}",
    "long numbers": lambda n: GOOD + ',"quality":[' + ("9" * 4_000 + ",") * (n // 4_001) + "0]}",
    "a long fraction": lambda n: GOOD + ',"view_duration":0.' + "9" * n + "}",
    "a long exponent": lambda n: GOOD + ',"view_duration":1e' + "9" * n + "}",
    "escapes": lambda n: GOOD + ',"quality":"' + "\\u0041" * (n // 6) + '"}',
    "quotation marks": lambda n: GOOD + ',"quality":"' + '\\"' * (n // 2) + '"}',
    "blanks": lambda n: GOOD + " " * n + "}",
    "no UTF-8": lambda n: GOOD + ',"quality":"' + "\udcff" * n + '"}',
}
BODIES: dict[str, Callable[[int], str]] = {
    "events of repeated keys": lambda n: (GOOD + ',"a":0' * 10_000 + "}\n") * (n // 60_000),
    "distinct keys": lambda n: ("{" + many('"{}":0,', 60_000) + '"z":0,"z":0}\n') * (n // 60_000),
    "lines": lambda n: "{}\n" * (n // 3),
    "empty lines": lambda n: "\n" * n + "{",
    "a broken list of lines": lambda n: "[" + "{},\n" * (n // 4),
    "brackets": lambda n: "[" * n,
    "brackets in lines": lambda n: "[\n" * (n // 2),
    "byte order marks": lambda n: "\ufeff" * (n // 3),
}


def parameters(text: str) -> None:
    pairs = Request({"type": "http", "query_string": text.encode(), "headers": []}).query_params.multi_items()
    with suppress(ProblemError):
        refuse_unknown(pairs, {"limit", "cursor", "group_by"})
    canonical(pairs)


def imported(text: str) -> None:
    with suppress(FileRefusedError):
        read_catalogue(SentFile("payees", text.encode()), SentFile("videos", text.encode()), None, str)


def of_header(call: Callable[[str], Any]) -> tuple[Callable[[str], Any], int]:
    return call, HEADER


TEXTS: dict[str, tuple[Callable[[str], Any], int]] = {
    "Accept": of_header(lambda text: preferred(text, ("application/json", "text/csv"))),
    "If-None-Match": of_header(lambda text: matches(text, '"x"')),
    "Cookie": of_header(cookie_parser),
    "Content-Type": of_header(lambda text: check_media_type(text, None)),
    "X-Request-Id": of_header(request_id_from),
    "X-Forwarded-For": of_header(lambda text: client_address("192.0.2.1", [text], frozenset({"192.0.2.1"}))),
    "Content-Disposition": of_header(lambda text: Headers({"content-disposition": text}).get("x")),
    "an attempt to sign in": of_header(lambda text: opened(text, b"k", NOW)),
    "query": (parameters, URL),
    "cursor": (lambda text: Cursors(b"k").read("q", text), URL),
    "return path": (safe_return_path, URL),
    "look-up": (lambda text: looked_up(f'{{"video_ids":["{text}"]}}'.encode()), 256 * 1024),
    "objection": (lambda text: objection_of(f'{{"objection":"{text}"}}'.encode()), 16 * 1024),
    "catalogue": (imported, IMPORT),
}
PIECES = ("a", ",", ";", "=", "a=b; ", "a,", "*/*;q=1,", "&", "a=b&", "limit=1&", "/", "%", "%41", " ", "\\\\", "name,",
          "-", "W/,", "192.0.2.1,", "payee_id,", "\n", ",\n", "a,b\n", "\u00e9", '","', "[", "{")  # fmt: skip


def seconds(call: Callable[[str], Any], text: str) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.thread_time()
        with suppress(ProblemError):
            call(text)
        best = min(best, time.thread_time() - started)
    return best


def assert_grows_with(call: Callable[[str], Any], made: Callable[[int], str], size_max: int) -> None:
    small, large = seconds(call, made(size_max // 8)), seconds(call, made(size_max))
    assert large <= max(NEGLIGIBLE_SECONDS, GROWTH_MAX * small), (small, large)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_costs_as_much_as_it_is_long(name: str) -> None:
    assert_grows_with(collected, EVENTS[name], EVENT_BYTES_MAX - 2_000)
    assert_grows_with(collected_as_cloud_events, EVENTS[name], EVENT_BYTES_MAX - 2_000)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_costs_as_much_as_it_is_long(name: str) -> None:
    assert_grows_with(collected, BODIES[name], BODY_BYTES_MAX)
    assert_grows_with(collected_as_cloud_events, BODIES[name], BODY_BYTES_MAX)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_costs_as_much_as_it_is_long(name: str) -> None:
    call, size = TEXTS[name]
    for piece in PIECES:
        assert_grows_with(call, lambda n, piece=piece: piece * (n // len(piece)), size)  # type: ignore[misc]


def test_the_most_expensive_body_is_done_in_a_moment() -> None:
    for made in BODIES.values():
        assert seconds(collected, made(BODY_BYTES_MAX)) < 1.0
        assert seconds(collected_as_cloud_events, made(BODY_BYTES_MAX)) < 1.0
