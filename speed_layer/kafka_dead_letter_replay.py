"""Read dead letters, and send their messages again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, UnsupportedCodecError

from ingestion.contract.brokers import Brokers
from ingestion.contract.counting import judge_alone
from ingestion.contract.dead_letter import DeadLetter
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent
from ingestion.contract.unavailable import Part, UnavailableError
from speed_layer.dead_letter import read_letter
from speed_layer.ports import Replays

ANSWER_SECONDS = 10.0
POLL_MS = 500


class ReplayRefusedError(Exception):
    """The message may not be sent again; the text gives the reason."""


class KafkaDeadLetterReplay:
    """Reads the dead-letter topic and the log; sends messages again that keep the contract now.

    Connects for every call, which takes a few seconds at most. Raises UnavailableError when the broker does not answer.
    """

    def __init__(self, brokers: Brokers, replays: Replays, *, source_topic: str, topic: str) -> None:
        self._brokers = brokers
        self._replays = replays
        self._source_topic = source_topic
        self._topic = topic

    def newest(self, limit: int) -> list[DeadLetter]:
        """Return the newest letters, newest first; a message with two letters is listed once.

        Values that are not letters are skipped.
        """
        with _answering(self._brokers) as consumer:
            places = [TopicPartition(self._topic, each) for each in consumer.partitions_for_topic(self._topic) or ()]
            ends, starts = consumer.end_offsets(places), consumer.beginning_offsets(places)
            first = {place: max(starts[place], ends[place] - limit) for place in places}
            values = _between(consumer, first, ends)
        letters = {(letter.partition, letter.offset): letter for letter in map(read_letter, values) if letter}
        return sorted(letters.values(), key=lambda letter: letter.appended_at, reverse=True)[:limit]

    def replay(self, partition: int, offset: int, actor: str) -> None:
        """Send the message at a place of the log again, once, with its original key and bytes.

        Raises:
            ReplayRefusedError: it is no longer on the log, still breaks the contract, or was sent again before.
        """
        name = f"message {partition}:{offset}"
        key, value = self._message(partition, offset)
        judged = judge_alone(decode_view_event(value), datetime.now(UTC))
        if isinstance(judged, RejectedEvent):
            reasons = "; ".join(reason.detail for reason in judged.reasons)
            raise ReplayRefusedError(f"{name} still breaks the contract ({reasons}); fix its producer first")
        # 1. refuse a place that was sent again before
        if self._replays.is_replayed(partition, offset):
            raise ReplayRefusedError(f"{name} was sent again before; it counts once")
        # 2. send, and wait for the acknowledgement
        self._append(key, value)
        # 3. remember. After a crash before 3 the message may be sent once more: its event id makes that a duplicate.
        self._replays.remember(partition, offset, actor)

    def _message(self, partition: int, offset: int) -> tuple[bytes | None, bytes]:
        place, base = TopicPartition(self._source_topic, partition), self._replays.log_base()
        with _answering(self._brokers) as consumer:
            if partition not in (consumer.partitions_for_topic(self._source_topic) or ()):
                raise ReplayRefusedError(f"topic {self._source_topic} has no partition {partition}")
            start = consumer.beginning_offsets([place])[place] + base
            end = consumer.end_offsets([place])[place] + base
            if not start <= offset < end:
                raise ReplayRefusedError(
                    f"message {partition}:{offset} is not on the log: partition {partition} has offsets {start} up to "
                    f"{end} (not included)"
                )
            found = _records(consumer, {place: offset - base}, {place: offset - base + 1})
        if not found or found[0].value is None:
            raise ReplayRefusedError(f"there is no message at {partition}:{offset}")
        return found[0].key, found[0].value

    def _append(self, key: bytes | None, value: bytes) -> None:
        milliseconds = int(ANSWER_SECONDS * 1000)
        producer = KafkaProducer(
            **self._brokers.of_python(),
            acks="all",
            max_block_ms=milliseconds,
            delivery_timeout_ms=milliseconds,
            request_timeout_ms=milliseconds // 2,
            allow_auto_create_topics=False,
        )
        try:
            producer.send(self._source_topic, key=key, value=value).get(timeout=ANSWER_SECONDS)
        except KafkaError as error:
            raise _unavailable(error) from error
        finally:
            producer.close(timeout=0)


@contextmanager
def _answering(brokers: Brokers) -> Iterator[Any]:
    """Yield a consumer that assigns partitions itself and commits nothing; close it afterwards."""
    try:
        consumer = KafkaConsumer(
            **brokers.of_python(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            bootstrap_timeout_ms=int(ANSWER_SECONDS * 500),
            allow_auto_create_topics=False,
        )
        try:
            yield consumer
        finally:
            consumer.close()
    except (CorruptRecordError, UnsupportedCodecError) as error:
        raise ReplayRefusedError(f"the message is among bytes that cannot be read ({error})") from error
    except KafkaError as error:
        raise _unavailable(error) from error


def _between(consumer: Any, first: dict[Any, int], ends: dict[Any, int]) -> list[bytes]:
    return [record.value for record in _records(consumer, first, ends) if record.value is not None]


def _records(consumer: Any, first: dict[Any, int], ends: dict[Any, int]) -> list[Any]:
    """Read each partition from its first offset up to its end."""
    open_places = {place for place, offset in first.items() if offset < ends[place]}
    consumer.assign(open_places)
    for place in open_places:
        consumer.seek(place, first[place])
    found = []
    silent = 0
    while open_places:
        polled = consumer.poll(timeout_ms=POLL_MS)
        silent = 0 if polled else silent + 1
        if silent * POLL_MS >= ANSWER_SECONDS * 1000:
            raise UnavailableError(Part.KAFKA, "Kafka: no message within the time")
        for place, records in polled.items():
            found += [record for record in records if record.offset < ends[place]]
        open_places = {place for place in open_places if consumer.position(place) < ends[place]}
    return found


def _unavailable(error: KafkaError) -> UnavailableError:
    return UnavailableError(Part.KAFKA, f"Kafka does not answer ({type(error).__name__})")
