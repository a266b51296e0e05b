"""The log on Kafka: idempotent, acknowledged by all in-sync replicas, within a bounded time."""

import contextlib
import functools
import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2

from ingestion.broker_clock import BrokerClock
from ingestion.contract.backoff import Backoff
from ingestion.contract.brokers import Brokers
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.intake import AdmittedEvent
from ingestion.kafka_record_groups import TRACEPARENT, RecordGroups, failure_of, supports
from ingestion.ports import RequestTrace

BATCH_BYTES = 256 * 1024
"""Far below the broker's limit of 1 MiB, so that no batch is ever split."""

REACHABLE_SECONDS_MAX = 3.0
BOOTSTRAP_MS_MAX = 5_000
RECONNECT = Backoff(0.2, 2.0)
SENDER_END_SECONDS_MAX = 2.0

logger = logging.getLogger(__name__)


class KafkaEventLog:
    """A topic as an `EventLog`. Thread-safe; one per process is enough.

    Events not acknowledged within the deadline are given up; `in_flight_events_max` bounds the memory while the broker
    is away. The first event given up ends the producer's session, for two reasons: it is unknown whether the broker has
    it, so the library's sequence numbers are worthless from there on; and kafka-python 3.0 never requests a new
    producer id after it dropped the old one, so it would never send again. A thread reconnects; until then
    appending fails at once.
    """

    def __init__(
        self, connect: Callable[[], KafkaProducer], topic: str, *, in_flight_events_max: int = 200_000
    ) -> None:
        self._connect = connect
        self._topic = topic
        self._session: _Session | None = _Session(connect(), topic)
        self._in_flight_events_max = in_flight_events_max
        self._in_flight_events = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._clock = BrokerClock(time.monotonic)

    @classmethod
    def connect(cls, brokers: Brokers, topic: str, *, deadline_ms: int = 5_000) -> Self:
        """Connect to a broker and look the topic up.

        Raises:
            UnavailableError: no broker answers within the deadline, or it does not know the topic.
        """
        settings = producer_settings(brokers, deadline_ms)
        try:
            return cls(lambda: KafkaProducer(**settings), topic)
        except _TopicUnknownError as error:
            raise UnavailableError(Part.KAFKA, f"the broker at {brokers} has no topic {topic}") from error
        except KafkaError as error:
            raise UnavailableError(Part.KAFKA, f"no Kafka broker answers at {brokers}") from error

    def append(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None = None) -> "Future[None]":
        """Append events; see `EventLog`. Never blocks on the network."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # it cannot be cancelled: a broker's acknowledgement always finds it open
        with self._lock:
            session = self._session
            crowded = self._in_flight_events + len(events) > self._in_flight_events_max
            if session is not None and not crowded:
                self._in_flight_events += len(events)
        if session is None or crowded:
            reason = (
                "too many events wait for the broker" if crowded else "the broker did not acknowledge; reconnecting"
            )
            done.set_exception(UnavailableError(Part.KAFKA, reason))
            return done
        done.add_done_callback(functools.partial(self._concluded, session, len(events)))
        try:
            acknowledgements = session.send(events, trace)
        except KafkaError as error:
            done.set_exception(UnavailableError(Part.KAFKA, str(error)))
            return done
        _Countdown(done, acknowledgements, self._clock.heard).start()
        return done

    @property
    def in_flight_events(self) -> int:
        """Return the number of events that are neither acknowledged nor given up."""
        return self._in_flight_events

    @property
    def is_connected(self) -> bool:
        """Return whether events are handed to a broker; if not, appending fails until a broker answers again."""
        return self._session is not None

    def broker_time(self) -> datetime | None:
        """Return the broker's present time; see `EventLog`."""
        return self._clock.now()

    def is_reachable(self) -> bool:
        """Return whether a broker answers a request for metadata within a few seconds."""
        session = self._session
        return session is not None and session.is_reachable()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Wait up to `timeout_seconds` for events in flight, and disconnect."""
        self._closing.set()
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close(timeout_seconds)

    def _concluded(self, session: "_Session", count: int, done: "Future[None]") -> None:
        with self._lock:
            self._in_flight_events -= count
            if done.exception() is None or self._session is not session or self._closing.is_set():
                return
            self._session = None
        threading.Thread(target=self._renew, args=(session,), name="kafka-connect", daemon=True).start()

    def _renew(self, spent: "_Session") -> None:
        spent.close(timeout_seconds=0)
        logger.warning("producer session ended", extra={"fields": {"topic": self._topic}})
        failures = 1
        while not self._closing.wait(RECONNECT.seconds(failures, random.random)):
            failures += 1
            try:
                session = _Session(self._connect(), self._topic)
            except (KafkaError, _TopicUnknownError) as error:
                logger.warning("broker not reached", extra={"fields": {"reason": str(error)}})
                continue
            with self._lock:
                if not self._closing.is_set():
                    self._session = session
                    return
            session.close(timeout_seconds=0)


class _TopicUnknownError(Exception):
    """The broker answers, but does not have the topic."""


class _Session:
    """One producer, from its producer id to its first failure."""

    def __init__(self, producer: KafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        try:
            self._partition_count = len(producer.partitions_for(topic))
        except KafkaError as error:
            self.close(timeout_seconds=0)
            raise _TopicUnknownError(str(error)) from error
        self._groups = RecordGroups(producer, topic) if supports(producer) else None

    def send(self, events: Sequence[AdmittedEvent], trace: RequestTrace | None) -> list[Any]:
        """Hand the events to the producer's buffers; return the library's futures."""
        groups: defaultdict[int, list[AdmittedEvent]] = defaultdict(list)
        for event in events:
            groups[partition_of(event.key, self._partition_count)].append(event)
        if self._groups is not None:
            return self._groups.append(groups, trace)
        send = self._producer.send
        headers = [(TRACEPARENT, trace.traceparent.encode())] if trace is not None else []
        sent = [
            send(self._topic, event.value, event.key, headers, partition)
            for partition, group in groups.items()
            for event in group
        ]
        if trace is not None:
            for each in sent:
                each.add_callback(lambda stored: trace.stored(stored.partition, stored.offset, 1))
        return sent

    def is_reachable(self) -> bool:
        """Return whether a broker answers now."""
        answered = threading.Event()
        update = self._producer._metadata.request_update()
        update.add_both(lambda _: answered.set())
        return answered.wait(REACHABLE_SECONDS_MAX) and bool(update.succeeded())

    def close(self, timeout_seconds: float) -> None:
        """Wait up to `timeout_seconds` for acknowledgements, fail the remaining events, and disconnect."""
        with contextlib.suppress(KafkaError):
            self._producer.flush(timeout_seconds)
        # `KafkaProducer.close` raises, and stays open, when its own flush times out: so no event may be left.
        self._producer._sender.force_close()
        self._producer._sender.join(SENDER_END_SECONDS_MAX)
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=0)


class _Countdown:
    """Completes a future when all acknowledgements are in, or at the first failure: the rest may never arrive."""

    def __init__(self, done: "Future[None]", acknowledgements: Sequence[Any], heard: Callable[[int], None]) -> None:
        """`heard` is called with the append time of acknowledged events, in milliseconds since 1970."""
        self._done = done
        self._heard = heard
        self._acknowledgements = acknowledgements
        self._left = len(acknowledgements)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Wait for all of them, without a thread."""
        if not self._left:
            self._done.set_result(None)
        for acknowledgement in self._acknowledgements:
            acknowledgement.add_callback(self._succeeded)
            acknowledgement.add_errback(self._ended)

    def _succeeded(self, result: Any) -> None:
        # A batch's result is a plain tuple that may carry a failure; a single record's has its own class.
        failure = failure_of(result) if type(result) is tuple else None
        if failure is None:
            self._heard(result[1] if type(result) is tuple else result.timestamp)
        self._ended(failure)

    def _ended(self, failure: BaseException | None) -> None:
        with self._lock:
            self._left = self._left - 1 if failure is None else -1
            is_last, is_first_failure = self._left == 0, failure is not None and not self._done.done()
        if is_last:
            self._done.set_result(None)
        elif is_first_failure:
            self._done.set_exception(UnavailableError(Part.KAFKA, str(failure)))


def producer_settings(brokers: Brokers, deadline_ms: int) -> dict[str, Any]:
    """Return the settings of a producer that stores every event once per session and gives up after the deadline."""
    return {
        **brokers.of_python(),
        "acks": "all",
        "enable_idempotence": True,
        "allow_auto_create_topics": False,
        "batch_size": BATCH_BYTES,
        # Partitions with a request under way collect the next batch meanwhile, which batches enough under load.
        "linger_ms": 0,
        "request_timeout_ms": deadline_ms * 3 // 5,
        "delivery_timeout_ms": deadline_ms,
        "max_block_ms": deadline_ms,
        "bootstrap_timeout_ms": min(deadline_ms, BOOTSTRAP_MS_MAX),
        # A broker that comes back is found within a few seconds.
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 1_000,
        "metrics_enabled": False,
    }


@functools.lru_cache(maxsize=1 << 18)
def partition_of(key: bytes, partition_count: int) -> int:
    """Return the partition of a key, the same one as Java's default partitioner gives."""
    return int((murmur2(key) & 0x7FFFFFFF) % partition_count)
