"""Seal texts that only this API's processes can read and make: AES-256-GCM (NIST SP 800-38D), a derived key."""

import base64
import hashlib
import hmac
import secrets
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
CONTENT_BYTES_MAX = 64 * 1024


class Seal:
    """Seals and opens texts for one purpose. `key`: secret bytes, the same in every API process."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._cipher = AESGCM(hmac.digest(key, f"seal:{purpose}".encode(), hashlib.sha256))

    def sealed(self, content: bytes) -> str:
        """Return a text that reveals nothing but the approximate length of its content.

        The content is compressed first: the base64 of a compressed token is about as long as the token.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, zlib.compress(content, 9), None)).decode()

    def opened(self, text: str) -> bytes | None:
        """Return the content; None if the text was not sealed here for this purpose."""
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            content = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
            return zlib.decompressobj().decompress(content, CONTENT_BYTES_MAX)
        except (ValueError, InvalidTag, zlib.error):
            return None
