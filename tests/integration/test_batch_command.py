"""`batch run` on the real Kafka, Redis, PostgreSQL and HDFS, started as an operator starts it."""

import json
import os
import secrets
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from batch_layer.postgres_versions import PostgresVersionStore
from ingestion.contract.version import PublishedVersion
from jobs.exit_codes import ExitCode
from jobs.state_home import PROJECT
from tests.billing_postgres import own_database

RUN_SECONDS_MAX = 240.0


@dataclass
class Batch:
    """A topic, database, warehouse and state folder of its own, and the command on them."""

    environ: Mapping[str, str]
    topic: str
    producer: KafkaProducer
    sent_count: int = 0

    def run(self, *words: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, **self.environ, **changed, "PYTHONPATH": str(PROJECT)}
        command = [sys.executable, "-P", "-m", "jobs.cli", *words]
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False
        )

    def result(self, *words: str) -> dict[str, Any]:
        done = self.run(*words, "--json")
        assert done.returncode == ExitCode.OK, done.stderr
        return dict(json.loads(done.stdout))

    def send(self, count: int, *, number: int, video_id: str = "-video") -> None:
        """Sends `count` views whose ids are `number`, `number` + 1, …"""
        happened = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        for index in range(count):
            fields = {
                "event_id": str(uuid.UUID(int=number + index)),
                "video_id": video_id,
                "user_id": f"viewer-{number + index}",
                "session_id": "session",
                "timestamp": happened.isoformat(),
                "view_duration": 40,
                "revenue_eligible": True,
            }
            self.producer.send(self.topic, json.dumps(fields).encode(), partition=index % 2)
        self.producer.flush(timeout=30)
        self.sent_count += count

    def send_broken(self) -> None:
        self.producer.send(self.topic, b"{broken", partition=0)
        self.producer.flush(timeout=30)
        self.sent_count += 1

    def current(self) -> PublishedVersion:
        with closing(PostgresVersionStore(self.environ["VIEWLEDGER_POSTGRES_URL"])) as store:
            version = store.current()
            assert version is not None
            return version


@pytest.fixture(scope="module")
def batch(stack_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    name = f"batch-{secrets.token_hex(4)}"
    bootstrap = stack_environment["VIEWLEDGER_KAFKA_BOOTSTRAP"]
    settings = {"message.timestamp.type": "LogAppendTime"}
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics({name: {"num_partitions": 3, "replication_factor": 1, "configs": settings}})
    with own_database(stack_environment["VIEWLEDGER_POSTGRES_URL"], with_versions=False) as postgres_url:
        environ = {
            **stack_environment,
            "VIEWLEDGER_POSTGRES_URL": postgres_url,
            "VIEWLEDGER_WAREHOUSE": f"{stack_environment['VIEWLEDGER_HDFS_URL']}/{name}",
            "VIEWLEDGER_TOPIC_VIDEO_VIEWS": name,
            "VIEWLEDGER_SPEED_NAMESPACE": name,
            "VIEWLEDGER_STATE_DIR": str(tmp_path_factory.mktemp("state")),
        }
        with closing(KafkaProducer(bootstrap_servers=bootstrap)) as producer:
            yield Batch(environ, name, producer)


def test_two_runs_with_traffic_and_a_killed_run_in_between_count_every_event_once(batch: Batch) -> None:
    batch.send(50, number=1)
    batch.send_broken()
    first = batch.result("batch", "run")
    assert (first["state"], first["version"], first["archived_count"]) == ("published", 1, 51)
    assert Path(first["report"]).is_file()
    # the same ids again, also across runs, and new ones
    batch.send(20, number=41)
    killed = batch.run("batch", "run", VIEWLEDGER_FAILPOINT="batch.after_archive:kill@1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert batch.current().version == 1, "the killed run published nothing"
    batch.send(5, number=1000, video_id="_other")
    second = batch.result("batch", "run")
    assert (second["version"], second["archived_count"]) == (2, 25)
    assert counts(batch) == {"-video": (60, 60), "_other": (5, 5)}
    assert sum(batch.current().offsets.ends) == batch.sent_count
    assert batch.current().row_counts["raw_events"] == batch.sent_count
    rebuilt = batch.result("rebuild", "batch")
    assert (rebuilt["state"], rebuilt["version"]) == ("equal", 2)
    assert rebuilt["seconds"] > 0
    metrics = (Path(batch.environ["VIEWLEDGER_STATE_DIR"]) / "metrics" / "batch.prom").read_text()
    assert 'viewledger_batch_runs_total{outcome="published"} 2.0' in metrics


def counts(batch: Batch) -> dict[str, tuple[int, int]]:
    with closing(PostgresVersionStore(batch.environ["VIEWLEDGER_POSTGRES_URL"])) as store:
        rows = store._rows(
            "SELECT DISTINCT ON (video_id) video_id, views, billable_views FROM published.video_counts "
            "ORDER BY video_id, version DESC"
        )
    return {video_id: (views, billable_views) for video_id, views, billable_views in rows}


def test_a_second_run_at_the_same_time_is_refused(batch: Batch) -> None:
    with closing(PostgresVersionStore(batch.environ["VIEWLEDGER_POSTGRES_URL"])) as other:
        assert other.lock()
        done = batch.run("batch", "run")
    assert done.returncode == ExitCode.REFUSED
    assert done.stderr.strip() == "viewledger: another batch run is at work; wait for it to end"


@pytest.mark.parametrize(
    ("variable", "value", "server"),
    [
        ("VIEWLEDGER_KAFKA_BOOTSTRAP", "127.0.0.1:9", "Kafka"),
        ("VIEWLEDGER_POSTGRES_URL", "postgresql://nobody@127.0.0.1:9/nothing", "PostgreSQL"),
        ("VIEWLEDGER_HDFS_URL", "hdfs://127.0.0.1:9", "HDFS"),
    ],
)
def test_a_dead_server_is_one_sentence_and_its_own_exit_code(
    batch: Batch, variable: str, value: str, server: str
) -> None:
    done = batch.run("batch", "run", "--attempts", "1", **{variable: value})
    assert done.returncode == ExitCode.UNAVAILABLE, done.stderr
    assert server in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
