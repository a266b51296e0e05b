"""The bodies of requests, read by the endpoints themselves: within bounds of size and time, with our own problems.

FastAPI would read a body of any size completely before the caller is known.
"""

import asyncio
from typing import Annotated

from fastapi import Header
from pydantic import BeforeValidator, Field
from starlette.requests import ClientDisconnect, Request

from serving_layer.money.idempotency import HEADER, KEY_PATTERN, key_of
from serving_layer.problems.problems import refused

BODY_SECONDS_MAX = 10.0
IdempotencyKey = Annotated[
    str,
    Field(pattern=f"^{KEY_PATTERN}$"),
    BeforeValidator(key_of),
    Header(
        alias=HEADER,
        description="Chosen by you, a new one for each new request; stored permanently",
        examples=["0c5f7f6e-3b8f-4d53-9d6e-3a5c8a1f2b77"],
    ),
]


async def read_body(request: Request, bytes_max: int, seconds_max: float = BODY_SECONDS_MAX) -> bytes:
    """Return the whole body, within bounds of size and time; raise ProblemError."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds_max):
            async for part in request.stream():
                body += part
                if len(body) > bytes_max:
                    raise refused("body_too_large", f"the body has more than {bytes_max} bytes")
    except TimeoutError:
        detail = f"the body did not arrive within {seconds_max:g} seconds"
        raise refused("body_too_slow", detail) from None
    except ClientDisconnect:
        raise refused("body_incomplete", "the connection closed before the whole body arrived") from None
    return bytes(body)
