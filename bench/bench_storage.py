"""Bytes on disk of what grows: events in Kafka, served counts and bills in PostgreSQL; the sizes that `plan` rests on.

    python -m bench.bench_storage [--events 50000] [--payees 2000] [--lines 10] [--videos 50000]

Starts a Kafka and a PostgreSQL of its own. Sizes include indexes, and are differences: a table that is filled twice as
much takes about twice as much. Events are those of bench_produce, which are 512 bytes of JSON each.
"""

import argparse
import random
import secrets
from contextlib import closing
from pathlib import Path

import psycopg2
from kafka.admin import KafkaAdminClient, NewTopic

from bench.bench_billing import PREREQUISITES, bills, execute, run_of
from bench.bench_produce import SEED, event_json, feed
from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.postgres_session import connector
from ingestion.contract.brokers import Brokers
from ingestion.contract.periods import Period
from ingestion.file_feed import Line
from ingestion.kafka_producer import KafkaEventLog
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.declared.servers import KAFKA_BOOTSTRAP
from jobs.wiring.migrations import migrate

SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = %s::regnamespace"""
COUNTS = """
    INSERT INTO published.video_counts (video_id, version, views, billable_views, watched_seconds)
    SELECT left(md5(number::text), 11), 1, number, number / 2, 60 * number FROM generate_series(1, {}) AS number"""


def main() -> None:
    """Print the bytes of each, and how they were measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--events", 50_000), ("--payees", 2_000), ("--lines", 10), ("--videos", 50_000)):
        parser.add_argument(name, type=int, default=default)
    flags = parser.parse_args()
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("postgres", "kafka")) as stack:
        events_in_kafka(folder, KAFKA_BOOTSTRAP.read(stack.environment), flags.events)
        url = stack.environment["VIEWLEDGER_POSTGRES_URL"]
        migrate(url)
        execute(url, PREREQUISITES)
        before = size(url, "published")
        execute(url, COUNTS.format(flags.videos))
        print(f"served counts: {(size(url, 'published') - before) / flags.videos:.0f} bytes a video and version")
        sizes = []
        for period, lines in (("2026-08", 1), ("2026-09", 1), ("2026-10", 1 + flags.lines)):
            before = size(url, "billing")
            found = bills(flags.payees, lines, Period.parse(period))
            post_bills(run_of(Period.parse(period)), found, PostgresBooks(connector(url, "viewledger_billing")))
            sizes.append((size(url, "billing") - before) / flags.payees)
        line = (sizes[2] - sizes[1]) / flags.lines
        print(f"bills: {sizes[1] - line:.0f} bytes a statement with its transaction, {line:.0f} bytes a line")


def events_in_kafka(folder: Path, bootstrap: tuple[str, ...], count: int) -> None:
    """Print the bytes of an event in the segments of a topic of its own."""
    topic = f"bench-{secrets.token_hex(4)}"
    generator = random.Random(SEED)
    with closing(KafkaAdminClient(bootstrap_servers=list(bootstrap))) as admin:
        admin.create_topics([NewTopic(topic, 12, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
        admin.wait_for_topics([topic], timeout_ms=10_000)
    keys = [generator.randbytes(8).hex()[:11] for _ in range(2_000)]
    lines = [Line(number + 1, event_json(generator, generator.choice(keys))) for number in range(count)]
    with closing(KafkaEventLog.connect(Brokers(bootstrap), topic, deadline_ms=30_000)) as log:
        feed(log, lines)
    stored = sum(each.stat().st_size for each in folder.rglob(f"{topic}-*/*.log"))
    sent = sum(len(each.raw) for each in lines)
    print(f"events in Kafka: {stored / count:.0f} bytes an event, {stored / sent:.2f} of its JSON")


def size(url: str, schema: str) -> int:
    """Return the bytes of a schema's tables with their indexes."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(SIZE, (schema,))
        (found,) = cursor.fetchall()
        return int(found[0])


if __name__ == "__main__":
    main()
