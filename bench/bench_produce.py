"""Messages of 512 bytes a second into Kafka: ingestion's producer beside bare kafka-python.

    python -m bench.bench_produce [--messages 200000] [--rounds 3]

Both with acks=all and idempotence, into a topic of 12 partitions of its own; all acknowledgements awaited. A third
figure adds decoding, judging and pseudonyms, as `./viewledger ingest` does. Needs the local stack (./viewledger up).
"""

import argparse
import json
import random
import secrets
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from ingestion.contract.brokers import Brokers
from ingestion.file_feed import Feed, Line
from ingestion.intake import AdmittedEvent
from ingestion.kafka_producer import KafkaEventLog, producer_settings
from jobs.settings import environment
from jobs.settings.brokers import read_brokers

VALUE_BYTES = 512
KEYS = 2_000
CHUNK = 500
CHUNKS_IN_FLIGHT = 40
DEADLINE_MS = 30_000
SEED = 20261123


def main() -> None:
    """Print each round and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    brokers = read_brokers(environment())
    topic = f"bench-{secrets.token_hex(4)}"
    admin = KafkaAdminClient(**brokers.of_python())
    admin.create_topics([NewTopic(topic, 12, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    admin.wait_for_topics([topic], timeout_ms=10_000)
    try:
        compare(brokers, topic, arguments.messages, arguments.rounds)
    finally:
        admin.delete_topics([topic])
        admin.close()


def compare(brokers: Brokers, topic: str, count: int, rounds: int) -> None:
    """Measure the three ways in turns."""
    generator = random.Random(SEED)
    keys = [generator.randbytes(8).hex()[:11] for _ in range(KEYS)]
    events = [
        AdmittedEvent("", generator.choice(keys).encode(), generator.randbytes(VALUE_BYTES), datetime.now(UTC))
        for _ in range(count)
    ]
    lines = [Line(number + 1, event_json(generator, generator.choice(keys))) for number in range(count)]
    bare = KafkaProducer(**producer_settings(brokers, DEADLINE_MS) | {"linger_ms": 5})
    ours = KafkaEventLog.connect(brokers, topic, deadline_ms=DEADLINE_MS)
    ways: dict[str, Callable[[], None]] = {
        "bare kafka-python": lambda: produce_bare(bare, topic, events),
        "ingestion's producer": lambda: produce_ours(ours, events),
        "decode + pseudonym + produce": lambda: feed(ours, lines),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            rates[name].append(count / (time.perf_counter() - started))
            print(f"{name}: {rates[name][-1]:,.0f} messages/s", flush=True)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        print(f"median {name}: {rate:,.0f} messages/s, {rate / medians['bare kafka-python']:.2f} of bare")
    bare.close()
    ours.close()


def produce_bare(producer: KafkaProducer, topic: str, events: list[AdmittedEvent]) -> None:
    """Call `send` for each, then wait for all."""
    futures = [producer.send(topic, event.value, event.key) for event in events]
    producer.flush(60)
    assert all(future.succeeded() for future in futures)


def produce_ours(log: KafkaEventLog, events: list[AdmittedEvent]) -> None:
    """Send in chunks as large as a full request, several of them in flight at a time."""
    under_way = []
    for start in range(0, len(events), CHUNK):
        under_way.append(log.append(events[start : start + CHUNK]))
        if len(under_way) > CHUNKS_IN_FLIGHT:
            under_way.pop(0).result(60)
    for acknowledgement in under_way:
        acknowledgement.result(60)


def feed(log: KafkaEventLog, lines: list[Line]) -> None:
    """Send the way `ingest` does."""
    feeding = Feed(log, clock=lambda: datetime.now(UTC), pseudonym_key=b"k" * 32)
    for rejected in feeding.send(lines):
        assert not rejected
    assert feeding.summary.accepted == len(lines)


def event_json(generator: random.Random, video_id: str) -> bytes:
    """Return an event of about VALUE_BYTES."""
    event = {
        "event_id": str(uuid.UUID(int=generator.getrandbits(128), version=4)),
        "video_id": video_id,
        "user_id": f"user_{generator.randrange(10**6)}",
        "session_id": f"session_{generator.randrange(10**6)}",
        "timestamp": datetime.now(UTC).isoformat(),
        "view_duration": generator.randrange(600),
        "device_type": "mobile",
        "geo_location": "US",
        "quality": "1080p",
        "revenue_eligible": True,
    }
    event["referrer"] = "https://example.com/" + "x" * (VALUE_BYTES - len(json.dumps(event)) - 36)
    return json.dumps(event).encode()


if __name__ == "__main__":
    main()
