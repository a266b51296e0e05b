"""`batch run` on Spark's own cluster, a standalone master with two workers; `./viewledger faults cluster` does more."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from faults.spark_cluster import WORKERS, SparkCluster
from faults.warm_driver import WarmDriver
from jobs.exit_codes import ExitCode
from tests.batch_on_stack import Batch, own_batch


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """A cluster for the tests of this file."""
    with SparkCluster(tmp_path_factory.mktemp("cluster") / "spark") as running:
        yield running


@pytest.fixture
def batch_on_cluster(cluster: SparkCluster, stack_environment: Mapping[str, str], tmp_path: Path) -> Iterator[Batch]:
    """A topic, database and warehouse of its own, whose runs use the cluster."""
    (state := tmp_path / "state").mkdir()
    with (
        closing(WarmDriver(tmp_path / "driver.log")) as driver,
        own_batch(stack_environment, state, driver) as batch,
    ):
        conf = tmp_path / "conf"
        conf.mkdir()
        events = f"spark.eventLog.enabled true\nspark.eventLog.compress false\nspark.eventLog.dir {conf.as_uri()}\n"
        (conf / "spark-defaults.conf").write_text(events)
        yield replace(batch, environ={**batch.environ, **cluster.environ, "SPARK_CONF_DIR": str(conf)})


def test_a_run_on_two_workers_publishes_what_its_reconciliation_finds_right(
    batch_on_cluster: Batch, cluster: SparkCluster
) -> None:
    batch = batch_on_cluster
    batch.send(60, number=1)
    batch.send(10, number=41)
    batch.send_broken()
    done = batch.result("batch", "run")
    assert (done["state"], done["archived_count"]) == ("published", batch.sent_count)
    assert done["verdicts"]["counted"] == 60
    assert done["differences"] == []
    assert not any("not reconciled" in each for each in done["notes"])
    # a run that a slow server stopped has another application from its next attempt on
    application = max(cluster.report()["completedapps"], key=itemgetter("starttime"))
    assert application["state"] == "FINISHED"
    for worker in WORKERS:
        (log,) = cluster.nodes.own_folder(worker).glob(f"{application['id']}/*/stderr")
        assert "Finished task" in log.read_text(), f"{worker} did work"
    assert_nobody_can_read_the_password(batch, cluster)


def test_a_master_that_never_answers_ends_each_attempt_in_time(batch: Batch, cluster: SparkCluster) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        master = f"spark://127.0.0.1:{silent.getsockname()[1]}"
        changed = {**cluster.environ, "VIEWLEDGER_SPARK_MASTER": master, "VIEWLEDGER_SPARK_START_SECONDS": "10"}
        done = batch.run("batch", "run", "--attempts", "2", **changed)
    assert done.returncode == ExitCode.UNAVAILABLE, done.stderr
    retried, refusal = done.stderr.strip().splitlines()
    sentence = (
        f"the Spark cluster at {master} gave no executor within 10 s; it does not answer, or no machine of it has"
    )
    assert retried.startswith(f"batch: retry: {sentence}")
    assert refusal.startswith(f"viewledger: {sentence}")


def assert_nobody_can_read_the_password(batch: Batch, cluster: SparkCluster) -> None:
    """Neither processes' arguments, nor the nodes' logs and files, nor what Spark's pages show of an application."""
    password = urlsplit(batch.environ["VIEWLEDGER_POSTGRES_URL"]).password
    assert password
    shown = [path for path in Path(batch.environ["SPARK_CONF_DIR"]).rglob("*") if path.is_file()]
    assert any("jdbc.password" in path.read_text() for path in shown), "the application's settings are shown"
    logged = [path for path in cluster.nodes.folder.rglob("*") if path.suffix in ("", ".log") and path.is_file()]
    assert any("Spark Executor Command" in path.read_text(errors="replace") for path in logged)
    arguments = Path("/proc").glob("[0-9]*/cmdline")
    for path in (*shown, *logged, *arguments):
        with suppress(OSError):  # a process that has ended
            assert password.encode() not in path.read_bytes(), path
