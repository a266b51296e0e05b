"""`./viewledger rebuild speed`: drop the speed layer's counts and have them counted again, and measure the time."""

import json
import logging
import sys
import time
from contextlib import closing
from dataclasses import dataclass

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.errors import RefusedError
from batch_layer.versions.postgres_log_generations import PostgresLogGenerations
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.printable import counted
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.servers import POSTGRES_URL, REDIS_URL, SPEED_NAMESPACE, TOPIC_VIDEO_VIEWS
from jobs.wiring.event_log import open_log_ends
from speed_layer.redis_segment_store import RedisSegmentStore

POLL_SECONDS = 0.1
TELL_SECONDS = 2.0


@dataclass(frozen=True)
class Rebuilt:
    """The result of a rebuild."""

    events: int
    partitions: int
    seconds: float

    @property
    def events_per_second(self) -> float:
        """Return the speed."""
        return self.events / self.seconds if self.seconds else 0.0


def run(*, within: int, as_json: bool) -> ExitCode:
    """Return OK if everything on the log is counted again; UNAVAILABLE if a server is away or no process counts."""
    environ = settings.environment("PIPELINE")
    brokers = read_brokers(environ)
    postgres_url = POSTGRES_URL.read(environ)
    redis_url = REDIS_URL.read(environ)
    topic = TOPIC_VIDEO_VIEWS.read(environ)
    store = RedisSegmentStore.connect(redis_url, namespace=SPEED_NAMESPACE.read(environ))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its chatter says no more than our one sentence
    try:
        generations = PostgresLogGenerations(postgres_url, topic)
        with (
            closing(generations),
            closing(PostgresVersionStore(postgres_url)) as versions,
            closing(open_log_ends(brokers, topic)) as log,
        ):
            log.base = generations.checked(log.log_id()).base
            current = versions.current()
            starts = [max(end, log.base) for end in current.offsets.ends] if current else []
            rebuilt = _rebuilt(store, log, starts, within)
    except RefusedError as error:
        raise CommandError(str(error), ExitCode.REFUSED) from error
    if as_json:
        figures = {"events": rebuilt.events, "partitions": rebuilt.partitions, "seconds": round(rebuilt.seconds, 2)}
        print(json.dumps(figures))
    else:
        print(
            f"counted again: {counted(rebuilt.events, 'event')} of {counted(rebuilt.partitions, 'partition')} in "
            f"{rebuilt.seconds:.1f} s ({rebuilt.events_per_second:,.0f} events/s)"
        )
    return ExitCode.OK


def _rebuilt(store: RedisSegmentStore, log: KafkaLogEnds, starts: list[int], within_seconds: int) -> Rebuilt:
    """Drop the counts, then wait until the speed processes have counted up to the present end of the log.

    They count the events since the version; ids of the horizon before it are read, too.
    """
    partition_count = log.partition_count()
    starts += [log.base] * (partition_count - len(starts))
    wanted = log.highwaters()
    total = sum(end - start for end, start in zip(wanted, starts, strict=True))
    started = reported = time.monotonic()
    store.forget(partition_count)
    while True:
        positions = store.positions(partition_count)
        if all(position is not None and position >= end for position, end in zip(positions, wanted, strict=True)):
            return Rebuilt(total, partition_count, time.monotonic() - started)
        now = time.monotonic()
        places = zip(starts, positions, wanted, strict=True)
        left = sum(max(0, end - max(start, position or 0)) for start, position, end in places)
        if now - started > within_seconds:
            raise CommandError(
                f"not counted within {within_seconds} s: {left:,} of {counted(total, 'event')}; see whether "
                "a speed process "
                "runs (./viewledger status) and what its log says; counting goes on without this command",
                ExitCode.UNAVAILABLE,
            )
        if now - reported >= TELL_SECONDS:
            reported = now
            print(f"rebuild: {total - left:,} of {counted(total, 'event')}", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)
