"""The kinds of settings of a webhook: where it is sent, and the secrets that sign it."""

import base64
import re
from urllib.parse import urlsplit

from jobs.settings.address_kinds import Url
from jobs.settings.kinds import Setting

_is_secret = re.compile(r"whsec_([A-Za-z0-9+/]+={0,2})", re.ASCII).fullmatch
KEY_BYTES = range(24, 65)
"""How long a key may be, by the Standard Webhooks specification."""
KEYS_MAX = 2


class WebhookUrl(Url):
    """A URL without a user or a fragment: the signature says who sends."""

    @property
    def allowed(self) -> str:
        """Return the forms in words."""
        return (
            "like https://host/path in ASCII, or http://127.0.0.1:port/path for this machine, without a user or a "
            "fragment"
        )

    def parse(self, text: str) -> str:
        """Return the URL; raise ValueError."""
        url, parts = super().parse(text), urlsplit(text)
        if "@" in parts.netloc or "#" in text or not re.fullmatch("[!-~]+", text):
            raise ValueError
        return url


class WebhookSecrets(Setting[tuple[bytes, ...]]):
    """One secret of the Standard Webhooks specification; two while the first replaces the second."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return (
            f"whsec_ and {KEY_BYTES[0]} to {KEY_BYTES[-1]} bytes in base64, or two of them with a space in between: "
            "the new one and the one that it replaces"
        )

    def parse(self, text: str) -> tuple[bytes, ...]:
        """Return the keys; raise ValueError (of which binascii.Error is one)."""
        found = [_is_secret(each) for each in text.split()]
        keys = tuple(base64.b64decode(each[1], validate=True) for each in found if each)
        if len(keys) != len(found) or not 1 <= len(keys) <= KEYS_MAX or any(len(key) not in KEY_BYTES for key in keys):
            raise ValueError
        return keys
