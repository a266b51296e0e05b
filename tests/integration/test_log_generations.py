"""A topic that is deleted and created again is another log: it is counted on purpose only."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from faults.warm_driver import WarmDriver
from ingestion.contract.offsets import OFFSETS_PER_GENERATION
from jobs.exit_codes import ExitCode
from speed_layer.redis_connection import connected
from speed_layer.redis_segment_store import TIMEOUT_SECONDS
from tests.batch_on_stack import Batch, own_batch
from tests.integration.test_speed_process import Running, eventually
from tests.speed_stores import FlushableRedisStore

PARTITIONS = 3
WITHIN_SECONDS = 60.0


@cache
def happened_at() -> datetime:
    """Return the same for all, so that an id that is sent again is a repeat and no conflict."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def own(
    stack_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory, warm_driver: WarmDriver
) -> Iterator[Batch]:
    with own_batch(stack_environment, tmp_path_factory.mktemp("state"), warm_driver) as made:
        yield made


@pytest.fixture
def start(own: Batch) -> Iterator[Callable[[], Running]]:
    """Starts a speed process that ends with the test at the latest."""
    processes: list[Running] = []

    def started() -> Running:
        processes.append(Running({**own.environ, "VIEWLEDGER_SPEED_GROUP": own.topic}))
        return processes[-1]

    yield started
    for process in processes:
        process.child.kill()
        process.child.wait()
        if process.child.stdout:
            process.child.stdout.close()


def make_again(batch: Batch) -> None:
    """Deletes the topic and creates one of the same name."""
    with closing(KafkaAdminClient(bootstrap_servers=batch.environ["VIEWLEDGER_KAFKA_BOOTSTRAP"])) as admin:
        admin.delete_topics([batch.topic])
        settings = {"message.timestamp.type": "LogAppendTime"}
        wanted = {batch.topic: {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": settings}}
        deadline = time.monotonic() + WITHIN_SECONDS
        while True:
            try:
                admin.create_topics(wanted)
                break
            except KafkaError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        while True:
            try:
                if admin.describe_topics([batch.topic])[0]["error_code"] == 0:
                    return
            except UnknownTopicOrPartitionError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.2)


def send(batch: Batch, count: int, number: int) -> None:
    """Sends with a producer of its own: one that knew the former log looks for its leaders for a while."""
    with closing(KafkaProducer(bootstrap_servers=batch.environ["VIEWLEDGER_KAFKA_BOOTSTRAP"])) as producer:
        batch.producer, shared = producer, batch.producer
        batch.send(count, number=number, happened_at=happened_at())
        batch.producer = shared


@pytest.mark.parametrize("is_redis_lost", [False, True])
def test_another_log_is_refused_by_name_and_counted_from_its_first_message_once_it_is_begun_on_purpose(
    own: Batch, start: Callable[[], Running], redis_url: str, is_redis_lost: bool
) -> None:
    store = FlushableRedisStore(connected(redis_url, TIMEOUT_SECONDS), namespace=own.topic)

    def provisional(since: Sequence[int] | None = None) -> int:
        reading = store.read(since or own.current().offsets.ends, ["-video"])
        return reading.views["-video"] if reading.is_complete and reading.is_current(5_000) else -1

    # 1. A version of 30 views, and 10 more that only the speed layer has counted.
    speed = start()
    send(own, 30, 1)
    eventually(lambda: provisional((0,) * PARTITIONS) == 30, "the speed layer counts what a run takes")
    assert own.result("batch", "run")["version"] == 1
    send(own, 10, 100)
    eventually(lambda: provisional() == 10, "the speed layer counts")
    # 2. Another log under the same name: longer than the former one, so that no offset gives it away.
    make_again(own)
    send(own, 5, 1)
    send(own, 60, 200)
    eventually(lambda: speed.child.poll() is not None, "the speed process halts")
    assert speed.child.returncode == ExitCode.FAILED
    assert "is another log than the one that was counted" in speed.output()
    if is_redis_lost:
        store.flush()
    again = start()
    assert "./viewledger topics new-generation" in again.output()
    assert again.child.returncode == ExitCode.FAILED
    for words in (("batch", "run"), ("rebuild", "speed")):
        refused = own.run(*words)
        assert refused.returncode == ExitCode.REFUSED, refused.stderr
        assert "is another log than the one that was counted" in refused.stderr
    assert own.current().version == 1
    # 3. On purpose, once.
    words = ("topics", "new-generation", "--actor", "olga", "--reason", "the broker's disk burnt")
    begun = own.run(*words)
    assert begun.returncode == ExitCode.OK, begun.stderr
    assert "generation 1 of" in begun.stdout
    assert ("10 offsets" in begun.stdout) is not is_redis_lost
    twice = own.run(*words)
    assert (twice.returncode, "nothing to begin" in twice.stderr) == (ExitCode.REFUSED, True)
    # 4. The new log is counted from its first message: settled stays, ids are known from the archive.
    speed = start()
    eventually(lambda: provisional() == 65, "the speed layer counts all of the new log and nothing of the former one")
    second = own.result("batch", "run")
    assert (second["version"], second["archived_count"], second["gap_count"]) == (2, 65, 0)
    assert second["verdicts"]["counted"] == 30 + 60
    assert second["verdicts"]["duplicate"] == 5
    eventually(lambda: provisional() == 0, "everything is settled")
    assert all(end >= OFFSETS_PER_GENERATION for end in own.current().offsets.ends)
    send(own, 4, 300)
    eventually(lambda: provisional() == 4, "counting goes on")
    assert own.result("rebuild", "batch")["state"] == "equal"
    assert own.result("reconcile")["is_equal"]
    assert own.result("batch", "run")["version"] == 3
    assert speed.end() == ExitCode.OK
    store.flush()
