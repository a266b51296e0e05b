"""Write dead letters to Kafka, acknowledged by all in-sync replicas before their chunk is applied."""

import logging
from collections.abc import Iterable
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from ingestion.contract.brokers import Brokers
from ingestion.contract.unavailable import Part, UnavailableError
from speed_layer.chunk import Rejection
from speed_layer.dead_letter import dead_letter

logger = logging.getLogger(__name__)

ACKNOWLEDGED_WITHIN_SECONDS = 10.0


class KafkaDeadLetters:
    """Sends rejected messages to the dead-letter topic, at least once: a repeated chunk repeats its letters.

        Connects with the first letter. After a failure the producer is thrown away: one whose letters ran out of time
    while the broker hung never sent again in a test.
    """

    def __init__(self, brokers: Brokers, *, source_topic: str, topic: str) -> None:
        self._brokers = brokers
        self._source_topic = source_topic
        self._topic = topic
        self._producer: Any = None

    def send(self, partition_rejections: Iterable[tuple[int, Rejection]]) -> None:
        """Return after every letter is acknowledged; raise UnavailableError if one is not in time."""
        letters = [dead_letter(self._source_topic, partition, each) for partition, each in partition_rejections]
        try:
            if self._producer is None:
                self._producer = self._connect()
            sending = [self._producer.send(self._topic, key=key, value=value) for key, value in letters]
            for future in sending:
                future.get(timeout=ACKNOWLEDGED_WITHIN_SECONDS)
        except KafkaError as error:
            self.close()
            raise UnavailableError(Part.KAFKA, f"the dead letter topic: {type(error).__name__} {error}") from error

    def close(self) -> None:
        """Close the connection without waiting: `send` has already waited for all acknowledgements."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.close(timeout=0)
            except KafkaError as error:
                logger.warning("dead letter producer not closed", extra={"fields": {"reason": str(error)}})

    def _connect(self) -> Any:
        milliseconds = int(ACKNOWLEDGED_WITHIN_SECONDS * 1000)
        return KafkaProducer(
            **self._brokers.of_python(),
            acks="all",
            enable_idempotence=False,  # letters may repeat, under the same key
            max_block_ms=milliseconds,
            delivery_timeout_ms=milliseconds,
            request_timeout_ms=milliseconds // 2,
            max_request_size=1 << 20,
            allow_auto_create_topics=False,
        )
