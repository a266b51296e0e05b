"""Answers that last, and how many are open, as a whole and of one sender, so that nobody takes all of them."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class TooManyOpenError(Exception):
    """As many are open as there may be under `name`."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{most} are open under {name!r} already")
        self.name, self.most = name, most


class OpenStreams:
    """Counts what is open under each name. For one event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def take(self, bounds: Mapping[str, int]) -> Callable[[], None]:
        """Count one more under all of these names and return what is to be called when it has ended.

        Raises:
            TooManyOpenError: under one of them there is no room; nothing is counted.
        """
        for name, most in bounds.items():
            if self._open[name] >= most:
                raise TooManyOpenError(name, most)
        self._open.update(bounds.keys())

        def ended() -> None:
            for name in bounds:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]

        return ended


class LastingAnswer(StreamingResponse):
    """Sends parts as they come, no faster than the client takes them; says when it is over, however it ended."""

    def __init__(
        self,
        parts: AsyncIterator[bytes] | Iterator[bytes],
        ended: Callable[[], None],
        *,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(parts, headers=headers, media_type=media_type)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts, or to HEAD the headers alone."""
        try:
            if scope["method"] == "HEAD":
                # Whoever asked has all with the headers, and may hand the connection on: the next request on it would
                # wait for the end of a stream that nobody reads.
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._ended()
