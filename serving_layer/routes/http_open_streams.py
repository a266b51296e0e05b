"""Bound the number of long answers, in total and by sender, so that one sender cannot use all of them."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class TooManyOpenError(Exception):
    """The limit of open answers under `name` is reached."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{most} are open under {name!r} already")
        self.name, self.most = name, most


class OpenStreams:
    """Counts open answers under each name. For one event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def take(self, bounds: Mapping[str, int]) -> Callable[[], None]:
        """Count one more under all of these names and return the function to call at its end.

        Raises:
            TooManyOpenError: the limit of one of them is reached; nothing is counted.
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
    """Sends parts as they come, no faster than the client reads them; calls `ended` in any case."""

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
        """Send the parts; for HEAD only the headers."""
        try:
            if scope["method"] == "HEAD":
                # The headers are the whole answer to HEAD, and the client may reuse the connection: its next request
                # would wait for the end of a stream that is not read.
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._ended()
