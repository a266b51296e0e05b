"""Wire the reader of dead letters."""

from collections.abc import Mapping

from jobs.settings.brokers import read_brokers
from jobs.settings.declared.servers import POSTGRES_URL, TOPIC_DEAD_LETTERS, TOPIC_VIDEO_VIEWS
from jobs.wiring.kafka_record_batches import read_every_batch
from speed_layer.kafka_dead_letter_replay import KafkaDeadLetterReplay
from speed_layer.postgres_replays import PostgresReplays


def open_replay(environ: Mapping[str, str]) -> KafkaDeadLetterReplay:
    """Return the reader of dead letters; it does not connect yet."""
    read_every_batch()
    source = TOPIC_VIDEO_VIEWS.read(environ)
    return KafkaDeadLetterReplay(
        read_brokers(environ),
        PostgresReplays(POSTGRES_URL.read(environ), source),
        source_topic=source,
        topic=TOPIC_DEAD_LETTERS.read(environ),
    )
