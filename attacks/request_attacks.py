"""Requests that cost more than they should, or use values that were never issued."""

import base64
import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

import httpx

from attacks.attempts import Attack, NotTriedError
from attacks.site import Site
from ingestion.request_body import BODY_BYTES_MAX
from serving_layer.access.access import Role

SECONDS_MAX = 3.0
"""No request may delay others for longer than this, on a machine that has other work as well."""
LISTENING_SECONDS = 2.0
HALF_OPEN, HALF_OPEN_SECONDS_MAX = 60, 60.0
HEADER_BYTES = 4 << 20
CONNECTIONS = 400
STREAMS = 250
PAGES = 3_100
"""More than a network is allowed, at the cost of a page."""
VIDEO = "/v1/videos/v/views"
NUMBERS = ("9" * 5_000, "-1", "1e400", "٣", "0x10", "1_000", "NaN", "", " 1", "9" * 19)


def repeated_keys(site: Site) -> Iterator[str | None]:
    """Bodies of a megabyte that repeat keys; a report that is quadratic in one would block the collector."""
    names = [f'"k{number:x}":1' for number in range(6_000)]
    for again in ('"k0":2', '"k176f":2'):
        line = ("{" + ",".join([*names, again]) + "}").encode()
        yield _costs(site, b"\n".join([line] * (BODY_BYTES_MAX // (len(line) + 1))))
    yield _costs(site, b"{" + b'"a":1,' * 10_000 + b'"b":1}')
    yield _costs(site, b"[" + b",".join([b'{"a":1,"a":1}'] * 500) + b"]")


def nested_bodies(site: Site) -> Iterator[str | None]:
    """Bodies of brackets, backslashes and digits; work that grows faster than they do would block the collector."""
    for body in (
        b"[" * 500_000,
        b"{" * 500_000,
        b'{"a":' * 150_000,
        b'"' + b"\\" * 900_000,
        b"1" * 1_000_000,
        b"\n" * 1_000_000,
    ):
        yield _costs(site, body)


def numbers_as_parameters(site: Site) -> Iterator[str | None]:
    """Numbers of thousands of digits and in odd forms as parameters; an unexpected error would be a way in."""
    headers = {"Authorization": f"Bearer {site.token(Role.FINANCE)}"}
    queries = [
        f"{VIDEO}?version={{}}",
        "/v1/statements/s/events?after={}",
        "/v1/top?by=views&from=2026-11-01&to=2026-11-02&limit={}",
    ]
    for query in queries:
        for number in NUMBERS:
            answer = site.api.get(query.format(number), headers=headers)
            yield (
                f"{query.format(number[:20])} answers {answer.status_code}"
                if answer.status_code in (200, 500)
                else None
            )


def forged_cursors(site: Site) -> Iterator[str | None]:
    """Cursors that were never issued: invented, cut, changed in one bit, of another query."""
    headers = {"Authorization": f"Bearer {site.token(Role.FINANCE)}"}
    query = "/v1/top?by=views&from=2026-11-01&to=2026-11-02&cursor="
    invented = base64.urlsafe_b64encode(b"\0" * 12 + b"1.0").decode()
    for cursor in (
        invented,
        "AAAA",
        "=" * 50,
        "é",
        "a" * 5_000,
        base64.urlsafe_b64encode(b"1.0").decode(),
        "../..",
    ):
        answer = site.api.get(query + cursor, headers=headers)
        yield f"the cursor {cursor[:40]!r} answers {answer.status_code}" if answer.status_code in (200, 500) else None


def large_headers(site: Site) -> Iterator[str | None]:
    """Megabytes of headers and of address on one connection; buffering them would take the process's memory."""
    for port in (site.scene.collector.port, site.scene.api.port):
        for what, text in (
            ("one header", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * HEADER_BYTES),
            ("many headers", b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-Some: value\r\n" * (HEADER_BYTES // 15)),
            ("one address", b"GET /" + b"x" * HEADER_BYTES),
        ):
            taken = _bytes_taken(port, text)
            yield None if taken < HEADER_BYTES else f"port {port} took {taken:,} bytes of {what} and still listened"


def half_open_connections(site: Site) -> Iterator[str | None]:
    """Connections that never finish their request; kept open, they would use up all connections of a process."""
    for port in (site.scene.collector.port, site.scene.api.port):
        for request in (b"", b"POST /v1/events HTTP/1.1\r\nHost: a\r\nX-A: "):
            with ExitStack() as closing_all:
                sockets = [closing_all.enter_context(connection(port)) for _ in range(HALF_OPEN)]
                for each in sockets:
                    each.sendall(request)
                started = time.monotonic()
                open_still = _open_after(sockets, HALF_OPEN_SECONDS_MAX)
                seconds = time.monotonic() - started
            yield f"{open_still} of {HALF_OPEN} half-open connections lived for {seconds:.0f} s" if open_still else None


def many_connections(site: Site) -> Iterator[str | None]:
    """Hundreds of connections from one address; others must be served all the same."""
    with ExitStack() as closing_all:
        for _ in range(CONNECTIONS):
            try:
                closing_all.enter_context(connection(site.scene.api.port))
            except OSError:
                break
        started = time.monotonic()
        with site.browser("127.0.77.1") as other:
            try:
                status = str(other.get("/healthz").status_code)
            except httpx.HTTPError as error:
                status = type(error).__name__
        seconds = time.monotonic() - started
    yield None if status == "200" and seconds < SECONDS_MAX else f"another client got {status} after {seconds:.1f} s"


def all_live_streams(site: Site) -> Iterator[str | None]:
    """One anonymous client opens live streams until there are none left; others must still get one."""
    request = b"GET /v1/videos/v/views/live HTTP/1.1\r\nHost: a\r\n\r\n"
    with ExitStack() as closing_all:
        granted = 0
        for _ in range(STREAMS):
            try:
                stream = closing_all.enter_context(connection(site.scene.api.port))
                stream.sendall(request)
                granted += stream.recv(64).startswith(b"HTTP/1.1 200")
            except OSError:
                break
        with connection(site.scene.api.port, source="127.0.77.1") as other:
            other.sendall(request)
            answer = other.recv(64)
    if not granted:
        raise NotTriedError("no live stream was granted at all")
    yield (
        None
        if answer.startswith(b"HTTP/1.1 200")
        else f"with {granted} streams of one client another got {answer[:30]!r}"
    )


def floods_of_pages(site: Site) -> Iterator[str | None]:
    """Pages of the portal, requested without end by one anonymous client that claims other addresses."""
    network, codes = site.somewhere()["X-Forwarded-For"], set()
    for number in range(PAGES):
        # The proxy wrote the last address; the client wrote those before it.
        headers = [("X-Forwarded-For", f"192.0.{number % 256}.1"), ("X-Forwarded-For", network)]
        codes.add(site.api.get("/portal/sign-in", headers=headers).status_code)
        if 429 in codes:
            break
    yield None if 429 in codes else f"{PAGES} pages in a row were served to one client and none was refused"


def slashes_and_schemes(site: Site) -> Iterator[str | None]:
    """Addresses with a slash too many; a redirect to http would send events in clear behind a proxy with TLS."""
    for client, path in (
        (site.collector, "/v1/events/"),
        (site.collector, "//v1/events"),
        (site.api, "/v1/views:lookup/"),
    ):
        answer = client.post(path, content=json.dumps(site.event()), headers={"X-Forwarded-Proto": "https"})
        yield f"{path} leads to {answer.headers.get('location')}" if answer.is_redirect else None


def inner_figures(site: Site) -> Iterator[str | None]:
    """The operators' metrics, requested at the public ports."""
    for name, client in (("collector", site.collector), ("API", site.api)):
        answer = client.get("/metrics")
        yield f"the {name} shows its metrics to everybody" if answer.status_code == 200 else None


def _costs(site: Site, body: bytes) -> str | None:
    """Send a body; return how long others waited meanwhile if it was too long."""
    started = time.monotonic()
    answer = site.collector.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
    seconds = time.monotonic() - started
    if answer.status_code >= 500:
        return f"{len(body):,} bytes are answered with {answer.status_code}"
    return f"{len(body):,} bytes took {seconds:.1f} s" if seconds > SECONDS_MAX else None


def connection(port: int, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection from a loopback address to one of our ports."""
    return socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))


def _bytes_taken(port: int, text: bytes) -> int:
    """Return how much of a text a server read before it closed or answered."""
    taken = 0
    with closing(connection(port)) as sender:
        sender.settimeout(LISTENING_SECONDS)
        try:
            for start in range(0, len(text), 1 << 16):
                sender.sendall(text[start : start + (1 << 16)])
                taken += len(text[start : start + (1 << 16)])
        except OSError:
            return taken
        try:
            return 0 if sender.recv(1 << 16) is not None else taken
        except TimeoutError:
            return taken
        except OSError:
            return 0


def _open_after(sockets: Sequence[socket.socket], seconds: float) -> int:
    """Return how many connections the server has not closed within some seconds."""
    left, deadline = list(sockets), time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        left[0].settimeout(max(0.05, deadline - time.monotonic()))
        try:
            while left[0].recv(4096):
                pass
        except TimeoutError:
            break
        except OSError:
            pass
        left.pop(0)
    return len(left)


FAMILY: dict[str, Attack] = {
    "request-repeated-keys": repeated_keys,
    "request-nested": nested_bodies,
    "request-numbers": numbers_as_parameters,
    "request-forged-cursors": forged_cursors,
    "request-large-headers": large_headers,
    "request-half-open": half_open_connections,
    "request-many-connections": many_connections,
    "request-all-live-streams": all_live_streams,
    "request-page-flood": floods_of_pages,
    "request-redirects": slashes_and_schemes,
    "request-metrics": inner_figures,
}
