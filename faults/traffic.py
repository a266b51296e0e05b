"""Seeded traffic for fault tests: the intention is on disk before the first attempt to send it."""

import contextlib
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import httpx
from kafka import KafkaProducer
from kafka.errors import KafkaError

PLAYER = "Player/1.0"
"""The user agent of senders: that of the HTTP client would be a script's."""
REQUEST_EVENTS = 40
PAUSE_SECONDS = 0.05
RETRY_SECONDS = 0.3
VIDEOS = tuple(f"{'-_v'[number % 3]}ideo{number:03d}" for number in range(120))
"""Real ids begin with hyphens and underscores, too."""
VIEWERS = tuple(f"viewer{number}" for number in range(60))
POISON = (b"", b"{", b"[]", b"\xff\xfe", b'{"event_id":"x","video_id":"#NAME?"}', b"null", b'"text"')


@dataclass(frozen=True)
class Intent:
    """One message that must be counted."""

    value: bytes
    video_id: str
    event_id: str | None
    """None for poison, which only broken direct producers send."""
    over_http: bool


class Generator:
    """Makes messages from a seed; each is written to `truth` before it is sent."""

    def __init__(self, rng: random.Random, truth: TextIO) -> None:
        self._rng, self._truth = rng, truth
        self.repeat_share = 0.1
        """The share of messages that repeat an earlier one, unchanged or, a tenth as often, with another content."""
        self._made: list[Intent] = []

    def take(self, count: int) -> list[Intent]:
        """Return the next messages."""
        intents = [self._next() for _ in range(count)]
        for each in intents:
            line = {"value": each.value.decode("latin-1"), "over_http": each.over_http}
            self._truth.write(json.dumps(line) + "\n")
        self._truth.flush()
        self._made += [each for each in intents if each.event_id is not None]
        return intents

    def _next(self) -> Intent:
        chance = self._rng.random()
        if chance < 0.02:
            return Intent(self._rng.choice(POISON), self._rng.choice(VIDEOS), None, over_http=False)
        if chance < 0.02 + self.repeat_share and self._made:
            return self._rng.choice(self._made[-2000:])
        if chance < 0.02 + self.repeat_share * 1.1 and self._made:
            return self._conflicting(self._rng.choice(self._made[-2000:]))
        return self._fresh()

    def _conflicting(self, former: Intent) -> Intent:
        event = json.loads(former.value)
        event["view_duration"] = (event["view_duration"] + 1) % 86_400
        return Intent(json.dumps(event).encode(), former.video_id, former.event_id, former.over_http)

    def _fresh(self) -> Intent:
        rng = self._rng
        happened_at = datetime.now(UTC) - timedelta(seconds=rng.uniform(0, 7_200))
        wrong = rng.random()
        if wrong < 0.01:
            happened_at += rng.choice((timedelta(hours=2, minutes=10), timedelta(hours=3), timedelta(days=26_700)))
        elif wrong < 0.02:
            happened_at -= rng.choice((timedelta(days=36), timedelta(days=20_000)))
        event_id, video_id = str(uuid.UUID(int=rng.getrandbits(128), version=4)), self._popular()
        event: dict[str, Any] = {
            "event_id": event_id,
            "video_id": video_id,
            "user_id": rng.choice(VIEWERS),
            "session_id": f"session{rng.randrange(1000)}",
            "timestamp": happened_at.isoformat(),
            "view_duration": rng.choice((3, 29, 30, 31, 60, 600)),
            "revenue_eligible": rng.random() < 0.95,
        }
        # the collector refuses a clock that is hours ahead, with the reason; only direct producers get it onto the log
        over_http = wrong >= 0.01 and rng.random() < 0.5
        return Intent(json.dumps(event).encode(), video_id, event_id, over_http)

    def _popular(self) -> str:
        return VIDEOS[min(int(self._rng.expovariate(0.08)), len(VIDEOS) - 1)]


@dataclass
class Sent:
    """The senders' knowledge. Poison has no id and cannot be distinguished, so it is only counted."""

    acknowledged_ids: set[str] = field(default_factory=set)
    attempted_ids: set[str] = field(default_factory=set)
    attempted_videos: Counter[str] = field(default_factory=Counter)
    """Video → the different ids that were sent."""
    acknowledged_poison: int = 0
    refusals: list[str] = field(default_factory=list)
    """Answers that are neither acceptance nor `try again`: each is a failure of the test or of the product."""
    given_up: int = 0


class Senders:
    """Sends over HTTP and straight to Kafka until every message is acknowledged, with the same ids each time."""

    def __init__(
        self, collector_url: Callable[[], str], bootstrap: str, topic: str, *, patience_seconds: float
    ) -> None:
        self._collector_url, self._bootstrap, self._topic = collector_url, bootstrap, topic
        self._patience = patience_seconds
        self._producer: Any = None
        self._client = httpx.Client(timeout=12, headers={"User-Agent": PLAYER})
        self.sent = Sent()

    def send(self, intents: Sequence[Intent]) -> None:
        """Send and return when all are acknowledged, or when the time is up."""
        for each in intents:
            if each.event_id and each.event_id not in self.sent.attempted_ids:
                self.sent.attempted_ids.add(each.event_id)
                self.sent.attempted_videos[each.video_id] += 1
        over_http = [each for each in intents if each.over_http]
        self._until_acknowledged(over_http, self._post)
        self._until_acknowledged([each for each in intents if not each.over_http], self._produce)

    def _until_acknowledged(self, intents: list[Intent], attempt: Callable[[list[Intent]], bool]) -> None:
        deadline = time.monotonic() + self._patience
        for start in range(0, len(intents), REQUEST_EVENTS):
            part = intents[start : start + REQUEST_EVENTS]
            while not attempt(part):
                if time.monotonic() > deadline:
                    self.sent.given_up += len(part)
                    return
                time.sleep(RETRY_SECONDS)

    def _post(self, part: list[Intent]) -> bool:
        body = b"\n".join(each.value for each in part)
        try:
            answer = self._client.post(
                f"{self._collector_url()}/v1/events",
                content=body,
                headers={"Content-Type": "application/x-ndjson"},
            )
        except httpx.HTTPError:
            return False
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return False
        if answer.status_code != httpx.codes.ACCEPTED:
            self.sent.refusals.append(f"{answer.status_code} {answer.text[:200]}")
            return True
        for each, result in zip(part, answer.json()["results"], strict=True):
            if result["status"] == "accepted" and each.event_id:
                self.sent.acknowledged_ids.add(each.event_id)
            elif result["status"] != "accepted":
                self.sent.refusals.append(json.dumps(result))
        return True

    def _produce(self, part: list[Intent]) -> bool:
        try:
            if self._producer is None:
                self._producer = KafkaProducer(
                    bootstrap_servers=self._bootstrap.split(","),
                    acks="all",
                    enable_idempotence=False,
                    delivery_timeout_ms=6_000,
                    request_timeout_ms=3_000,
                    max_block_ms=6_000,
                )
            sending = [self._producer.send(self._topic, each.value, each.video_id.encode()) for each in part]
            for future in sending:
                future.get(timeout=8)
        except KafkaError:
            self._drop_producer()
            return False
        for each in part:
            if each.event_id:
                self.sent.acknowledged_ids.add(each.event_id)
            else:
                self.sent.acknowledged_poison += 1
        return True

    def close(self) -> None:
        """End the connections."""
        self._client.close()
        self._drop_producer()

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError):
                producer.close(timeout=0)


class Traffic:
    """Sends in the background until it is stopped."""

    def __init__(self, generator: Generator, senders: Senders, *, events_per_second: float) -> None:
        self._generator, self._senders = generator, senders
        self._slice = max(1, int(events_per_second * PAUSE_SECONDS))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self.error: BaseException | None = None

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._senders.send(self._generator.take(self._slice))
                self._stopping.wait(PAUSE_SECONDS)
        except BaseException as error:  # noqa: BLE001  raised again where the traffic is stopped
            self.error = error


def truth_file(folder: Path) -> Path:
    """Return the path of the intentions of one run."""
    return folder / "truth.jsonl"
