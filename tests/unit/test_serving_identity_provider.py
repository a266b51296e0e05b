"""The identity provider's keys over HTTP, and the settings of access."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.access_settings import AccessSettings, local_issuer
from serving_layer.access import http_jwks
from serving_layer.access.http_jwks import BYTES_MAX, fetch_key_set
from serving_layer.access.jwt_key_set import FetchFailedError, signing_keys


@contextmanager
def provider(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """A server on loopback that always answers the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_key_set_is_fetched() -> None:
    with provider(200, b'{"keys": []}') as url:
        assert asyncio.run(fetch_key_set(url)) == {"keys": []}


def test_a_provider_that_sends_a_byte_now_and_then_is_one_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_jwks, "WHOLE_SECONDS_MAX", 0.3)
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not stopping.wait(0.02):
                self.wfile.write(b" ")

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(FetchFailedError, match="does not answer"):
            asyncio.run(fetch_key_set(f"http://127.0.0.1:{server.server_port}/keys"))
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (500, b"{}", {}),
        (404, b"{}", {}),
        (302, b"", {"Location": "http://127.0.0.1:9/elsewhere"}),
        (200, b"not json", {}),
        (200, b"[1]", {}),
        (200, b" " * (BYTES_MAX + 1), {}),
        (200, b'{"keys": "\xff"}', {}),
        (200, b'{"keys":' + b"[" * 100_000, {}),
    ],
)
def test_an_answer_that_is_not_a_key_set_is_one_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    with provider(status, body, **headers) as url, pytest.raises(FetchFailedError, match=r"127\.0\.0\.1"):
        asyncio.run(fetch_key_set(url))


def test_a_provider_that_is_away_or_silent_is_one_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FetchFailedError):
        asyncio.run(fetch_key_set("http://127.0.0.1:9/keys"))
    monkeypatch.setattr(http_jwks, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(FetchFailedError):
        asyncio.run(fetch_key_set(f"http://127.0.0.1:{silent.getsockname()[1]}/keys"))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": None},
        {"keys": [1, "x", {}]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]},
        {"keys": [{"kty": "RSA", "kid": "a", "use": "enc"}]},
        {"keys": [{"kty": "made-up", "kid": "a"}]},
    ],
)
def test_a_document_without_a_public_signing_key_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(FetchFailedError):
        signing_keys(document)


@pytest.mark.parametrize("foreign", [{"alg": "none"}, {"kid": ["a"]}, {"kid": {}}, {"crv": 5}, {"x": "é"}, {"y": "AA"}])
def test_a_key_that_cannot_be_used_does_not_take_the_others_with_it(foreign: dict[str, Any]) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    jwk = json.loads(ECAlgorithm.to_jwk(key))
    assert list(signing_keys({"keys": [{**jwk, "kid": "other", **foreign}, {**jwk, "kid": "good"}]})) == ["good"]


OIDC = {
    "VIEWLEDGER_OIDC_ISSUER": "https://id.example",
    "VIEWLEDGER_OIDC_AUDIENCE": "viewledger",
    "VIEWLEDGER_OIDC_JWKS_URL": "https://id.example/keys",
}


def test_without_settings_counts_are_public_and_nobody_can_sign_in() -> None:
    chosen = AccessSettings.from_environ({})
    assert (chosen.counts_are_public, chosen.oidc, chosen.local_issuer) == (True, None, None)


def test_an_identity_provider_is_read_from_its_settings() -> None:
    oidc = AccessSettings.from_environ(OIDC | {"VIEWLEDGER_OIDC_ROLE_CLAIM": "groups"}).oidc
    assert oidc is not None
    assert (oidc.algorithms, oidc.role_claim, oidc.payee_claim) == (("RS256", "ES256"), "groups", "payee")
    AccessSettings.from_environ(OIDC | {"VIEWLEDGER_OIDC_JWKS_URL": "http://127.0.0.1:8080/keys"})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({**OIDC, "VIEWLEDGER_OIDC_AUDIENCE": ""}, "VIEWLEDGER_OIDC_AUDIENCE"),
        ({**OIDC, "VIEWLEDGER_OIDC_JWKS_URL": ""}, "VIEWLEDGER_OIDC_JWKS_URL"),
        ({**OIDC, "VIEWLEDGER_OIDC_JWKS_URL": "http://id.example/keys"}, "must be https"),
        ({**OIDC, "VIEWLEDGER_OIDC_ALGORITHMS": "RS256,HS256"}, "VIEWLEDGER_OIDC_ALGORITHMS"),
        ({**OIDC, "VIEWLEDGER_OIDC_ALGORITHMS": "none"}, "VIEWLEDGER_OIDC_ALGORITHMS"),
        ({"VIEWLEDGER_API_ANONYMOUS": "yes"}, "VIEWLEDGER_API_ANONYMOUS"),
        ({"VIEWLEDGER_API_RATE_CALLER": "many"}, "VIEWLEDGER_API_RATE_CALLER"),
        ({"VIEWLEDGER_API_RATE_ANONYMOUS": "0/minute"}, "VIEWLEDGER_API_RATE_ANONYMOUS"),
        ({"VIEWLEDGER_TRUSTED_PROXIES": "proxy"}, "VIEWLEDGER_TRUSTED_PROXIES"),
        ({"VIEWLEDGER_LOCAL_ISSUER_SEED": "short"}, "VIEWLEDGER_LOCAL_ISSUER_SEED"),
        ({"VIEWLEDGER_LOCAL_ISSUER_SEED": "a" * 64, "VIEWLEDGER_BIND_HOST": "0.0.0.0"}, "VIEWLEDGER_LOCAL_ISSUER_SEED"),  # noqa: S104
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(CommandError, match=named) as caught:
        AccessSettings.from_environ(changes)
    assert caught.value.code == ExitCode.BAD_INPUT


def test_the_local_issuer_needs_its_seed() -> None:
    assert local_issuer({}) is None
    assert local_issuer({"VIEWLEDGER_LOCAL_ISSUER_SEED": "a" * 64}) is not None
