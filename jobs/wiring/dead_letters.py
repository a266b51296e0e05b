"""Wires the reader of dead letters."""

from collections.abc import Mapping

from ingestion.contract.event import TOPIC_DEAD_LETTERS, TOPIC_VIDEO_VIEWS
from jobs import settings
from jobs.wiring.kafka_record_batches import read_every_batch
from speed_layer.kafka_dead_letter_replay import KafkaDeadLetterReplay
from speed_layer.postgres_replays import PostgresReplays


def open_replay(environ: Mapping[str, str]) -> KafkaDeadLetterReplay:
    """Wires the reader of dead letters; connects to nothing yet."""
    read_every_batch()
    source = environ.get("VIEWLEDGER_TOPIC_VIDEO_VIEWS") or TOPIC_VIDEO_VIEWS
    return KafkaDeadLetterReplay(
        settings.host_ports(environ, "VIEWLEDGER_KAFKA_BOOTSTRAP"),
        PostgresReplays(settings.PostgresConnection.from_environ(environ).url, source),
        source_topic=source,
        topic=environ.get("VIEWLEDGER_TOPIC_DEAD_LETTERS") or TOPIC_DEAD_LETTERS,
    )
