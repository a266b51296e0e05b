"""Fetches an identity provider's key set over HTTP, bounded in time and size."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from serving_layer.jwt_key_set import FetchFailedError

TIMEOUT_SECONDS = 3.0
BYTES_MAX = 256 * 1024


async def fetch_key_set(url: str) -> Mapping[str, Any]:
    """Return the JWKS document at `url`; follows no redirect.

    Raises:
        FetchFailedError: no answer in time, another status than 200, too large, or not a JSON object.
    """
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != 200:
                raise FetchFailedError(f"{url} answers {answer.status_code}")
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > BYTES_MAX:
                    raise FetchFailedError(f"{url} sends more than {BYTES_MAX} bytes")
    except httpx.HTTPError as error:
        raise FetchFailedError(f"{url} does not answer ({type(error).__name__})") from error
    try:
        return msgspec.json.decode(bytes(body), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FetchFailedError(f"{url} does not send a JSON object") from error
