"""An identity provider on loopback: a real HTTP server that signs everybody in, and can be made to do it wrongly."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

CLIENT_ID, CLIENT_SECRET, AUDIENCE = "viewledger-portal", "s3cret:with%odd chars", "viewledger"
KEY_ID = "test-1"


@dataclass
class FakeProvider:
    """The provider's behaviour: `claims` override those of a good ID token (None removes one)."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """With which it sends browsers back instead of with a code."""
    is_away: bool = False
    forges: bool = False
    """Signs with another key than it publishes."""
    auth_methods: tuple[str, ...] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    """The queries that browsers came with."""
    forms: list[dict[str, str]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def environ(self, portal_url: str) -> dict[str, str]:
        """The settings by which the API uses it."""
        return {
            "VIEWLEDGER_OIDC_ISSUER": self.url,
            "VIEWLEDGER_OIDC_AUDIENCE": AUDIENCE,
            "VIEWLEDGER_OIDC_JWKS_URL": f"{self.url}/keys",
            "VIEWLEDGER_OIDC_CLIENT_ID": CLIENT_ID,
            "VIEWLEDGER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "VIEWLEDGER_PORTAL_URL": portal_url,
        }

    def configuration(self) -> dict[str, Any]:
        methods = {} if self.auth_methods is None else {"token_endpoint_auth_methods_supported": self.auth_methods}
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            **methods,
        }

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": KEY_ID, "alg": "ES256", "use": "sig"}]}

    def back(self, query: dict[str, str]) -> str:
        """Sign a browser in at once; return where it is sent back to."""
        self.asked.append(query)
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        answer = {"error": self.error} if self.error else {"code": code}
        return f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.forms.append(form)
        expected = base64.b64encode(f"{CLIENT_ID}:s3cret%3Awith%25odd%20chars".encode()).decode()
        if form.get("client_secret") != CLIENT_SECRET and authorization != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        query = self._codes.pop(form.get("code", ""), None)
        if query is None or form["grant_type"] != "authorization_code" or form["redirect_uri"] != query["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(hashed).decode().rstrip("=") != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": "ann", "aud": CLIENT_ID, "exp": now + 600, "iat": now, "nonce": query["nonce"],
            "role": "creator", "payee": "ann", **self.claims,
        }  # fmt: skip
        key = ec.generate_private_key(ec.SECP256R1()) if self.forges else self._key
        kept = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(kept, key, algorithm="ES256", headers={"kid": KEY_ID})
        return 200, {"id_token": token, "token_type": "Bearer"}

    def page(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Answer a GET: status, document, headers."""
        if path == "/authorize":
            return 302, {}, {"Location": self.back(query)}
        documents = {"/.well-known/openid-configuration": self.configuration, "/keys": self.keys}
        return (200, documents[path](), {}) if path in documents else (404, {}, {})


@contextmanager
def running_provider() -> Iterator[FakeProvider]:
    provider = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            found = provider.page(parts.path, dict(parse_qsl(parts.query)))
            self._send(*((503, {}, {}) if provider.is_away else found))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(parse_qsl(body, keep_blank_values=True))
            answer = (503, {}) if provider.is_away else provider.token(form, self.headers.get("Authorization", ""))
            self._send(*answer, {})

        def _send(self, status: int, document: dict[str, Any], headers: dict[str, str]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            named = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
            for name, value in named.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
