"""The demo's two kinds of clients: players that post to the collector, and a producer that writes to Kafka itself."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
from kafka import KafkaProducer
from kafka.errors import KafkaError

from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from jobs.demo.agents import PLAYERS
from jobs.demo.encoding import encode_for_http, encode_for_kafka
from jobs.demo.maker import Message
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

EVENTS_PER_REQUEST = 500
HTTP_CLIENTS = 4
ATTEMPTS_MAX = 5
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Sent:
    """The result of one sender's messages: acknowledged, refused by the collector, and the time it took."""

    acknowledged: int
    refused: int
    seconds: float

    def __add__(self, other: "Sent") -> "Sent":
        return Sent(self.acknowledged + other.acknowledged, self.refused + other.refused, self.seconds + other.seconds)

    @property
    def answered(self) -> int:
        """Return the messages that were acknowledged or refused."""
        return self.acknowledged + self.refused

    @property
    def per_second(self) -> float:
        """Return the messages answered per second."""
        return self.answered / self.seconds if self.seconds else 0.0


NOTHING_SENT = Sent(0, 0, 0.0)


class Players:
    """Clients that post events to the collector as JSON lines, several requests at a time.

    `sign` is the platform: it returns the play of an event as a token.
    """

    def __init__(self, collector_url: str, sign: Callable[[dict[str, Any]], str]) -> None:
        self._sign = sign
        self._client = httpx.Client(base_url=collector_url, timeout=TIMEOUT_SECONDS, headers={"User-Agent": PLAYERS[0]})
        self._pool = ThreadPoolExecutor(HTTP_CLIENTS)

    def send(self, messages: Sequence[Message]) -> Sent:
        """Post messages; a request that the broker did not acknowledge is repeated with the same ids."""
        started = time.monotonic()
        bodies = [b"\n".join(encode_for_http(each, self._sign) for each in chunk) for chunk in _chunks(messages)]
        answers = list(self._pool.map(self._post, bodies))
        accepted, rejected = (sum(answer[name] for answer in answers) for name in ("accepted", "rejected"))
        return Sent(accepted, rejected, time.monotonic() - started)

    def close(self) -> None:
        """End the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def _post(self, body: bytes) -> dict[str, int]:
        problem = ""
        for _ in range(ATTEMPTS_MAX):
            try:
                response = self._client.post(
                    "/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"}
                )
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if response.status_code == httpx.codes.ACCEPTED:
                return dict(json.loads(response.content))
            problem = f"{response.status_code}: {response.text[:200]}"
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(min(5.0, float(response.headers.get("Retry-After", "1"))))
        raise CommandError(f"the collector did not accept a request ({problem})", ExitCode.UNAVAILABLE)


def _chunks(messages: Iterable[Message]) -> Iterator[Sequence[Message]]:
    iterator = iter(messages)
    while chunk := list(islice(iterator, EVENTS_PER_REQUEST)):
        yield chunk


class DirectProducer:
    """An external producer that writes to the topic itself."""

    def __init__(self, bootstrap: str, pseudonym_key: bytes) -> None:
        self._key = pseudonym_key
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            acks="all",
            enable_idempotence=True,
            linger_ms=20,
            batch_size=256 * 1024,
        )

    def send(self, messages: Sequence[Message]) -> Sent:
        """Write messages and return when the broker has acknowledged all of them."""
        started = time.monotonic()
        try:
            futures = [
                self._producer.send(TOPIC_VIDEO_VIEWS, encode_for_kafka(each, self._key), key=each.video_id.encode())
                for each in messages
            ]
            for future in futures:
                future.get(timeout=TIMEOUT_SECONDS)
        except KafkaError as error:
            raise CommandError(f"Kafka did not acknowledge a message ({error})", ExitCode.UNAVAILABLE) from error
        return Sent(len(messages), 0, time.monotonic() - started)

    def close(self) -> None:
        """End the connections."""
        self._producer.close(timeout=TIMEOUT_SECONDS)


def paced(messages: Sequence[Message], per_second: float) -> Iterator[Sequence[Message]]:
    """Yield messages in slices of a tenth of a second so that about `per_second` are sent."""
    started, sent = time.monotonic(), 0
    slice_size = max(1, int(per_second / 10))
    while sent < len(messages):
        ahead = sent / per_second - (time.monotonic() - started)
        if ahead > 0:
            time.sleep(ahead)
        yield messages[sent : sent + slice_size]
        sent += slice_size
