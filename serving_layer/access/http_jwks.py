"""Fetch documents of an identity provider over HTTP, bounded in time and size; above all its key set."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from serving_layer.access.jwt_key_set import FetchFailedError

TIMEOUT_SECONDS = 3.0
WHOLE_SECONDS_MAX = 6.0
"""Bound of the whole answer; the other time-out is for each step, and a slow trickle of bytes never reaches it."""
BYTES_MAX = 256 * 1024


async def fetch_key_set(url: str) -> Mapping[str, Any]:
    """Return the JWKS document at `url`; follows no redirect.

    Raises:
        FetchFailedError: no answer in time, another status than 200, too large, or not a JSON object.
    """
    status, document = await fetched(url)
    if status != 200:
        raise FetchFailedError(f"{url} answers {status}")
    return document


async def fetched(
    url: str, *, form: Mapping[str, str] | None = None, auth: httpx.BasicAuth | None = None
) -> tuple[int, Mapping[str, Any]]:
    """Return the status and the JSON object of an identity provider's answer, to a GET or to a form.

    Raises:
        FetchFailedError: no answer in time, too large, or, with status 200, not a JSON object.
    """
    body = bytearray()
    method, headers = ("GET" if form is None else "POST"), {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(WHOLE_SECONDS_MAX),
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client,
            client.stream(method, url, data=form, auth=auth, headers=headers) as answer,
        ):
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > BYTES_MAX:
                    raise FetchFailedError(f"{url} sends more than {BYTES_MAX} bytes")
    except (httpx.HTTPError, TimeoutError) as error:
        raise FetchFailedError(f"{url} does not answer ({type(error).__name__})") from error
    try:
        return answer.status_code, msgspec.json.decode(bytes(body), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if answer.status_code != 200:
            return answer.status_code, {}
        raise FetchFailedError(f"{url} does not send a JSON object") from error
