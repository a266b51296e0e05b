"""The speed process on real servers: several processes, one killed; a lost store; a stopped store."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from jobs.child.process import bound_to_parent
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.state_home import PROJECT
from jobs.wiring.postgres_logins import in_database
from tests.billing_postgres import own_database
from tests.kafka_topic import records_of
from tests.server_process import server_process
from tests.speed_fakes import event_value
from tests.speed_stores import FlushableRedisStore, redis_store
from tests.trace_receiver import attributes, trace_receiver

PARTITION_COUNT = 4
ZERO = (0,) * PARTITION_COUNT
VIDEOS = [f"video{index}" for index in range(50)]
SENT_SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200"}  # milliseconds; the library reads it itself
PLAYER = {"content-type": "application/json", "user-agent": "Player/1"}
WITHIN_SECONDS = 60.0


class Running:
    """One speed process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.port = free_ports().speed_metrics
        environ = {**os.environ, **environment, "VIEWLEDGER_SPEED_METRICS_PORT": str(self.port)}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", "run", "speed"],
            cwd=PROJECT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=bound_to_parent(signal.SIGKILL),
        )

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self) -> bool:
        assert self.child.poll() is None, self.output()
        return self.get("/readyz")[0] == 200

    def output(self) -> str:
        return self.child.communicate(timeout=60)[0].decode()

    def end(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        self.output()
        return self.child.returncode


class Scene:
    """A topic, keys and a database of their own, and what was sent."""

    def __init__(self, environment: Mapping[str, str], store: FlushableRedisStore, postgres_url: str) -> None:
        self.store = store
        self.bootstrap = environment["VIEWLEDGER_KAFKA_BOOTSTRAP"]
        self.topic = f"test-speed-{uuid.uuid4().hex}"
        self.dead_letter_topic = f"{self.topic}-dlq"
        self.environment = {
            **in_database(environment, postgres_url),
            "VIEWLEDGER_TOPIC_VIDEO_VIEWS": self.topic,
            "VIEWLEDGER_TOPIC_DEAD_LETTERS": self.dead_letter_topic,
            "VIEWLEDGER_SPEED_GROUP": self.topic,
            "VIEWLEDGER_SPEED_NAMESPACE": store._namespace,
        }
        self.processes: list[Running] = []
        self.rng = random.Random(7)
        self.truth = Counter(dict.fromkeys(VIDEOS, 0))
        self.rejected = 0
        self.sent: list[tuple[str, bytes]] = []
        append_time = {"message.timestamp.type": "LogAppendTime"}
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        admin.create_topics(
            [
                NewTopic(self.topic, PARTITION_COUNT, 1, topic_configs=append_time),
                NewTopic(self.dead_letter_topic, 1, 1, topic_configs=append_time),
            ]
        )
        admin.close()

    def start(self) -> Running:
        process = Running(self.environment)
        self.processes.append(process)
        return process

    def send(self, count: int, **more: object) -> None:
        """Sends events keyed by video: new ones, repeats and broken ones."""
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=2, **more)
        sending = []
        for _ in range(count):
            what = self.rng.random()
            video, value = self.rng.choice(VIDEOS), b'{"event_id": 1}'
            if what < 0.1 and self.sent:
                video, value = self.rng.choice(self.sent)
            elif what < 0.98:
                event_id = uuid.UUID(int=self.rng.getrandbits(128), version=4)
                value = event_value(event_id, video, datetime.now(UTC), f"session{self.rng.randrange(99)}")
                self.sent.append((video, value))
                self.truth[video] += 1
            else:
                self.rejected += 1
            sending.append(producer.send(self.topic, key=video.encode(), value=value))
        for future in sending:
            future.get(timeout=WITHIN_SECONDS)
        producer.close()

    def is_counted(self) -> bool:
        reading = self.store.read(ZERO, VIDEOS)
        return reading.is_complete and sum(reading.views.values()) >= self.truth.total()

    def publish(self, offset_ends: tuple[int, ...], watermark: datetime) -> None:
        """What the batch layer does at the end of its first run."""
        offsets = json.dumps({"topic": self.topic, "ends": offset_ends})
        watermarks = json.dumps([watermark.isoformat()] * PARTITION_COUNT)
        connection = psycopg2.connect(self.environment["VIEWLEDGER_POSTGRES_URL"])
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts,"
                " content_hashes, day_rules) VALUES (1, 'run', %s, %s, '{}', '{}', '{}', '{}')",
                (offsets, watermarks),
            )
            cursor.execute("INSERT INTO published.pointer (version) VALUES (1)")
        connection.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[LocalStack]:
    """A stack with Kafka, Redis and PostgreSQL, which these tests may hurt."""
    names = ("kafka", "redis", "postgres")
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=names) as stack:
        yield stack


@pytest.fixture
def scene(servers: LocalStack) -> Iterator[Scene]:
    environ = servers.environment
    with ExitStack() as cleaning:
        store = cleaning.enter_context(redis_store(environ["VIEWLEDGER_REDIS_URL"]))
        database = own_database(environ["VIEWLEDGER_POSTGRES_URL"], with_versions=False)
        made = Scene(environ, store, cleaning.enter_context(database))
        try:
            yield made
        finally:
            for process in made.processes:
                process.child.kill()
                process.child.wait()
                if process.child.stdout:
                    process.child.stdout.close()


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WITHIN_SECONDS:.0f} s: {what}"
        time.sleep(0.05)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A server that hangs: it holds its connections and answers nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_two_processes_of_which_one_is_killed_in_the_middle_count_exactly(scene: Scene) -> None:
    first, second = scene.start(), scene.start()
    eventually(lambda: first.is_ready() and second.is_ready(), "both ready")
    scene.send(3_000)
    eventually(lambda: (scene.store.positions(1)[0] or 0) > 0, "something is counted")
    first.child.kill()
    scene.send(3_000)
    eventually(scene.is_counted, "everything is counted by the one that is left")
    assert scene.store.read(ZERO, VIDEOS).views == dict(scene.truth)
    assert second.end() == ExitCode.OK

    found = {letter.key: json.loads(letter.value) for letter in records_of(scene.bootstrap, scene.dead_letter_topic, 1)}
    assert len(found) == scene.rejected
    key, letter = next(iter(found.items()))
    assert key.decode() == f"{scene.topic}/{letter['partition']}/{letter['offset']}"
    assert (letter["value"], letter["value_encoding"]) == ('{"event_id": 1}', "utf-8")
    assert "event_id_invalid" in {reason["code"] for reason in letter["reasons"]}


def test_a_lost_store_is_repaired_from_the_published_version_and_incomplete_meanwhile(scene: Scene) -> None:
    process = scene.start()
    eventually(process.is_ready, "ready")
    scene.send(2_000)
    eventually(scene.is_counted, "the first part is counted")
    settled = dict(scene.truth)
    cut = tuple(end or 0 for end in scene.store.cut(PARTITION_COUNT))
    scene.publish(cut, datetime.now(UTC))
    scene.send(2_000)

    scene.store.flush()
    assert not scene.store.read(cut, VIDEOS).is_complete
    since_cut = {video: scene.truth[video] - settled[video] for video in VIDEOS}

    def is_repaired() -> bool:
        reading = scene.store.read(cut, VIDEOS)
        assert not reading.is_complete or reading.views == since_cut, "a smaller number was called complete"
        return reading.is_complete

    eventually(is_repaired, "the store is repaired")
    assert 'speed_repairs_total{partition="0"} 1.0' in process.get("/metrics")[1]
    assert process.end() == ExitCode.OK


def test_a_store_that_hangs_makes_the_process_wait_and_counting_goes_on_by_itself(scene: Scene) -> None:
    process = scene.start()
    eventually(process.is_ready, "ready")
    (server,) = scene.store._servers.masters()
    with stopped(server.info("server")["process_id"]):
        scene.send(500)
        eventually(lambda: process.get("/readyz")[0] == 503, "not ready while Redis hangs")
        assert process.get("/healthz") == (200, "alive\n")
    eventually(process.is_ready, "ready again")
    eventually(scene.is_counted, "everything is counted")
    assert scene.store.read(ZERO, VIDEOS).views == dict(scene.truth)
    assert "speed_waits_total 0.0" not in process.get("/metrics")[1]
    assert process.end() == ExitCode.OK


def test_a_broker_that_hangs_makes_the_process_wait_and_counting_goes_on_by_itself(
    scene: Scene, servers: LocalStack
) -> None:
    process = scene.start()
    eventually(process.is_ready, "ready")
    scene.send(500)
    broker = servers.pid("kafka")
    assert broker is not None
    with stopped(broker):
        eventually(lambda: process.get("/readyz")[0] == 503, "not ready while Kafka hangs")
    scene.send(500)
    eventually(process.is_ready, "ready again")
    eventually(scene.is_counted, "everything is counted")
    assert scene.store.read(ZERO, VIDEOS).views == dict(scene.truth)
    assert process.end() == ExitCode.OK


def test_a_process_that_stands_still_leaves_no_doubt_that_events_may_be_missing(scene: Scene) -> None:
    process = scene.start()
    eventually(process.is_ready, "ready")
    scene.send(200)
    eventually(lambda: scene.is_counted() and scene.store.read(ZERO, []).is_current(5_000), "counted, and known to be")
    with stopped(process.child.pid):
        scene.send(200)
        eventually(lambda: not scene.store.read(ZERO, []).is_current(5_000), "no heartbeat for five seconds")
        assert not scene.is_counted()

    def is_known_to_be_counted() -> bool:
        reading = scene.store.read(ZERO, VIDEOS)
        is_whole = reading.views == dict(scene.truth)
        assert is_whole or not reading.is_current(5_000), "called complete before it is"
        return is_whole and reading.is_current(5_000)

    eventually(is_known_to_be_counted, "known to be counted")
    assert process.end() == ExitCode.OK


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_events_of_every_codec_are_counted(scene: Scene, codec: str) -> None:
    process = scene.start()
    eventually(process.is_ready, "ready")
    scene.send(100, compression_type=codec)
    eventually(scene.is_counted, "everything is counted")
    assert scene.store.read(ZERO, VIDEOS).views == dict(scene.truth)
    assert process.end() == ExitCode.OK


def test_a_trace_leads_from_the_players_request_over_the_message_to_the_chunk_that_counted_it(scene: Scene) -> None:
    trace_id, player = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    collector = "jobs.processes.collector", "VIEWLEDGER_COLLECTOR_PORT"
    with trace_receiver() as received:
        scene.environment |= {"VIEWLEDGER_TRACE_URL": received.url, "VIEWLEDGER_TRACE_SHARE": "0", **SENT_SOON}
        speed = scene.start()
        with server_process(*collector, scene.environment) as running:
            for number in range(20):
                headers = {"traceparent": f"00-{trace_id}-{player}-01"} if number == 7 else {}
                event_id = uuid.UUID(int=number, version=4)
                body = event_value(event_id, VIDEOS[number], datetime.now(UTC)).decode()
                answer = running.client.post("/v1/events", content=body, headers=headers | PLAYER)
                assert answer.status_code == 202
                scene.truth[VIDEOS[number]] += 1
            eventually(scene.is_counted, "all events are counted")
            assert running.stop() == ExitCode.OK
        eventually(lambda: bool(received.of("viewledger-speed")), "the span of the chunk is sent")
        assert speed.end() == ExitCode.OK
    assert scene.store.read(ZERO, VIDEOS).views == scene.truth
    (request,) = received.of("viewledger-collector")
    (chunk,) = received.of("viewledger-speed")
    assert {request.trace_id.hex(), chunk.trace_id.hex()} == {trace_id}
    assert (request.parent_span_id.hex(), chunk.parent_span_id) == (player, request.span_id)
    assert request.start_time_unix_nano < chunk.start_time_unix_nano < chunk.end_time_unix_nano
    (stored,) = request.events
    place, counted = attributes(stored), attributes(chunk)
    assert (place["count"], place["partition"]) == (1, counted["partition"])
    assert counted["position"] <= place["offset"] < counted["next_position"]


def test_a_receiver_of_traces_that_is_away_loses_no_event_and_delays_no_stop(scene: Scene) -> None:
    away = f"http://127.0.0.1:{free_ports().api}"
    scene.environment |= {"VIEWLEDGER_TRACE_URL": away, "VIEWLEDGER_TRACE_SHARE": "1", **SENT_SOON}
    speed = scene.start()
    with server_process("jobs.processes.collector", "VIEWLEDGER_COLLECTOR_PORT", scene.environment) as running:
        for number in range(50):
            body = event_value(uuid.UUID(int=number, version=4), VIDEOS[number], datetime.now(UTC))
            assert running.client.post("/v1/events", content=body, headers=PLAYER).status_code == 202
            scene.truth[VIDEOS[number]] += 1
        eventually(scene.is_counted, "all events are counted")
        assert running.stop() == ExitCode.OK
    dropped = re.compile(r'^trace_spans_total\{outcome="dropped"\} [1-9]', re.MULTILINE)
    eventually(lambda: bool(dropped.search(speed.get("/metrics")[1])), "dropped spans are counted")
    speed.child.send_signal(signal.SIGTERM)
    lines = [json.loads(each) for each in speed.output().splitlines()]
    assert [each["event"] for each in lines].count("traces not sent") == 1
    assert scene.store.read(ZERO, VIDEOS).views == scene.truth


def test_wrong_settings_end_the_process_before_it_connects(stack_environment: Mapping[str, str]) -> None:
    process = Running({**stack_environment, "VIEWLEDGER_REDIS_URL": "nonsense"})
    assert "VIEWLEDGER_REDIS_URL" in process.output()
    assert process.child.returncode == ExitCode.BAD_INPUT


def test_a_redis_that_may_drop_counts_is_refused(scene: Scene, tmp_path: Path) -> None:
    port = free_ports().redis
    redis_server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )
    try:
        process = Running({**scene.environment, "VIEWLEDGER_REDIS_URL": f"redis://127.0.0.1:{port}/0"})
        scene.processes.append(process)
        assert "set appendonly yes" in process.output()
        assert process.child.returncode == ExitCode.BAD_INPUT
    finally:
        redis_server.kill()
        redis_server.wait()
