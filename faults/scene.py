"""The pipeline of one fault run: real processes on a topic, database, Redis and warehouse of their own."""

import json
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeVar

import httpx

from faults.batch_runs import BatchRuns
from faults.hdfs_cluster import HdfsCluster
from faults.kafka_cluster import KafkaCluster
from faults.kafka_topics import highwaters, make_topics, read_topic
from faults.our_process import OURS, OurProcess
from faults.postgres_database import current_version, migrated_database
from faults.postgres_servers import PostgresPair
from faults.redis_node import RedisNode
from faults.redis_sets import RedisSet
from faults.reference import LogMessage
from faults.scene_settings import dead_letters_of, scene_settings
from faults.servers import Servers
from faults.small_disk import SmallDisk
from faults.tcp_proxy import TcpProxy
from faults.traffic import VIDEOS, Generator, Senders, Traffic, truth_file
from faults.waiting import until
from ingestion.contract.topics import PARTITION_COUNT
from ingestion.contract.unavailable import UnavailableError
from jobs.child.accounts import account_of
from jobs.child.process import bound_to_parent
from jobs.local_stack.ports import free_ports
from jobs.local_stack.servers import our_command
from jobs.settings.state_home import PROJECT
from jobs.wiring.postgres_logins import in_database, make_logins
from serving_layer.access.access import Role
from speed_layer.redis_segment_store import RedisSegmentStore

READY_SECONDS = 60.0
DRAIN_SECONDS = 300.0
PROGRAM_SECONDS = 600.0
Part = TypeVar("Part")


class Scene:
    """The target of a fault. Use it in a `with` block; called from the main thread only."""

    def __init__(self, servers: Servers, folder: Path, seed: int, *, settings: Mapping[str, str] = {}) -> None:
        """Use `settings` for those of our processes whose settings differ from the usual ones."""
        self._settings, self._servers = settings, servers
        self.stack, self.disks = servers.stack, servers.disks
        self._redis_set: RedisSet | None = None
        self._postgres_pair: PostgresPair | None = None
        self.folder, self.seed = folder, seed
        self.rng = random.Random(seed)  # noqa: S311  (a fault must be repeatable, nothing is guarded)
        self.name = f"faults-{secrets.token_hex(4)}"
        self.topic, self.dead_letter_topic = self.name, dead_letters_of(self.name)
        self.bootstrap = (
            servers.cluster.bootstrap if servers.cluster else self.stack.environment["VIEWLEDGER_KAFKA_BOOTSTRAP"]
        )
        self.processes: list[OurProcess] = []
        self.mirror: dict[tuple[int, int], LogMessage] = {}
        self.hurt_at = 0.0
        self.notes: list[str] = []
        self.is_beyond_repair = False
        """Set by a fault after which nothing can be complete again; the fault checks by itself what must hold then."""
        self._closing = ExitStack()

    def __enter__(self) -> "Scene":
        try:
            self._build()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _build(self) -> None:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        replicas = {"replicas": 3, "in_sync": 2} if self._servers.cluster else {}
        make_topics(self.bootstrap, {self.topic: PARTITION_COUNT, self.dead_letter_topic: 1}, **replicas)
        urls = self._start_redis(), self._start_postgres()
        self.environ = scene_settings(self._servers, self.name, self.folder, *urls) | dict(self._settings)
        self.batches = BatchRuns(self.folder, self.environ, self._servers.warm_driver)
        self.generator = Generator(
            random.Random(f"traffic of {self.seed}"),  # noqa: S311
            self._closing.enter_context(truth_file(self.folder).open("w")),
        )
        self._closing.callback(self._end_processes)
        self.collector, self.api = self.start("collector"), self.start("api")
        self.senders = Senders(
            lambda: f"http://127.0.0.1:{self.collector.port}", self.bootstrap, self.topic, patience_seconds=120
        )
        self._closing.callback(self.senders.close)

    def _start_redis(self) -> str:
        """Start a set, or one Redis with a proxy before it; return the address for our processes."""
        if self._servers.redis_set is not None:
            self._redis_set = self._servers.redis_set(self.folder / "redis-set")
            self._closing.callback(self._redis_set.close)
            self._redis_set.start()
            return self._redis_set.url
        self.redis = RedisNode(self.folder / "redis")
        self._closing.callback(self.redis.close)
        self.redis.start()
        self.redis_proxy = TcpProxy(self.redis.port)
        self._closing.callback(self.redis_proxy.close)
        return f"redis://127.0.0.1:{self.redis_proxy.port}/0"

    def _start_postgres(self) -> str:
        """Make a database; return the address for our processes: through a proxy, or of both servers of a pair."""
        self.postgres_proxy = self._closing.enter_context(closing(TcpProxy(self.stack.ports.postgres)))
        server = self.stack.environment["VIEWLEDGER_POSTGRES_URL"]
        if self._servers.postgres_pair is not None:
            self._postgres_pair = self._closing.enter_context(self._servers.postgres_pair(self.folder))
            server = self._postgres_pair.url
        self.postgres_url = self._closing.enter_context(migrated_database(server, self.name.replace("-", "_")))
        if self._postgres_pair is not None:  # the stack's server has them
            make_logins(self.postgres_url, in_database(self.stack.environment, self.postgres_url))
        return self.postgres_url.replace(f":{self.stack.ports.postgres}/", f":{self.postgres_proxy.port}/")

    def start(self, name: str, failpoint: str = "", *, changes: Mapping[str, str] = {}) -> OurProcess:
        """Start one of our processes, with `changes` to its settings, and keep it running until the scene ends."""
        port = free_ports().api
        variable, *flags = OURS[name]
        number = sum(each.name == name for each in self.processes)
        process = OurProcess(
            name,
            ("run", name, *flags),
            port,
            {**self.environ, f"VIEWLEDGER_{variable}": str(port), **changes},
            self.folder / f"{name}{number or ''}.log",
        )
        self.processes.append(process)
        process.start(failpoint)
        return process

    def start_ready(self, name: str, failpoint: str = "", *, changes: Mapping[str, str] = {}) -> OurProcess:
        """Start one of our processes and wait until it is ready."""
        process = self.start(name, failpoint, changes=changes)
        self.wait(process.is_ready, f"{name} is ready")
        return process

    def revive(self) -> None:
        """Restart dead processes, without their failpoints."""
        for process in self.processes:
            if process.is_wanted and not process.is_alive:
                process.exit_codes.append(process.child.returncode)
                process.start()

    def wait(self, holds: Callable[[], object], what: str, seconds: float = READY_SECONDS) -> float:
        """Wait, keeping our processes alive."""

        def step() -> object:
            self.revive()
            return holds()

        return until(step, seconds, what)

    @property
    def cluster(self) -> KafkaCluster:
        """Return the three brokers."""
        return _needed(self._servers.cluster, "three brokers")

    @property
    def hdfs(self) -> HdfsCluster:
        """Return the HDFS of several nodes."""
        return _needed(self._servers.hdfs, "an HDFS of several nodes")

    @property
    def redis_set(self) -> RedisSet:
        """Return the servers of which another takes over."""
        return _needed(self._redis_set, "a set of Redis")

    @property
    def postgres_pair(self) -> PostgresPair:
        """Return the primary of PostgreSQL and its standby."""
        return _needed(self._postgres_pair, "two servers of PostgreSQL")

    def second_redis(self) -> RedisNode:
        """Start another Redis, in the folder `redis-2`."""
        other = RedisNode(self.folder / "redis-2")
        self._closing.callback(other.close)
        other.start()
        return other

    def small_disk(self, folder: str, size_kib: int, server: str) -> SmallDisk:
        """Mount a small disk for a server's account on a folder that is not used yet."""
        disk = SmallDisk(self.folder / folder, size_kib, account_of(server))
        self._closing.callback(disk.close)
        return disk

    def run_program(self, module: str, *words: str, changes: Mapping[str, str] = {}) -> "CompletedProcess[str]":
        """Run one of our modules as a program with the scene's settings and some changes; wait for its end."""
        python, *flags = our_command()[:2]
        return subprocess.run(
            [python, *flags, "-m", module, *words],
            env={**self.environ, **changes},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
            preexec_fn=bound_to_parent(signal.SIGTERM),
        )

    def promote(self, other: RedisNode) -> None:
        """Kill the first Redis and let the other one replace it."""
        self.redis.kill()
        self.redis = other
        self.redis_proxy.retarget(other.port)

    def hurt(self, what: str) -> None:
        """Note that the fault happens now: recovery is measured from here."""
        self.hurt_at = time.monotonic()
        self.notes.append(what)

    def count(self, events: int) -> None:
        """Have some events counted by the speed layer, so that there is something to settle."""
        self.start_ready("speed")
        self.send(events)
        self.wait(self.is_counted, "counted")

    def send(self, count: int) -> None:
        """Send messages and wait until all are acknowledged."""
        self.senders.send(self.generator.take(count))

    @contextmanager
    def traffic(self, events_per_second: float = 800) -> Iterator[None]:
        """Send messages in the background."""
        with Traffic(self.generator, self.senders, events_per_second=events_per_second):
            yield

    def for_a_while(self, seconds: float) -> None:
        """Let traffic flow, keeping our processes alive."""
        deadline = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= deadline, "time passes", seconds + 30)

    def highwaters(self) -> list[int]:
        """Return the broker's log ends."""
        return highwaters(self.bootstrap, self.topic, PARTITION_COUNT)

    def positions(self) -> list[int | None]:
        """Return how far the speed layer has counted, read from Redis itself and not through the proxy.

        Raises:
            UnavailableError: Redis does not answer.
        """
        url = self._redis_set.url if self._redis_set else self.redis.url
        with closing(RedisSegmentStore.connect(url, namespace=self.name)) as store:
            return list(store.positions(PARTITION_COUNT))

    def is_counted(self) -> bool:
        """Return whether the speed layer has counted the whole log and the API answers that nothing is missing."""
        try:
            return self.positions() == self.highwaters() and all(each["complete"] for each in self.answers().values())
        except (UnavailableError, httpx.HTTPError, OSError):
            return False

    def answers(self) -> dict[str, dict[str, Any]]:
        """Return the API's answer for every video."""
        url = f"http://127.0.0.1:{self.api.port}/v1/views:lookup"
        from jobs.wiring.access_settings import development_bearer  # `--list` need not wait for it

        headers = development_bearer(self.environ, Role.FINANCE)  # billable views are not public
        answer = httpx.post(url, json={"video_ids": list(VIDEOS)}, headers=headers, timeout=10).raise_for_status()
        return {each["video_id"]: each for each in answer.json()["counts"]}

    def read_log(self) -> None:
        """Copy all messages of the topic to the mirror."""
        messages = read_topic(self.bootstrap, self.topic, PARTITION_COUNT)
        self.mirror.update({(each.partition, each.offset): each for each in messages})

    def dead_letters(self) -> set[tuple[int, int]]:
        """Return (partition, offset) of every message on the dead-letter topic."""
        letters = [json.loads(each.value) for each in read_topic(self.bootstrap, self.dead_letter_topic, 1)]
        return {(letter["partition"], letter["offset"]) for letter in letters}

    def published(self) -> tuple[int, list[int], int, dict[str, int] | None] | None:
        """Return the current version: number, all `offset_end`s, raw rows with removed ones, verdicts of its run."""
        row = current_version(self.postgres_url)
        return None if row is None else (*row[:3], self.batches.verdicts.get(row[3]))

    def _end_processes(self) -> None:
        for process in self.processes:
            process.kill()


def _needed(found: Part | None, what: str) -> Part:
    if found is None:
        raise RuntimeError(f"this fault needs {what}")
    return found
