"""API and collector are replaced under load, several times; no client sees an error."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from kafka import KafkaConsumer, TopicPartition

from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from jobs.checkup.topics import admin_client
from jobs.child.process import bound_to_parent
from jobs.commands.topics import create
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings import KafkaConnection
from speed_layer.redis_segment_store import RedisSegmentStore
from tests.ingestion_fakes import event_fields
from tests.server_process import MAIN, server_process
from tests.serving_postgres import publish

PARTITIONS = 12
RESTARTS = 2
ENDS_WITHIN_SECONDS = 20.0


@pytest.fixture(scope="module")
def servers() -> Iterator[LocalStack]:
    """Kafka with its topics, Redis and PostgreSQL, with a version in which -a has 1,000 views."""
    names = ("kafka", "redis", "postgres")
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=names) as stack:
        connection = KafkaConnection.from_environ(stack.environment)
        with admin_client(connection) as admin:
            create(admin, connection)
        publish(stack.environment["VIEWLEDGER_POSTGRES_URL"], {"-a": (1_000, 800)}, partition_count=PARTITIONS)
        store = RedisSegmentStore.connect(stack.environment["VIEWLEDGER_REDIS_URL"])
        for partition in range(PARTITIONS):
            store.reset(partition, position=100, segment=100, replay_until=0)
        yield stack


class Generations:
    """Processes that share one listening socket; each is started before the former one is asked to stop."""

    def __init__(self, module: str, environ: Mapping[str, str]) -> None:
        self._module = module
        self._environ = environ
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.running: list[subprocess.Popen[bytes]] = []
        self.exit_codes: list[int] = []

    def start(self) -> None:
        number = self._listener.fileno()
        child = subprocess.Popen(
            [sys.executable, "-c", MAIN, self._module],
            env={**os.environ, **self._environ, "VIEWLEDGER_LISTEN_FD": str(number)},
            pass_fds=(number,),
            stdout=subprocess.PIPE,
            preexec_fn=bound_to_parent(signal.SIGKILL),
        )
        self.running.append(child)
        assert child.stdout is not None
        assert any(b" ready" in line for line in child.stdout), f"it ended with {child.wait()} before it was ready"
        threading.Thread(target=child.stdout.read).start()  # so that it can go on writing

    def end_oldest(self) -> None:
        child = self.running.pop(0)
        child.send_signal(signal.SIGTERM)
        self.exit_codes.append(child.wait(ENDS_WITHIN_SECONDS))

    def close(self) -> None:
        for child in self.running:
            child.kill()
            child.wait()
        self._listener.close()


@contextmanager
def generations(module: str, environ: Mapping[str, str]) -> Iterator[Generations]:
    made = Generations(module, environ)
    try:
        made.start()
        yield made
    finally:
        made.close()


class Load:
    """Clients that send one request after the other, some over kept connections, some over a new one each time."""

    def __init__(self, url: str, ask: Callable[[httpx.Client, int], httpx.Response]) -> None:
        self._url = url
        self._ask = ask
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._numbers = iter(range(10**9))
        self.seen: Counter[str] = Counter()
        """What came back, by status or by error."""
        self.closings = 0
        self._threads = [threading.Thread(target=self._run, args=(number % 3 > 0,)) for number in range(9)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Waits until `count` more requests were answered."""
        wanted, deadline = self.seen.total() + count, time.monotonic() + 60
        while self.seen.total() < wanted:
            assert time.monotonic() < deadline, "too few answers in time"
            time.sleep(0.01)

    def _run(self, keeps: bool) -> None:
        client = self._client()
        while not self._ending.is_set():
            if not keeps:
                client.close()
                client = self._client()
            with self._lock:
                number = next(self._numbers)
            try:
                answer = self._ask(client, number)
                what, closing = str(answer.status_code), answer.headers.get("connection") == "close"
            except httpx.HTTPError as error:
                what, closing = repr(error), False
            with self._lock:
                self.seen[what] += 1
                self.closings += closing
        client.close()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, timeout=15, trust_env=False, headers={"User-Agent": "Player/1.0"})


def restart_under_load(made: Generations, load: Load) -> None:
    for _ in range(RESTARTS):
        load.wait_for(60)
        made.start()
        load.wait_for(60)
        made.end_oldest()
    load.wait_for(60)


def test_readers_do_not_notice_that_the_api_is_replaced(servers: LocalStack) -> None:
    def ask(client: httpx.Client, _: int) -> httpx.Response:
        answer = client.get("/v1/videos/-a/views")
        assert answer.json()["views"] == 1_000
        return answer

    with generations("jobs.processes.api", servers.environment) as made:
        with Load(made.url, ask) as load:
            restart_under_load(made, load)
        assert set(load.seen) == {"200"}
        assert load.closings > 0
        assert made.exit_codes == [ExitCode.OK] * RESTARTS


def test_senders_do_not_notice_that_the_collector_is_replaced_and_nothing_is_lost_or_doubled(
    servers: LocalStack,
) -> None:
    sent: set[str] = set()

    def ask(client: httpx.Client, number: int) -> httpx.Response:
        fields = event_fields(number, timestamp=datetime.now(UTC).isoformat())
        sent.add(fields["event_id"])
        return client.post("/v1/events", json=fields)

    with generations("jobs.processes.collector", servers.environment) as made:
        with Load(made.url, ask) as load:
            restart_under_load(made, load)
        assert set(load.seen) == {"202"}
        assert made.exit_codes == [ExitCode.OK] * RESTARTS
    stored = ids_in_the_topic(servers.environment["VIEWLEDGER_KAFKA_BOOTSTRAP"])
    assert set(stored) == sent
    assert set(stored.values()) == {1}


def ids_in_the_topic(bootstrap: str) -> Counter[str]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(TOPIC_VIDEO_VIEWS, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    found: Counter[str] = Counter()
    while any(consumer.position(each) < ends[each] for each in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            found.update(json.loads(record.value)["event_id"] for record in records)
    consumer.close()
    return found


def test_a_process_that_is_asked_to_stop_says_so_goes_on_answering_and_a_second_signal_ends_it(
    servers: LocalStack,
) -> None:
    environ = {**servers.environment, "VIEWLEDGER_DRAIN_SECONDS": "60"}
    with server_process("jobs.processes.api", "VIEWLEDGER_API_PORT", environ) as running:
        running.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while (answer := running.client.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline, "still ready"
        assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
        answer = running.client.get("/v1/videos/-a/views")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert running.process.poll() is None
        assert running.stop() == ExitCode.OK
