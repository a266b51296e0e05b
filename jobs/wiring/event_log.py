"""Connect to the log that events are sent to."""

from ingestion.contract.unavailable import UnavailableError
from ingestion.kafka_producer import KafkaEventLog
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


def connect(bootstrap: tuple[str, ...], topic: str, deadline_ms: int) -> KafkaEventLog:
    """Connect to the log, or raise CommandError(UNAVAILABLE) with the reason and the remedy."""
    try:
        return KafkaEventLog.connect(bootstrap, topic, deadline_ms=deadline_ms)
    except UnavailableError as error:
        remedy = "start it and create the topics (./viewledger topics create), or set VIEWLEDGER_KAFKA_BOOTSTRAP"
        raise CommandError(f"{error}; {remedy}", ExitCode.UNAVAILABLE) from error
