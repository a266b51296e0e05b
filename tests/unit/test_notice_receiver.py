"""The example of a platform that tells its payees itself: what the product signs it keeps once, and nothing else."""

import base64
import sqlite3
import threading
import time
from collections.abc import Iterator
from email.message import Message
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from billing.notices.http_webhook import HttpWebhook, WebhookReceiver
from billing.notices.webhook import body_of, signed_headers
from clients.python.notice_receiver import BYTES_MAX, Receiver, is_signed
from tests.payee_notices import FINAL_STATEMENT

OLD_KEY, KEY = b"o" * 24, b"k" * 24
SECRETS = " ".join(f"whsec_{base64.b64encode(key).decode()}" for key in (KEY, OLD_KEY))
BODY = body_of(FINAL_STATEMENT, portal_url=None)
AT = 1_790_000_000


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Receiver, "secrets", SECRETS, raising=False)
    monkeypatch.setattr(Receiver, "database", str(tmp_path / "notices.db"), raising=False)
    monkeypatch.setattr(Receiver, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def headers_of(keys: list[bytes], **changes: str) -> Message:
    headers = Message()
    for name, value in (dict(signed_headers(keys, "n1", BODY, attempted_at=AT)) | changes).items():
        headers[name] = value
    return headers


def test_a_notice_that_comes_again_is_accepted_and_kept_once(url: str, tmp_path: Path) -> None:
    for keys in ((KEY,), (b"n" * 24, OLD_KEY)):
        with HttpWebhook(WebhookReceiver(url, keys)) as webhook:
            webhook.send(FINAL_STATEMENT.notice_id, BODY)
    with sqlite3.connect(tmp_path / "notices.db") as kept:
        assert kept.execute("SELECT * FROM notices").fetchall() == [(FINAL_STATEMENT.notice_id, BODY.decode())]


def test_what_is_not_signed_or_too_large_is_refused_and_not_kept(url: str, tmp_path: Path) -> None:
    good = dict(signed_headers([KEY], "n1", BODY, attempted_at=int(time.time())))
    assert httpx.post(url, content=BODY + b" ", headers=good).status_code == 401
    assert httpx.post(url, content=BODY).status_code == 401
    assert httpx.post(url, content=b"x" * (BYTES_MAX + 1), headers=good).status_code == 413
    assert not (tmp_path / "notices.db").exists()
    assert httpx.post(url, content=BODY, headers=good).status_code == 204


def test_a_signature_holds_for_five_minutes_for_its_id_and_its_secrets() -> None:
    assert is_signed(headers_of([KEY]), BODY, SECRETS, AT + 300)
    assert is_signed(headers_of([b"n" * 24, OLD_KEY]), BODY, SECRETS, AT - 300)
    assert not is_signed(headers_of([KEY]), BODY, SECRETS, AT + 301)
    assert not is_signed(headers_of([KEY]), BODY, SECRETS, AT - 301)
    assert not is_signed(headers_of([b"n" * 24]), BODY, SECRETS, AT)
    assert not is_signed(headers_of([KEY], **{"Webhook-Id": "n2"}), BODY, SECRETS, AT)
    for at in (str(AT + 1), "", "-1", "1.5", "９", "9" * 5000):
        assert not is_signed(headers_of([KEY], **{"Webhook-Timestamp": at}), BODY, SECRETS, AT)
    for signature in ("", "v1,", "v2,abc", "v1,ä", "v1"):
        assert not is_signed(headers_of([KEY], **{"Webhook-Signature": signature}), BODY, SECRETS, AT)
