"""An example of a platform that tells its payees itself: it verifies each notice, and keeps it once.

    VIEWLEDGER_WEBHOOK_SECRET=whsec_… python clients/python/notice_receiver.py 8080 notices.db

It needs nothing but Python. Any library of the Standard Webhooks specification verifies the same.
"""

import base64
import hashlib
import hmac
import os
import sqlite3
import sys
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer

TOLERANCE_SECONDS = 300
BYTES_MAX = 65_536


def is_signed(headers: Message, body: bytes, secrets: str, now: float) -> bool:
    """Return whether a request was signed by one of the secrets (separated by spaces) in the last five minutes."""
    notice_id, at = headers.get("webhook-id") or "", headers.get("webhook-timestamp") or ""
    if not (at.isascii() and at.isdigit() and len(at) < 12) or abs(now - int(at)) > TOLERANCE_SECONDS:
        return False
    given = [each.partition("v1,")[2].encode() for each in (headers.get("webhook-signature") or "").split()]
    signed = f"{notice_id}.{at}.".encode() + body
    for secret in secrets.split():
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
        if any(hmac.compare_digest(expected, each) for each in given):
            return True
    return False


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 for a notice that is kept, also if it was kept before, and 401 for what is not signed."""

    database: str
    secrets: str

    def do_POST(self) -> None:
        """Keep one notice, for the part of the platform that tells payees."""
        length = self.headers.get("Content-Length") or ""
        if not (length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= BYTES_MAX):
            self.close_connection = True
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        if not is_signed(self.headers, body, self.secrets, time.time()):
            self._answer(401)
            return
        with sqlite3.connect(self.database) as kept:
            kept.execute("CREATE TABLE IF NOT EXISTS notices (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
            kept.execute("INSERT OR IGNORE INTO notices VALUES (?, ?)", (self.headers["webhook-id"], body.decode()))
        self._answer(204)  # after the commit: without it the notice comes again

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    Receiver.secrets, Receiver.database = os.environ["VIEWLEDGER_WEBHOOK_SECRET"], sys.argv[2]
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
