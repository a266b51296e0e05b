"""The broker's view of the topic: its end, the broker's time, and the append times of records."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CorruptRecordError, KafkaError, UnsupportedCodecError

from batch_layer.errors import UnreadableLogError
from ingestion.contract.brokers import Brokers
from ingestion.contract.topics import TOPIC_CLOCK
from ingestion.contract.unavailable import Part, UnavailableError, one_line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KafkaLogEnds:
    """Queries the broker; see the port `LogEnds`. One for each run: `close` it."""

    def __init__(
        self, brokers: Brokers, topic: str, *, clock_topic: str = TOPIC_CLOCK, timeout_seconds: float = 10
    ) -> None:
        self._brokers = brokers
        self._topic = topic
        self._clock_topic = clock_topic
        self._timeout_seconds = timeout_seconds
        self._timeout_ms = int(timeout_seconds * 1000)
        self.base = 0
        """Added to all of Kafka's offsets: where this generation of the log begins."""
        with _translated(brokers):
            self._consumer = KafkaConsumer(
                **brokers.of_python(),
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_uncommitted",  # as the speed layer reads; see there
                # one record per partition is needed; one whole record always comes, of any size
                max_partition_fetch_bytes=1 << 16,
                request_timeout_ms=self._timeout_ms,
                bootstrap_timeout_ms=self._timeout_ms,
                client_id="viewledger-batch",
            )

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close(autocommit=False, timeout_ms=self._timeout_ms)

    def log_id(self) -> str:
        """Return the id that Kafka gave the topic when it was created."""
        with _translated(self._brokers):
            admin = KafkaAdminClient(
                **self._brokers.of_python(),
                request_timeout_ms=self._timeout_ms,
                bootstrap_timeout_ms=self._timeout_ms,
            )
            try:
                (topic,) = admin.describe_topics([self._topic])
            finally:
                admin.close()
        if topic["error_code"]:
            raise UnavailableError(
                Part.KAFKA, f"Kafka at {self._brokers} has no topic {self._topic}; ./viewledger topics create"
            )
        return str(topic["topic_id"])

    def partition_count(self) -> int:
        """See the port."""
        with _translated(self._brokers):
            partitions = self._consumer.partitions_for_topic(self._topic)
        if not partitions:
            raise UnavailableError(
                Part.KAFKA, f"Kafka at {self._brokers} has no topic {self._topic}; ./viewledger topics create"
            )
        return len(partitions)

    def broker_time(self) -> datetime:
        """See the port. Sends one record to the clock topic, which must stamp records itself (LogAppendTime)."""
        with _translated(self._brokers):
            producer = KafkaProducer(
                **self._brokers.of_python(),
                acks="all",
                request_timeout_ms=self._timeout_ms,
                max_block_ms=self._timeout_ms,
                bootstrap_timeout_ms=self._timeout_ms,
                client_id="viewledger-batch-clock",
            )
            try:
                sent = producer.send(self._clock_topic, b"?").get(timeout=self._timeout_seconds)
            finally:
                producer.close(timeout=self._timeout_seconds)
        return _instant(sent.timestamp)

    def beginnings(self) -> tuple[int, ...]:
        """See the port."""
        with _translated(self._brokers):
            found = self._consumer.beginning_offsets(self._partitions(), timeout_ms=self._timeout_ms)
        return tuple(found[each] + self.base for each in self._partitions())

    def highwaters(self) -> tuple[int, ...]:
        """See the port."""
        with _translated(self._brokers):
            found = self._consumer.end_offsets(self._partitions(), timeout_ms=self._timeout_ms)
        return tuple(found[each] + self.base for each in self._partitions())

    def appended_at(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        """See the port."""
        wanted = {
            TopicPartition(self._topic, partition): max(0, offset - self.base) for partition, offset in offsets.items()
        }
        found: dict[int, datetime] = {}
        with _translated(self._brokers):
            ends = self._consumer.end_offsets(list(wanted), timeout_ms=self._timeout_ms)
            self._consumer.assign(list(wanted))
            for partition, offset in wanted.items():
                self._consumer.seek(partition, offset)
            waiting = set(wanted)
            give_up_at = datetime.now(UTC) + timedelta(seconds=self._timeout_seconds)
            while waiting:
                for partition, records in self._consumer.poll(timeout_ms=500).items():
                    found.setdefault(partition.partition, _instant(records[0].timestamp))
                # a position that moved without a record passed over the markers of a transaction
                over = {
                    each
                    for each in waiting
                    if each.partition in found
                    or self._consumer.position(each, timeout_ms=self._timeout_ms) >= ends[each]
                }
                self._consumer.pause(*over)
                waiting -= over
                if waiting and datetime.now(UTC) > give_up_at:
                    raise UnavailableError(
                        Part.KAFKA, f"Kafka at {self._brokers} did not send a record in {self._timeout_seconds:g} s"
                    )
            self._consumer.unsubscribe()
        return found

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self._topic, index) for index in range(self.partition_count())]


def _instant(epoch_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=epoch_ms)


@contextmanager
def _translated(brokers: Brokers) -> Iterator[None]:
    try:
        yield
    except (CorruptRecordError, UnsupportedCodecError) as error:
        raise UnreadableLogError(f"the log holds bytes that cannot be read ({error}); nothing was counted") from error
    except (KafkaError, OSError) as error:
        text = one_line(error)
        raise UnavailableError(Part.KAFKA, f"Kafka at {brokers} does not answer ({text})") from error
