"""Probes by HTTP; standard library only, so that a container's health check starts fast."""

import urllib.error
import urllib.request

HTTP_SECONDS = 2.0


def http_get(url: str) -> bytes | None:
    """Return the body of a 200 answer within two seconds; None for any other outcome."""
    try:
        with urllib.request.urlopen(url, timeout=HTTP_SECONDS) as answer:  # noqa: S310  (only our own http URLs)
            return bytes(answer.read()) if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def http_is_ready(port: int) -> bool:
    """Return whether GET /readyz on this port of 127.0.0.1 answers 200."""
    return http_get(f"http://127.0.0.1:{port}/readyz") is not None
