"""Measure the speed layer: events/s beside a bare loop in the same run, latency at a paced rate, memory.

    python bench/bench_speed.py                       a quick look: 200,000 events, its own Kafka and Redis
    python bench/bench_speed.py --events 10000000     the real run; about 15 minutes on two cores

The bare loop does what any consumer in Python must do: kafka-python's poll and msgspec's decoding, nothing else.
"""

import argparse
import gc
import multiprocessing
import random
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from prometheus_client import CollectorRegistry

from ingestion.contract.brokers import Brokers
from ingestion.contract.event import ViewEvent
from jobs.local_stack.stack import LocalStack, temporary_folder
from speed_layer.consume_loop import ConsumeLoop, LoopPorts
from speed_layer.kafka_dead_letters import KafkaDeadLetters
from speed_layer.kafka_log import KafkaLog, KafkaLogSettings
from speed_layer.ports import Published
from speed_layer.prometheus_speed_metrics import PrometheusSpeedMetrics
from speed_layer.recovery import Horizon
from speed_layer.redis_segment_store import RedisSegmentStore

PARTITION_COUNT = 12
VIDEO_COUNT = 2_000
NAMESPACE = "bench"


class NothingPublished:
    """Every count is provisional."""

    def current(self) -> Published | None:
        """Nothing was published."""
        return None


def values(count: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of events of about 290 bytes; a few videos get most of the views."""
    rng = random.Random(seed)
    videos = [f"video{index:06d}" for index in range(VIDEO_COUNT)]
    weights = [1 / (index + 1) ** 0.7 for index in range(VIDEO_COUNT)]
    for first in range(0, count, 10_000):
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        for video in rng.choices(videos, weights, k=min(10_000, count - first)):
            session = rng.getrandbits(17)
            event_id = UUID(bytes=rng.randbytes(16), version=4)
            text = (
                f'{{"event_id":"{event_id}","video_id":"{video}","user_id":"user-{session:032x}",'
                f'"session_id":"session-{session}","timestamp":"{stamp}","view_duration":{session % 600},'
                f'"revenue_eligible":true,"device_type":"mobile","geo_location":"DE","quality":"1080p"}}'
            )
            yield video.encode(), text.encode()


def produce(bootstrap: str, topic: str, count: int, rate: float | None, seed: int) -> None:
    """Send events, at most `rate` a second."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks=1, linger_ms=5, batch_size=128 * 1024)
    started = time.monotonic()
    for index, (key, value) in enumerate(values(count, seed)):
        producer.send(topic, key=key, value=value)
        if rate and index % 100 == 0 and (ahead := started + index / rate - time.monotonic()) > 0:
            time.sleep(ahead)
    producer.flush()


@contextmanager
def producing(bootstrap: str, topic: str, count: int, rate: float | None, seed: int) -> Iterator[None]:
    """Send from another process while the block runs."""
    child = multiprocessing.get_context("spawn").Process(target=produce, args=(bootstrap, topic, count, rate, seed))
    child.start()
    try:
        yield
        child.join()
    finally:
        child.kill()
        child.join()
    if child.exitcode:
        raise SystemExit("the producer failed")


class Speed(NamedTuple):
    """The speed of a loop, from the first poll that returned events."""

    events_per_second: float
    cpu_microseconds: float
    """This process's CPU time for each event; steadier than the other figure if the machine is shared."""


def bare_loop(settings: KafkaLogSettings, count: int) -> Speed:
    """Consume and decode `count` events."""
    consumer = KafkaConsumer(
        bootstrap_servers=list(settings.brokers.addresses),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=settings.poll_records_max,
        max_partition_fetch_bytes=settings.partition_fetch_bytes,
        fetch_max_bytes=settings.fetch_bytes,
    )
    consumer.assign([TopicPartition(settings.topic, index) for index in range(PARTITION_COUNT)])
    decode = msgspec.json.Decoder(ViewEvent).decode
    while not (polled := consumer.poll(1000)):
        pass
    started, cpu, left = time.monotonic(), time.process_time(), count
    while left > 0:
        for records in polled.values():
            left -= len(records)
            for record in records:
                decode(record.value)
        polled = consumer.poll(1000) if left > 0 else {}
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    consumer.close()
    return Speed(count / seconds, cpu_seconds * 1e6 / count)


def medians(speeds: Sequence[Speed]) -> Speed:
    """Return the median of each figure."""
    return Speed(*(statistics.median(figures) for figures in zip(*speeds, strict=True)))


class Subject:
    """The consume loop as the process runs it, with the real servers."""

    def __init__(self, settings: KafkaLogSettings, redis_url: str) -> None:
        self.registry = CollectorRegistry()
        self.dead_letters = KafkaDeadLetters(settings.brokers, source_topic=settings.topic, topic=settings.topic)
        gc.freeze()  # as the process does
        self.loop = ConsumeLoop(
            LoopPorts(
                catalogue=(),
                topic=settings.topic,
                log=KafkaLog(settings),
                store=RedisSegmentStore.connect(redis_url, namespace=NAMESPACE),
                published=NothingPublished(),
                dead_letters=self.dead_letters,
                observer=PrometheusSpeedMetrics(self.registry),
                clock=time.time,
                elapsed=time.time,
                pause=threading.Event().wait,
            ),
            Horizon(7_200_000),
        )

    def counted(self) -> int:
        """Return how many events were counted so far."""
        return int(self.registry.get_sample_value("view_events_total", {"verdict": "counted"}) or 0)

    def run(self, count: int) -> Speed:
        """Count `count` events."""
        before = self.counted()
        while self.counted() == before:
            begun, cpu = time.monotonic(), time.process_time()
            self.loop.step()
        while self.counted() - before < count:
            self.loop.step()
        return Speed(count / (time.monotonic() - begun), (time.process_time() - cpu) * 1e6 / count)

    def quantiles(self, *shares: float) -> list[float]:
        """Return upper bounds in seconds of the latency's quantiles."""
        samples = [
            (float(sample.labels["le"]), sample.value)
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == "processing_latency_seconds_bucket"
        ]
        total = samples[-1][1]
        return [next(bound for bound, seen in samples if seen >= share * total) for share in shares]

    def close(self) -> None:
        """Leave the group."""
        self.loop.run(lambda: True)
        self.dead_letters.close()


def resident_mib() -> float:
    """Return the present memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Bench:
    """One set of servers and the measurements on it."""

    def __init__(self, bootstrap: str, redis_url: str) -> None:
        self.bootstrap, self.redis_url = bootstrap, redis_url
        self.topics: list[str] = []

    def settings(self, name: str) -> KafkaLogSettings:
        """Return a new topic, and the settings to consume it."""
        topic = f"bench-speed-{name}-{time.time_ns()}"
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        configs = {"message.timestamp.type": "LogAppendTime"}
        admin.create_topics([NewTopic(topic, PARTITION_COUNT, 1, topic_configs=configs)])
        admin.close()
        self.topics.append(topic)
        return KafkaLogSettings(brokers=Brokers.at(self.bootstrap), topic=topic, group_id=topic)

    def clean(self) -> None:
        """Remove all counts; every measurement begins with an empty store."""
        with redis.Redis.from_url(self.redis_url) as client:
            for key in client.scan_iter(f"{{{NAMESPACE}:*", count=1000):
                client.unlink(key)

    def close(self) -> None:
        """Remove everything from the servers."""
        self.clean()
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        admin.delete_topics(self.topics)
        admin.close()

    def throughput(self, count: int, rounds: int) -> tuple[Speed, Speed]:
        """Return the medians of the bare loop and of the speed layer, on the same log, in turns."""
        settings = self.settings("throughput")
        with producing(self.bootstrap, settings.topic, count, None, seed=1):
            pass
        bare, speed = [], []
        for index in range(rounds):
            bare.append(bare_loop(settings, count))
            self.clean()
            again = KafkaLogSettings(brokers=settings.brokers, topic=settings.topic, group_id=f"bench-{index}")
            subject = Subject(again, self.redis_url)
            speed.append(subject.run(count))
            subject.close()
            rates = f"bare {bare[-1].events_per_second:,.0f}/s, speed layer {speed[-1].events_per_second:,.0f}/s"
            print(f"round {index + 1}: {rates}", file=sys.stderr)
        return medians(bare), medians(speed)

    def latency(self, count: int, rate: float) -> tuple[float, float, float, list[tuple[int, float]]]:
        """Count while a producer sends at `rate`; return (events/s, p50, p99, [(events, MiB)])."""
        self.clean()
        settings = self.settings("latency")
        subject = Subject(settings, self.redis_url)
        while not subject.loop.is_ready:
            subject.loop.step()
        memory = [(0, resident_mib())]
        with producing(self.bootstrap, settings.topic, count, rate, seed=2):
            begun = 0.0
            while (counted := subject.counted()) < count:
                begun = begun or (time.monotonic() if counted else 0.0)
                subject.loop.step()
                if counted >= memory[-1][0] + count / 10:
                    memory.append((counted, resident_mib()))
            seconds = time.monotonic() - begun
        memory.append((count, resident_mib()))
        p50, p99 = subject.quantiles(0.5, 0.99)
        subject.close()
        return count / seconds, p50, p99, memory


def measure(bench: Bench, arguments: argparse.Namespace) -> None:
    """Run everything and print the figures."""
    count, rounds = min(arguments.events, 1_000_000), arguments.rounds
    bare, speed = bench.throughput(count, rounds)
    for name, each in (("bare poll + decode", bare), ("speed layer", speed)):
        print(f"{name:<20} {each.events_per_second:>12,.0f} events/s  {each.cpu_microseconds:.1f} µs of CPU an event")
    ratio, cpu_ratio = speed.events_per_second / bare.events_per_second, bare.cpu_microseconds / speed.cpu_microseconds
    print(f"ratio                {ratio:>12.2f}  (by CPU time {cpu_ratio:.2f}; medians of {rounds} × {count:,} events)")
    paced, p50, p99, memory = bench.latency(arguments.events, arguments.rate)
    print(f"paced                {paced:>12,.0f} events/s  append → countable: p50 ≤ {p50:g} s, p99 ≤ {p99:g} s")
    print("resident memory      " + ", ".join(f"{mib:.0f} MiB after {seen:,}" for seen, mib in memory))


def main(run: Callable[[Bench, argparse.Namespace], None], words: Sequence[str]) -> None:
    """Read the flags, find or start servers, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=10_000.0, help="events/s of the paced measurement")
    parser.add_argument("--bootstrap", help="Kafka to use instead of starting one")
    parser.add_argument("--redis-url", help="Redis to use instead of starting one")
    arguments = parser.parse_args(words)
    if bool(arguments.bootstrap) != bool(arguments.redis_url):
        parser.error("give both --bootstrap and --redis-url, or neither")
    if arguments.bootstrap:
        measured(run, arguments.bootstrap, arguments.redis_url, arguments)
        return
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("kafka", "redis")) as stack:
        environ = stack.environment
        measured(run, environ["VIEWLEDGER_KAFKA_BOOTSTRAP"], environ["VIEWLEDGER_REDIS_URL"], arguments)


def measured(
    run: Callable[[Bench, argparse.Namespace], None], bootstrap: str, redis_url: str, arguments: argparse.Namespace
) -> None:
    """Measure on these servers and remove everything afterwards."""
    bench = Bench(bootstrap, redis_url)
    try:
        run(bench, arguments)
    finally:
        bench.close()


if __name__ == "__main__":
    main(measure, sys.argv[1:])
