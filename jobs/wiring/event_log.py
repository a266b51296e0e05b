"""Connect to the log that events are sent to."""

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from ingestion.contract.brokers import Brokers
from ingestion.contract.topics import TOPIC_CLOCK
from ingestion.contract.unavailable import UnavailableError
from ingestion.kafka_producer import KafkaEventLog
from jobs.checkup.kafka_access import READ, WRITE, check_access
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


def connect(brokers: Brokers, topic: str, deadline_ms: int) -> KafkaEventLog:
    """Connect to the log as a writer, or raise CommandError with the reason and the remedy.

    UNAVAILABLE if no broker answers, REFUSED if one does not accept us or lets us not write.
    """
    try:
        check_access(brokers, {topic: (WRITE,)})
        return KafkaEventLog.connect(brokers, topic, deadline_ms=deadline_ms)
    except UnavailableError as error:
        remedy = "start it and create the topics (./viewledger topics create), or set VIEWLEDGER_KAFKA_BOOTSTRAP"
        raise CommandError(f"{error}; {remedy}", ExitCode.UNAVAILABLE) from error


def open_log_ends(brokers: Brokers, topic: str) -> KafkaLogEnds:
    """Connect to the log as a reader that needs the broker's time; raise CommandError(REFUSED) if we may not."""
    check_access(brokers, {topic: (READ,), TOPIC_CLOCK: (WRITE,)})
    return KafkaLogEnds(brokers, topic)
