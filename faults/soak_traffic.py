"""Traffic of a soak: events by number, so that a seed and the number of events are the whole truth."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
from kafka import KafkaProducer
from kafka.errors import KafkaError

from faults.reference import LogMessage
from faults.traffic import PLAYER, VIDEOS

SLICE_SECONDS = 0.05
REPEATED_EVERY = 20
"""One of this many events is repeated half a minute later, in addition to the rate."""
HTTP_EVERY = 20
"""One of this many slices goes over HTTP."""
DELIVERY_MS = 100_000
RETRY_SECONDS = 0.3
_ID = re.compile(rb'"event_id": ?"[0-9a-f]{8}-[0-9a-f]{4}-4000-8000-([0-9a-f]{12})"')


def video_of(number: int) -> str:
    """Return the video of an event."""
    return VIDEOS[(number * 2_654_435_761 >> 9) % len(VIDEOS)]


def value_of(seed: int, number: int, at: str) -> bytes:
    """Return an event as JSON; `at` is its timestamp."""
    return (
        f'{{"event_id": "{seed & 0xFFFFFFFF:08x}-0000-4000-8000-{number:012x}","video_id":"{video_of(number)}",'
        f'"user_id":"viewer{number % 5000}","session_id":"session{number % 20000}","timestamp":"{at}",'
        f'"view_duration":{number % 600},"revenue_eligible":true}}'
    ).encode()


def number_in(value: bytes) -> int | None:
    """Return the number of the event in a message; None if it is not an event of a soak."""
    found = _ID.search(value)
    return int(found.group(1), 16) if found else None


class SoakTraffic:
    """Sends new events at a rate until it is stopped, and then until everything sent is acknowledged."""

    def __init__(
        self, seed: int, rate: int, *, bootstrap: str, topic: str, collectors: Callable[[], list[str]]
    ) -> None:
        self._seed, self._rate, self._topic, self._collectors = seed, rate, topic, collectors
        self._producer: Any = KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            acks="all",
            enable_idempotence=False,
            linger_ms=20,
            batch_size=128 * 1024,
            max_block_ms=DELIVERY_MS,
            delivery_timeout_ms=DELIVERY_MS,
            request_timeout_ms=5_000,
        )
        self.made = 0
        """Numbers from 0 that were attempted; noted before the first attempt."""
        self._failed: list[int] = []
        self._stopping = threading.Event()
        self._posts = ThreadPoolExecutor(4)
        self._posting: list[Any] = []
        self._thread = threading.Thread(target=self._run, name="soak", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def finish(self) -> None:
        """Stop, and return when everything is acknowledged; raise the first error of the sending."""
        self._stopping.set()
        self._thread.join()
        self._posts.shutdown(wait=True)
        if self.error is not None:
            raise self.error
        for posted in self._posting:
            posted.result()
        while True:
            self._producer.flush(timeout=DELIVERY_MS / 1000)
            failed, self._failed = self._failed, []
            if not failed:
                break
            self._produce(failed)
        self._producer.close(timeout=5)

    def _run(self) -> None:
        try:
            began, slices = time.monotonic(), 0
            while not self._stopping.is_set():
                due = int((time.monotonic() - began) * self._rate) - self.made
                part = self._next(min(due, self._rate))  # after a pause it catches up, a second's worth at a time
                slices += 1
                if slices % HTTP_EVERY == 0:
                    self._posting = [each for each in self._posting if not each.done() or each.exception()]
                    self._posting.append(self._posts.submit(self._post, part))
                else:
                    self._produce(part)
                self._stopping.wait(SLICE_SECONDS)
        except BaseException as error:  # noqa: BLE001  raised again where the traffic is finished
            self.error = error

    def _next(self, count: int) -> list[int]:
        """Return numbers to send: new ones, and repeats of half a minute ago."""
        fresh = range(self.made, self.made + count)
        repeats = [number for number in fresh[::REPEATED_EVERY] if number >= 30 * self._rate]
        self.made = fresh.stop
        return [*fresh, *(number - 30 * self._rate for number in repeats)]

    def _produce(self, numbers: Iterable[int]) -> None:
        at = datetime.now(UTC).isoformat()
        for number in numbers:
            try:
                sending = self._producer.send(self._topic, value_of(self._seed, number, at), video_of(number).encode())
            except KafkaError:
                self._failed.append(number)
                continue
            sending.add_errback(lambda _, number=number: self._failed.append(number))

    def _post(self, numbers: Sequence[int]) -> None:
        at = datetime.now(UTC).isoformat()
        for start in range(0, len(numbers), 200):
            body = b"\n".join(value_of(self._seed, number, at) for number in numbers[start : start + 200])
            attempt = 0
            while not self._is_accepted(body, attempt):
                attempt += 1
                if attempt * RETRY_SECONDS > DELIVERY_MS / 1000:
                    raise AssertionError("events over HTTP were never acknowledged")
                time.sleep(RETRY_SECONDS)

    def _is_accepted(self, body: bytes, attempt: int) -> bool:
        urls = self._collectors()
        url = urls[attempt % len(urls)]
        try:
            answer = httpx.post(
                f"{url}/v1/events",
                content=body,
                headers={"Content-Type": "application/x-ndjson", "User-Agent": PLAYER},
                timeout=12,
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.ACCEPTED and all(
            each["status"] == "accepted" for each in answer.json()["results"]
        )


def expected_views(messages: Iterable[LogMessage], made: int) -> tuple[Counter[str], int]:
    """Return the views by video in the log, and how many of the made numbers are not in it."""
    seen = bytearray(made)
    for message in messages:
        number = number_in(message.value)
        if number is None or number >= made:
            raise AssertionError(f"the log holds a message that nobody sent: {message.value[:100]!r}")
        seen[number] = 1
    return Counter(video_of(number) for number in range(made) if seen[number]), made - sum(seen)
