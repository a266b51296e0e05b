"""`./viewledger topics new-generation`: continue counting with another log under the same topic's name, on purpose."""

from collections.abc import Mapping
from contextlib import closing, suppress

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.errors import AtWorkError, RefusedError
from batch_layer.versions.postgres_log_generations import PostgresLogGenerations
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.offsets import LogGeneration
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import PublishedVersion
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.servers import POSTGRES_URL, REDIS_URL, SPEED_NAMESPACE, TOPIC_VIDEO_VIEWS
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.event_log import open_log_ends
from speed_layer.redis_segment_store import RedisSegmentStore

PARTITIONS_LOOKED_AT = 64
"""A lower bound of the former log's events: the new log does not show how many there were."""


def run(*, actor: str, reason: str) -> ExitCode:
    """Return OK if the generation is recorded; REFUSED if the topic is the counted log, or a run is at work.

    Settled counts stay. Events of the former log that no version covers are no longer in any count; the new log is
    counted from its first message, and repeats of archived ids are still recognised.
    """
    environ = settings.environment()
    brokers = read_brokers(environ)
    postgres_url = POSTGRES_URL.read(environ)
    topic = TOPIC_VIDEO_VIEWS.read(environ)
    with (
        errors_as_exit_codes(),
        closing(PostgresVersionStore(postgres_url)) as versions,
        closing(PostgresLogGenerations(postgres_url, topic)) as generations,
        closing(open_log_ends(brokers, topic)) as log,
    ):
        if not versions.lock():
            raise AtWorkError
        known, current, log_id = generations.newest(), versions.current(), log.log_id()
        refuse_needless(log, known, current, log_id)
        begun = generations.begin(log_id, actor, reason)
    print(f"generation {begun.number} of {topic} is the log {log_id}; its offsets count from {begun.base:,} on")
    covered = f"version {current.version}" if current else "no version"
    lost = uncovered_count(environ, current, known)
    print(f"{covered} stands as it was; {lost} of the former log are in no count, as they are in no version")
    return ExitCode.OK


def refuse_needless(
    log: KafkaLogEnds, known: LogGeneration | None, current: PublishedVersion | None, log_id: str
) -> None:
    """Raise RefusedError if the topic is the log on record, unless it lost counted events."""
    ends = current.offsets.ends if current else ()
    highwaters = log.highwaters()
    if len(highwaters) < len(ends):
        raise RefusedError(
            f"the topic has {counted(len(highwaters), 'partition')} and version "
            f"{current.version if current else 0} covers "
            f"{len(ends)}; create it with as many"
        )
    if known is None or known.log_id != log_id:
        return
    if all(highwater + known.base >= end for highwater, end in zip(highwaters, ends, strict=False)):
        raise RefusedError(f"the topic is the log on record ({log_id}) and holds all that is counted; nothing to begin")


def uncovered_count(environ: Mapping[str, str], current: PublishedVersion | None, known: LogGeneration | None) -> str:
    """Return in words how many events of the former log the speed layer had counted after the version."""
    redis_url = REDIS_URL.read(environ)
    namespace = SPEED_NAMESPACE.read(environ)
    ends = current.offsets.ends if current else ()
    first = known.base if known else 0
    with suppress(UnavailableError), closing(RedisSegmentStore.connect(redis_url, namespace=namespace)) as store:
        positions = store.positions(max(len(ends), PARTITIONS_LOOKED_AT))
        starts = (*ends, *(0 for _ in range(len(positions) - len(ends))))
        pairs = zip(positions, starts, strict=True)
        count = sum(max(0, position - max(start, first)) for position, start in pairs if position is not None)
        return f"{counted(count, 'offset')} that the speed layer had counted"
    return "events that only the speed layer had counted"
