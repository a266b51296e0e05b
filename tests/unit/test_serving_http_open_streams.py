"""Answers that last: how many, until when, and what HEAD gets of one."""

import asyncio
from typing import Any

import pytest

from serving_layer.routes.http_open_streams import LastingAnswer, OpenStreams, TooManyOpenError


def test_a_place_is_free_again_when_its_stream_has_ended() -> None:
    streams = OpenStreams()
    ended = streams.take({"": 2, "ann": 1})
    with pytest.raises(TooManyOpenError, match="1 are open under 'ann' already"):
        streams.take({"": 2, "ann": 1})
    streams.take({"": 2, "ben": 1})
    with pytest.raises(TooManyOpenError, match="2 are open under ''"):
        streams.take({"": 2, "eve": 1})
    ended()
    streams.take({"": 2, "ann": 1})


@pytest.mark.parametrize(("method", "expected"), [("GET", [b"one", b"two", b""]), ("HEAD", [b""])])
def test_head_is_over_with_its_headers_and_frees_its_place(method: str, expected: list[bytes]) -> None:
    sent: list[Any] = []
    streams = OpenStreams()
    answer = LastingAnswer(
        iter([b"one", b"two"]), streams.take({"": 1}), headers={"X-A": "b"}, media_type="text/event-stream"
    )

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    asyncio.run(answer({"type": "http", "method": method}, receive, send))
    assert sent[0]["status"] == 200
    assert (b"x-a", b"b") in sent[0]["headers"]
    assert [each["body"] for each in sent[1:]] == expected
    streams.take({"": 1})
