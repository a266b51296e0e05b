"""Shared connections: where one request ends and the next begins, and which sender each belongs to."""

import time
from collections.abc import Iterator
from contextlib import closing

from attacks.attempts import Attack
from attacks.request_attacks import connection
from attacks.site import Site
from serving_layer.access.access import Role

SILENCE_SECONDS = 0.3
"""A server that has been silent for this time has sent its whole answer."""


def smuggled_requests(site: Site) -> Iterator[str | None]:
    """One request in which a proxy and we could see two, or another sender; it would act in another's name."""
    inner = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
    for fields, body in (
        (b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: %d" % len(inner), inner),
        (b"Upgrade: websocket\r\nConnection: upgrade\r\nTransfer-Encoding: chunked", chunks),
        (b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(inner), b"0\r\n\r\n" + inner),
        (b"Content-Length: 0\r\nContent-Length: %d" % len(inner), inner),
        (b"Transfer-Encoding : chunked\r\nContent-Length: 5", b"0\r\n\r\n" + inner),
        (b"Transfer-Encoding: identity, chunked\r\nContent-Length: 5", b"0\r\n\r\n" + inner),
        (b"Transfer-Encoding: xchunked", b"0\r\n\r\n" + inner),
        (b"X-A: b\r\n Content-Length: %d" % len(inner), inner),
        (b"X-A: b\nContent-Length: %d" % len(inner), inner),
        (b"Content-Length: +%d" % len(inner), inner),
    ):
        for port in (site.scene.collector.port, site.scene.api.port):
            answer = _answer_to(port, b"POST /nowhere HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n", body)
            yield f"{fields[:60]!r}: its body was served as a request" if b" 200 OK" in answer else None


def words_after_a_body(site: Site) -> Iterator[str | None]:
    """A credential and an address in the trailer of a body, or a second time; no proxy has checked either of them."""
    token = site.token(Role.FINANCE).encode()
    credential = b"Authorization: Bearer " + token
    for fields, trailer in ((b"Accept: */*", credential), (b"Authorization: Bearer x\r\n" + credential, b"X-A: b")):
        head = b"GET /v1/channels/ann/statements HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        answer = _answer_to(
            site.scene.api.port, head + fields + b"\r\n\r\n", b"1\r\na\r\n0\r\n" + trailer + b"\r\n\r\n"
        )
        yield None if answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401")) else f"it is believed: {answer[:15]!r}"


def heads_of_streams(site: Site) -> Iterator[str | None]:
    """HEAD of a live stream; a proxy hands the connection on at once, and the next request on it must be served."""
    head = b"HEAD /v1/videos/v/views/live HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = _answer_to(site.scene.api.port, head, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    yield None if answer.endswith(b"ok\n") else "the next request on the connection is not answered"


def _answer_to(port: int, head: bytes, body: bytes) -> bytes:
    """Return a server's answer to a request whose body comes after its headers, until it closes or falls silent."""
    found = b""
    with closing(connection(port)) as sender:
        sender.settimeout(SILENCE_SECONDS)
        try:
            sender.sendall(head)
            time.sleep(SILENCE_SECONDS / 3)
            sender.sendall(body)
            while part := sender.recv(1 << 16):
                found += part
        except OSError:
            pass
    return found


FAMILY: dict[str, Attack] = {
    "framing-smuggled": smuggled_requests,
    "framing-trailers": words_after_a_body,
    "framing-head-of-stream": heads_of_streams,
}
