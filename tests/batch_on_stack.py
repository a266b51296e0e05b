"""The batch layer on the test stack, on a topic, database and warehouse of its own that several test files share."""

import json
import os
import secrets
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from batch_layer.versions.postgres_versions import PostgresVersionStore
from faults.warm_driver import WarmDriver
from ingestion.contract.version import PublishedVersion
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT
from jobs.wiring.migrations import migrate
from jobs.wiring.postgres_logins import in_database
from tests.billing_postgres import empty_database, own_database

RUN_SECONDS_MAX = 900.0
WAREHOUSE_PREFIX = "batch-"
"""Each batch layer of a test has a folder in the root of HDFS whose name begins so."""


@dataclass
class Batch:
    """A topic, database, warehouse and state folder of its own, and the command on them."""

    environ: Mapping[str, str]
    topic: str
    producer: KafkaProducer
    warm: WarmDriver
    sent_count: int = 0
    sent: list[bytes] = field(default_factory=list)
    """Every well-formed message."""

    def run(self, *words: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in a process of its own."""
        command = [sys.executable, "-P", "-m", "jobs.cli", *words]
        environ = self._environ(changed)
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False
        )

    def run_warm(self, *words: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the process of the earlier ones, so that Spark starts cold once."""
        log = Path(self.environ["VIEWLEDGER_STATE_DIR"]) / f"{'-'.join(words[:2])}-{secrets.token_hex(4)}.log"
        too_long = threading.Timer(RUN_SECONDS_MAX, self.warm.close)
        too_long.start()
        code, output = self.warm.run(words, self._environ(changed), log)
        too_long.cancel()
        return subprocess.CompletedProcess(words, code, output, log.read_text())

    def _environ(self, changed: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, **self.environ, **changed, "PYTHONPATH": str(PROJECT)}

    def result(self, *words: str) -> dict[str, Any]:
        done = self.run_warm(*words, "--json")
        assert done.returncode == ExitCode.OK, done.stderr
        return dict(json.loads(done.stdout))

    def send(
        self,
        count: int,
        *,
        number: int,
        video_id: str = "-video",
        happened_at: datetime | None = None,
        view_duration: int = 40,
        user_id: str = "",
    ) -> None:
        """Send `count` views whose ids are `number`, `number` + 1, …; from an hour ago by default.

        Each is of a viewer of its own if no `user_id` is given.
        """
        happened = happened_at or datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        for index in range(count):
            fields = {
                "event_id": str(uuid.UUID(int=number + index)),
                "video_id": video_id,
                "user_id": user_id or f"viewer-{number + index}",
                "session_id": "session",
                "timestamp": happened.isoformat(),
                "view_duration": view_duration,
                "revenue_eligible": True,
            }
            self.sent.append(json.dumps(fields).encode())
            self.producer.send(self.topic, self.sent[-1], partition=index % 2)
        self.producer.flush(timeout=60)
        self.sent_count += count

    def send_broken(self) -> None:
        self.producer.send(self.topic, b"{broken", partition=0)
        self.producer.flush(timeout=60)
        self.sent_count += 1

    def current(self) -> PublishedVersion:
        with closing(PostgresVersionStore(self.environ["VIEWLEDGER_POSTGRES_URL"])) as store:
            version = store.current()
            assert version is not None
            return version


@pytest.fixture(scope="session")
def warm_driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmDriver]:
    """The one Java process for all batch runs of a test process that need not be cold."""
    with closing(WarmDriver(tmp_path_factory.mktemp("warm") / "driver.log")) as driver:
        yield driver


@pytest.fixture(scope="session")
def batch(
    stack_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory, warm_driver: WarmDriver
) -> Iterator[Batch]:
    with own_batch(stack_environment, tmp_path_factory.mktemp("state"), warm_driver) as shared:
        yield shared


@contextmanager
def own_batch(
    stack_environment: Mapping[str, str], state: Path, warm: WarmDriver, *, traffic_ruled_from: date | None = None
) -> Iterator[Batch]:
    """A batch layer that no other test sends to or runs on; its traffic is judged from a day on, or never."""
    name = f"{WAREHOUSE_PREFIX}{secrets.token_hex(4)}"
    bootstrap = stack_environment["VIEWLEDGER_KAFKA_BOOTSTRAP"]
    settings = {"message.timestamp.type": "LogAppendTime"}
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics({name: {"num_partitions": 3, "replication_factor": 1, "configs": settings}})
    with _database(stack_environment["VIEWLEDGER_POSTGRES_URL"], traffic_ruled_from) as postgres_url:
        environ = {
            **in_database(stack_environment, postgres_url),
            "VIEWLEDGER_WAREHOUSE": f"{stack_environment['VIEWLEDGER_HDFS_URL']}/{name}",
            "VIEWLEDGER_TOPIC_VIDEO_VIEWS": name,
            "VIEWLEDGER_SPEED_NAMESPACE": name,
            "VIEWLEDGER_STATE_DIR": str(state),
        }
        with closing(KafkaProducer(bootstrap_servers=bootstrap)) as producer:
            yield Batch(environ, name, producer, warm)


@contextmanager
def _database(server_url: str, traffic_ruled_from: date | None) -> Iterator[str]:
    """A migrated database; the first policy of traffic is put in force only while it is made."""
    if traffic_ruled_from is None:
        with own_database(server_url, with_versions=False) as url:
            yield url
        return
    with empty_database(server_url) as url:
        migrate(url, traffic_ruled_from=traffic_ruled_from)
        yield url
