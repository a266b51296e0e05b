"""Send notices by signed HTTP requests, one after the other, each bounded in time and size."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from billing.errors import ChannelRefusedError, NoticeRefusedError
from billing.notices.readable import readable
from billing.notices.webhook import signed_headers
from ingestion.contract.unavailable import Part, UnavailableError, one_line

WHOLE_SECONDS_MAX = 20.0
"""Bound of the whole answer, however slowly its bytes come."""
BYTES_MAX = 4096
"""How much of an answer is read, so that its connection can be used again."""
REASON_CHARACTERS_MAX = 120
"""How much of a refusal is shown: it may be a page for people."""
OF_THE_NOTICE = frozenset({400, 406, 409, 413, 415, 422})
"""Refusals of one notice; with any other 4xx the receiver refuses the address, the signature or the sender."""
LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, repr=False)
class WebhookReceiver:
    """Where notices are sent, and the keys that sign them."""

    url: str
    keys: tuple[bytes, ...]
    """One, or while it is replaced two; a receiver accepts either."""
    ca_file: Path | None = None
    """The authorities that sign the receiver's certificate; None: those that the system trusts."""


class HttpWebhook:
    """A client of a receiver, open within `with`.

    Raises:
        UnavailableError: the receiver does not answer in time, or asks for another time (429, 5xx).
        ChannelRefusedError: it refuses this sender, redirects, or has no certificate to trust.
    """

    def __init__(
        self,
        receiver: WebhookReceiver,
        *,
        whole_seconds_max: float = WHOLE_SECONDS_MAX,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._receiver, self._whole_seconds_max, self._clock = receiver, whole_seconds_max, clock
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            timeout=whole_seconds_max,
            trust_env=False,
            follow_redirects=False,
            verify=ssl.create_default_context(cafile=receiver.ca_file),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._runner, suppress(httpx.HTTPError):
            self._runner.run(self._client.aclose())

    def send(self, notice_id: str, body: bytes) -> None:
        """Send one notice; it returns when the receiver has accepted it (any 2xx).

        Raises:
            NoticeRefusedError: the receiver refuses this notice; others may pass.
        """
        status, answer = self._runner.run(self._posted(notice_id, body))
        if 200 <= status < 300:
            return
        reason = readable(f"{status} {_phrase(status)} {readable(answer)[:REASON_CHARACTERS_MAX]}")
        if status in OF_THE_NOTICE:
            raise NoticeRefusedError(reason)
        if status >= 500 or status in LATER:
            raise UnavailableError(Part.WEBHOOK, f"{self._named} cannot take notices now ({reason})")
        if 300 <= status < 400:
            raise ChannelRefusedError(f"{self._named} redirects ({status}), which is not followed; name the last URL")
        raise ChannelRefusedError(f"{self._named} refuses this sender ({reason})")

    async def _posted(self, notice_id: str, body: bytes) -> tuple[int, bytes]:
        """Return the status, and at most the first BYTES_MAX bytes of the answer."""
        headers = signed_headers(self._receiver.keys, notice_id, body, attempted_at=int(self._clock()))
        status, read = None, bytearray()
        try:
            async with (
                asyncio.timeout(self._whole_seconds_max),
                self._client.stream(
                    "POST", self._receiver.url, content=body, headers={**headers, "Accept-Encoding": "identity"}
                ) as answer,
            ):
                status = answer.status_code
                async for part in answer.aiter_raw():
                    read += part
                    if len(read) >= BYTES_MAX:
                        break
        except (httpx.HTTPError, TimeoutError) as error:
            if status is None:
                raise self._without_answer(error) from error
        return status, bytes(read[:BYTES_MAX])

    def _without_answer(self, error: Exception) -> Exception:
        for each in _causes(error):
            if isinstance(each, ssl.SSLError):
                return ChannelRefusedError(f"{self._named} has no certificate to trust ({one_line(each)})")
        return UnavailableError(Part.WEBHOOK, f"{self._named} does not answer ({one_line(error)})")

    @property
    def _named(self) -> str:
        parts = urlsplit(self._receiver.url)
        return f"the webhook at {parts.scheme}://{parts.netloc}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # a number of the receiver's own
        return ""
