"""Read the log from Kafka, as a member of a consumer group that ignores the group's committed offsets."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    CorruptRecordError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
    UnsupportedCodecError,
)

from ingestion.contract.brokers import Brokers
from ingestion.contract.unavailable import Part, UnavailableError
from speed_layer.chunk import LogRecord
from speed_layer.errors import OffsetsGoneError, SpeedLayerError, TopicSettingsError, UnreadableLogError
from speed_layer.ports import LogRange

logger = logging.getLogger(__name__)

LOG_APPEND_TIME = 1


@dataclass(frozen=True)
class KafkaLogSettings:
    """Settings of the consumer."""

    brokers: Brokers
    topic: str
    group_id: str
    session_timeout_ms: int = 6_000
    """The group gives a member's partitions to others after this time without a heartbeat (at least 6 s)."""
    poll_interval_max_ms: int = 30_000
    """How long a rebalance waits for a member that no longer answers, such as one whose request to join was lost with
    its connection. Kafka's default of five minutes delayed counting by as much. A process that takes
    longer between two polls loses its partitions for a moment, which does no harm."""
    metadata_age_max_ms: int = 10_000
    """How often to ask again for the partitions' leaders. With kafka-python's five minutes, a consumer whose request
    failed while brokers died counted nothing for as long."""
    poll_records_max: int = 4_000
    partition_fetch_bytes: int = 1 << 20
    fetch_bytes: int = 16 << 20
    answer_timeout_ms: int = 5_000


class KafkaLog:
    """Consumes the partitions of one topic that the group assigns to this process."""

    def __init__(self, settings: KafkaLogSettings) -> None:
        self._settings = settings
        self._base = 0
        try:
            self._admin = KafkaAdminClient(
                **settings.brokers.of_python(),
                bootstrap_timeout_ms=settings.answer_timeout_ms,
                request_timeout_ms=settings.answer_timeout_ms,
            )
            self._consumer = KafkaConsumer(
                **settings.brokers.of_python(),
                group_id=settings.group_id,
                enable_auto_commit=False,
                auto_offset_reset="none",
                # An event counts when it is on the log, even if its transaction is aborted; sent again, it keeps its
                # id. Waiting for the transaction's end would let one producer delay all events.
                isolation_level="read_uncommitted",
                session_timeout_ms=settings.session_timeout_ms,
                heartbeat_interval_ms=settings.session_timeout_ms // 3,
                max_poll_interval_ms=settings.poll_interval_max_ms,
                metadata_max_age_ms=settings.metadata_age_max_ms,
                max_poll_records=settings.poll_records_max,
                max_partition_fetch_bytes=settings.partition_fetch_bytes,
                fetch_max_bytes=settings.fetch_bytes,
                reconnect_backoff_max_ms=2_000,
                bootstrap_timeout_ms=settings.answer_timeout_ms,
                allow_auto_create_topics=False,
            )
        except KafkaError as error:
            raise _unavailable(error) from error
        self._listener = _Listener(self._consumer)
        self._consumer.subscribe([settings.topic], listener=self._listener)

    def poll(self, timeout_seconds: float) -> Mapping[int, Sequence[LogRecord]]:
        """Return the next messages by partition."""
        self._keep_joining()
        try:
            polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=int(timeout_seconds * 1000))
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            raise OffsetsGoneError(
                f"Kafka does not have the offsets to read next ({type(error).__name__}: {error}): retention removed "
                "events that were not counted, or the log was truncated"
            ) from error
        except (CorruptRecordError, UnsupportedCodecError) as error:
            raise UnreadableLogError(
                f"topic {self._settings.topic} holds bytes that cannot be read ({error}); counting goes on once the "
                "broker has them whole again, or a newer version reads them"
            ) from error
        except RetriableError as error:
            raise _unavailable(error) from error
        except KafkaError as error:
            raise SpeedLayerError(f"Kafka: {error}") from error
        for records in polled.values():
            if any(record.timestamp_type != LOG_APPEND_TIME for record in records):
                raise TopicSettingsError(
                    f"topic {self._settings.topic} has message.timestamp.type=CreateTime; the time an event was "
                    "received must be the broker's: set LogAppendTime"
                )
        if self._base:
            shifted = {
                partition: [each._replace(offset=each.offset + self._base) for each in records]
                for partition, records in polled.items()
            }
            return {partition.partition: records for partition, records in shifted.items()}
        return {partition.partition: records for partition, records in polled.items()}

    def log_id(self) -> str:
        """Return the id that Kafka gave the topic when it was created."""
        try:
            (topic,) = self._admin.describe_topics([self._settings.topic])
        except KafkaError as error:
            raise _unavailable(error) from error
        if topic["error_code"]:
            raise UnavailableError(Part.KAFKA, f"Kafka: topic {self._settings.topic}: error {topic['error_code']}")
        return str(topic["topic_id"])

    def count_from(self, base: int) -> None:
        """Add `base` to all of Kafka's offsets."""
        self._base = base

    def assignment(self) -> tuple[int, frozenset[int]]:
        """Return the number of the latest rebalance and the partitions it assigned."""
        return self._listener.assignment, self._listener.assigned

    def begin(self, partition: int, position: int) -> None:
        """Deliver a partition's messages from `position` on."""
        # Offsets before this generation of the log cannot be read.
        self._consumer.seek(self._at(partition), max(0, position - self._base))
        self._consumer.resume(self._at(partition))

    def hold(self, partitions: Collection[int]) -> None:
        """Stop delivering these partitions until `begin`."""
        still = self._consumer.assignment()
        self._consumer.pause(*(self._at(each) for each in partitions if self._at(each) in still))

    def ranges(self, partitions: Collection[int]) -> Mapping[int, LogRange]:
        """Return the range of offsets that the broker has of each partition."""
        at = [self._at(partition) for partition in partitions]
        timeout_ms = self._settings.answer_timeout_ms
        if not at:
            return {}
        try:
            starts = self._consumer.beginning_offsets(at, timeout_ms=timeout_ms)
            ends = self._consumer.end_offsets(at, timeout_ms=timeout_ms)
        except KafkaError as error:
            raise _unavailable(error) from error
        # Nothing is missing before the start of a log that begins with its first message.
        begins = {each: starts[each] + self._base if starts[each] else 0 for each in at}
        return {each.partition: LogRange(begins[each], ends[each] + self._base) for each in at}

    def first_offset_since(self, partition: int, append_time_ms: int) -> int | None:
        """Return the first offset appended at that time or later; None if there is none."""
        at = self._at(partition)
        try:
            found = self._consumer.offsets_for_times({at: append_time_ms}, timeout_ms=self._settings.answer_timeout_ms)
        except KafkaError as error:
            raise _unavailable(error) from error
        return None if found[at] is None else int(found[at].offset) + self._base

    def next_offset(self, partition: int) -> int:
        """Return the offset after all delivered messages and the transaction markers that follow them."""
        position = self._consumer.position(self._at(partition), timeout_ms=self._settings.answer_timeout_ms)
        return int(position) + self._base

    def close(self) -> None:
        """Leave the group, so that others take over at once (a little later if the broker does not answer)."""
        try:
            self._consumer.close(autocommit=False, timeout_ms=self._settings.answer_timeout_ms)
            self._admin.close()
        except KafkaError as error:
            logger.warning("left the group without notice", extra={"fields": {"reason": str(error)}})

    def _keep_joining(self) -> None:
        """Make the client finish joining the group when an earlier poll ended before the broker had answered.

        The group's leader joins again when the topic's partitions change, such as when it learns them only after its
        first join. While the broker answers, the client forgets that reason: the next poll neither waits for the
        answer nor sends heartbeats, and the process would count nothing until it was restarted. The client has no
        public call for this.
        """
        group = self._consumer._coordinator
        if group.rejoining:
            group.request_rejoin()

    def _at(self, partition: int) -> Any:
        return TopicPartition(self._settings.topic, partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Pauses newly assigned partitions. The client calls it from its own thread while the loop waits in `poll`."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self.assignment = 0
        self.assigned: frozenset[int] = frozenset()

    def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        """Do nothing: effects are stored with their positions, and the loop notices the next assignment."""

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        """Keep the client from fetching the group's offsets: any position will do, since the partition is paused."""
        for partition in assigned:
            self._consumer.seek(partition, 0)
        self._consumer.pause(*assigned)
        self._became(assigned)

    def on_partitions_lost(self, lost: Collection[Any]) -> None:
        """Give up partitions that the group reassigned without notice."""
        self._became(())

    def _became(self, assigned: Collection[Any]) -> None:
        self.assigned = frozenset(partition.partition for partition in assigned)
        self.assignment += 1


def _unavailable(error: KafkaError) -> UnavailableError:
    return UnavailableError(Part.KAFKA, f"Kafka: {type(error).__name__} {error}".rstrip())
