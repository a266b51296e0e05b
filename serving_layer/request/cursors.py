"""Cursors: the start of the next page, opaque and signed, so that it cannot be changed. Pure."""

import base64
import binascii
import hashlib
import hmac

from serving_layer.problems.problems import refused

_TAG_BYTES = 12
_LENGTH_MAX = 120


class Cursors:
    """Makes and reads cursors. `key`: secret bytes, the same in every API process."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def text(self, query: str, version: int, offset: int) -> str:
        """Return the cursor of the page that begins at `offset` of a query's answer at a version."""
        content = f"{version}.{offset}".encode()
        return base64.urlsafe_b64encode(self._tag(query, content) + content).decode().rstrip("=")

    def read(self, query: str, text: str) -> tuple[int, int]:
        """Return (version, offset).

        Raises:
            ProblemError: cursor_invalid: it was not made here, or for another query.
        """
        try:
            if len(text) > _LENGTH_MAX:
                raise ValueError
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            tag, content = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
            if not hmac.compare_digest(tag, self._tag(query, content)):
                raise ValueError
            version, _, offset = content.decode("ascii").partition(".")
            return int(version), int(offset)
        except (ValueError, UnicodeEncodeError, binascii.Error):
            raise refused(
                "cursor_invalid",
                "the cursor was not given out for this query; begin again without it, and change only the cursor",
            ) from None

    def _tag(self, query: str, content: bytes) -> bytes:
        return hmac.digest(self._key, query.encode() + b"\0" + content, hashlib.sha256)[:_TAG_BYTES]
