"""What a client may cost a server, tried with real sockets against the server wrapper that every process uses."""

import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from jobs.errors import CommandError
from jobs.http.connections import OTHER_FILES, PIPELINED_MAX, SINGLE, ConnectionLimits, within_open_files
from jobs.http.server import listening_socket, served_beside

LIMITS = ConnectionLimits(
    url_bytes_max=1_000, header_bytes_max=4_000, header_seconds_max=0.5, body_seconds_max=1.0, stall_seconds_max=0.5
)
GOOD = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def _plain(request: Request) -> Response:
    try:
        return Response(f"{len(await request.body())}")
    except ClientDisconnect:
        return Response("gone")


async def _large(_: Request) -> Response:
    return StreamingResponse(iter([b"x" * 65_536] * 1_000))


async def _headers(request: Request) -> Response:
    return Response(" ".join(request.headers))


APP = Starlette(
    routes=[
        Route("/", _plain, methods=["GET", "POST"]),
        Route("/large", _large),
        Route("/headers", _headers, methods=["GET", "POST"]),
    ]
)


@contextmanager
def serving(limits: ConnectionLimits = LIMITS) -> Iterator[Callable[[], socket.socket]]:
    """A server, and what opens a connection to it."""
    listener = listening_socket("127.0.0.1", 0, "PORT")
    listener.listen()
    address = listener.getsockname()
    with served_beside(APP, listener, limits), ExitStack() as opened:

        def connect() -> socket.socket:
            return opened.enter_context(socket.create_connection(address, timeout=10))

        yield connect


@pytest.fixture
def connect() -> Iterator[Callable[[], socket.socket]]:
    with serving() as opened:
        yield opened


def answer_of(connection: socket.socket) -> bytes:
    """Everything until the server closes; a reset ends it, too."""
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


def send(connection: socket.socket, data: bytes) -> None:
    """Send as much as the server takes."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)


def refusal(answer: bytes) -> tuple[int, str]:
    """Status and code of a problem document that ends the connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer[:200]
    assert b"connection: close" in head
    document = json.loads(body)
    assert int(head.split()[1]) == document["status"]
    return document["status"], document["code"]


def closed_within(connection: socket.socket, seconds: float) -> bool:
    began = time.monotonic()
    answer_of(connection)
    return time.monotonic() - began < seconds


def test_a_request_within_the_limits_is_answered_and_the_connection_stays(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    for _ in range(3):
        connection.sendall(GOOD)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        time.sleep(LIMITS.header_seconds_max * 1.2)  # between requests the time of headers does not run


@pytest.mark.parametrize("piece", [1, 7, 500, 100_000])
@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET /" + b"a" * 1_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", (414, "url_too_long")),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 4_000 + b"\r\n\r\n", (431, "headers_too_large")),
        (b"GET / HTTP/1.1\r\n" + b"a" * 8_000, (431, "headers_too_large")),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", (431, "headers_too_large")),
        (b"GET / HTTP/1.1\r\n" + b"x: " + b"a" * 8_000, (431, "headers_too_large")),
        (b"GET /" + b"a" * 8_000, (431, "headers_too_large")),
        (b"nonsense\r\n\r\n", (400, "request_malformed")),
        (b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", (400, "request_malformed")),
        (b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", (400, "request_malformed")),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", (400, "request_malformed")),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", (400, "request_malformed")),
        (b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n", (400, "request_malformed")),
        (b"CONNECT /x HTTP/1.1\r\nhost: x\r\n\r\n", (400, "request_malformed")),
        *(
            (b"GET / HTTP/1.1\r\n%s: a\r\nx: y\r\n%s: a\r\n\r\n" % (name, name.title()), (400, "request_malformed"))
            for name in sorted(SINGLE)
        ),
    ],
)
def test_a_request_beyond_a_limit_is_refused_in_a_problem_however_it_is_cut(
    connect: Callable[[], socket.socket], request_bytes: bytes, expected: tuple[int, str], piece: int
) -> None:
    connection = connect()
    for start in range(0, len(request_bytes), piece):
        send(connection, request_bytes[start : start + piece])
    assert refusal(answer_of(connection)) == expected


def test_headers_without_an_end_are_refused_while_they_come(connect: Callable[[], socket.socket]) -> None:
    connection, began = connect(), time.monotonic()
    connection.sendall(b"GET / HTTP/1.1\r\n")
    connection.setblocking(False)
    answer, filler = b"", b"x-filler: " + b"a" * 60_000 + b"\r\n"
    while time.monotonic() - began < 5:
        try:
            connection.send(filler)
            answer += connection.recv(65_536)
        except BlockingIOError:
            continue
        except OSError:
            break
    assert refusal(answer) == (431, "headers_too_large")
    assert time.monotonic() - began < 5


def test_many_half_open_connections_end_in_time(connect: Callable[[], socket.socket]) -> None:
    silent, slow = [connect() for _ in range(30)], [connect() for _ in range(30)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nhost:")
    began = time.monotonic()
    assert all(answer_of(each) == b"" for each in silent)
    assert {refusal(answer_of(each)) for each in slow} == {(408, "headers_too_slow")}
    assert time.monotonic() - began < 5


def test_a_byte_now_and_then_does_not_buy_more_time_for_headers(connect: Callable[[], socket.socket]) -> None:
    connection, began = connect(), time.monotonic()
    connection.sendall(b"GET / HTTP/1.1\r\nx: ")
    connection.settimeout(0.1)
    answer = b""
    while not answer and time.monotonic() - began < 5:
        send(connection, b"a")
        try:
            answer = connection.recv(65_536)
        except TimeoutError:
            continue
    assert refusal(answer) == (408, "headers_too_slow")


def test_a_body_that_never_ends_is_cut_off(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\na")
    assert closed_within(connection, 5)


@pytest.mark.parametrize(
    "filler", [b"1;" + b"x" * 200_000, b"0\r\nx: " + b"y" * 200_000, b"0\r\n" + b"x: y\r\n" * 50_000]
)
def test_what_frames_a_body_is_bounded(connect: Callable[[], socket.socket], filler: bytes) -> None:
    connection = connect()
    send(connection, b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for start in range(0, len(filler), 10_000):
        send(connection, filler[start : start + 10_000])
    assert closed_within(connection, 1)


@pytest.mark.parametrize("piece", [1, 7, 100_000])
@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"x"])
def test_a_body_is_never_a_request_whatever_protocol_its_headers_ask_for(
    connect: Callable[[], socket.socket], upgrade: bytes, piece: int
) -> None:
    connection, body = connect(), b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nhost: x\r\nupgrade: %s\r\nconnection: upgrade\r\n" % upgrade
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    last = b"GET /headers HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    sent = b"%scontent-length: %d\r\n\r\n%s%stransfer-encoding: chunked\r\n\r\n%s%s" % (
        *(head, len(body), body),
        *(head, framed, last),
    )
    for start in range(0, len(sent), piece):
        send(connection, sent[start : start + piece])
    answer = answer_of(connection)
    assert answer.count(b"HTTP/1.1 200") == answer.count(b"HTTP/1.1") == 3, answer
    assert answer.count(b"\r\n\r\n%d" % len(body)) == 2


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.0", b"GET / HTTP/1.1"])
def test_a_last_request_that_asks_for_another_protocol_is_answered_and_its_connection_closed(
    connect: Callable[[], socket.socket], request_line: bytes
) -> None:
    connection = connect()
    connection.sendall(request_line + b"\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n\r\n" + GOOD)
    assert answer_of(connection).count(b"HTTP/1.1 200") == 1


def test_a_line_after_a_body_is_not_a_header(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(
        b"POST /headers HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: Bearer b\r\nExpect: 100-continue\r\n\r\n"
    )
    assert answer_of(connection).endswith(b"\r\n\r\nhost connection transfer-encoding")


def test_pipelined_requests_are_bounded(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    send(connection, GOOD * (PIPELINED_MAX // 2))
    connection.settimeout(0.5)
    few = b""
    try:
        while part := connection.recv(65_536):
            few += part
    except TimeoutError:
        pass
    assert few.count(b"HTTP/1.1 200") == PIPELINED_MAX // 2
    many = connect()
    send(many, GOOD * 10_000)
    assert answer_of(many).count(b"HTTP/1.1 200") <= PIPELINED_MAX + 1


def test_a_client_that_does_not_read_is_cut_off(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
    time.sleep(LIMITS.stall_seconds_max * 3)
    received = answer_of(connection)
    assert len(received) < 65_536 * 1_000


def test_connections_are_bounded_for_an_address_and_as_a_whole_and_free_again() -> None:
    for limits, status in (
        (ConnectionLimits(address_connections_max=3), 429),
        (ConnectionLimits(connections_max=3), 503),
    ):
        with serving(limits) as connect:
            opened = [connect() for _ in range(3)]
            for each in opened:
                each.sendall(GOOD)
                assert each.recv(65_536).startswith(b"HTTP/1.1 200")
            assert refusal(answer_of(connect())) == (status, "connections_exhausted")
            opened[0].close()
            time.sleep(1.0)  # the refused one lingers for half a second
            again = connect()
            again.sendall(GOOD)
            assert again.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_trusted_proxy_has_no_limit_of_its_own() -> None:
    with serving(ConnectionLimits(address_connections_max=1, proxies=frozenset({"127.0.0.1"}))) as connect:
        for _ in range(5):
            connection = connect()
            connection.sendall(GOOD)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VIEWLEDGER_HTTP_CONNECTIONS", "0"),
        ("VIEWLEDGER_HTTP_CONNECTIONS_PER_ADDRESS", "x"),
        ("VIEWLEDGER_HTTP_URL_BYTES", "1"),
        ("VIEWLEDGER_HTTP_HEADER_BYTES", "9999999999"),
        ("VIEWLEDGER_HTTP_HEADER_SECONDS", "0"),
        ("VIEWLEDGER_HTTP_BODY_SECONDS", "-1"),
        ("VIEWLEDGER_HTTP_STALL_SECONDS", "1e3"),
        ("VIEWLEDGER_TRUSTED_PROXIES", "here"),
    ],
)
def test_a_wrong_limit_is_named(name: str, value: str) -> None:
    with pytest.raises(CommandError, match=name):
        ConnectionLimits.from_environ({name: value})


def test_connections_fit_into_the_files_that_the_process_may_open() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    within = within_open_files(ConnectionLimits(connections_max=10))
    assert within.connections_max == 10
    most = within_open_files(ConnectionLimits(connections_max=10**9)).connections_max
    assert most == (10**9 if hard == resource.RLIM_INFINITY else hard - OTHER_FILES)
