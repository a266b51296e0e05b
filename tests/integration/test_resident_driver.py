"""`run batch` on the real Kafka, Redis, PostgreSQL and HDFS, started as an operator starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from batch_layer.run.ports import Warehouse
from batch_layer.versions.postgres_versions import PostgresVersionStore
from faults.our_process import is_stopped
from faults.warm_driver import WarmDriver
from jobs.child.process import bound_to_parent
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from jobs.resilience.failpoints import Action, after, before
from jobs.resilience.patience import BETWEEN_RUNS
from jobs.settings.state_home import PROJECT
from tests.batch_on_stack import RUN_SECONDS_MAX, Batch, own_batch
from tests.trace_receiver import TraceReceiver, attributes, trace_receiver


class Driver:
    """One resident driver."""

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self.port, self.log = free_ports().batch_metrics, log
        # one for all questions, because making one takes long, and no connection that a dead driver would have broken
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            timeout=30,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-m", "jobs.cli", "run", "batch", "--every", "10s"],
            env={
                **os.environ,
                **environ,
                "PYTHONPATH": str(PROJECT),
                "VIEWLEDGER_BATCH_METRICS_PORT": str(self.port),
            },
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            preexec_fn=bound_to_parent(signal.SIGKILL),
        )

    def readiness(self) -> tuple[int, str]:
        try:
            answer = self.client.get("/readyz")
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text

    def runs(self) -> dict[str, int]:
        """Outcome → how many runs ended with it, of those that have."""
        text = self.client.get("/metrics").text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        counted = {
            each.labels["outcome"]: int(each.value) for each in samples if each.name == "batch_driver_runs_total"
        }
        return {outcome: count for outcome, count in counted.items() if count}

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while not holds():
            assert self.child.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"not in time: {what}\n{self.log.read_text()}"
            time.sleep(0.2)

    def until_runs(self, outcome: str, count: int) -> None:
        """Wait until at least this many runs have ended with an outcome."""
        self.until(lambda: self.readiness()[0] and self.runs().get(outcome, 0) >= count, f"{count} {outcome}")

    def java(self) -> int:
        """The process id of its Spark."""
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        (java,) = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "java\n"]
        return int(java)

    def lines(self, event: str) -> list[dict[str, object]]:
        found = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in found if line["event"] == event]


@contextmanager
def driver(environ: Mapping[str, str], log: Path, failpoint: str = "") -> Iterator[Driver]:
    """A driver that is gone at the end."""
    running = Driver({**environ, "VIEWLEDGER_FAILPOINT": failpoint}, log)
    try:
        yield running
    finally:
        running.child.kill()
        running.child.wait()
        running.client.close()


@pytest.fixture(scope="module")
def own(
    stack_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory, warm_driver: WarmDriver
) -> Iterator[Batch]:
    """A batch layer on which only drivers run."""
    with own_batch(stack_environment, tmp_path_factory.mktemp("state"), warm_driver) as batch:
        yield batch


@pytest.fixture(scope="module")
def received() -> Iterator[TraceReceiver]:
    with trace_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def running(own: Batch, received: TraceReceiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A driver whose first run fails after a step as if a server were away; the last test ends it."""
    own.send(20, number=1)
    log = tmp_path_factory.mktemp("driver") / "driver.log"
    environ = {**own.environ, "VIEWLEDGER_TRACE_URL": received.url}
    with driver(environ, log, after(Warehouse.archive, Action.FAIL)) as started:
        yield started


def version(own: Batch) -> int:
    with closing(PostgresVersionStore(own.environ["VIEWLEDGER_POSTGRES_URL"])) as store:
        return current.version if (current := store.current()) else 0


def assert_all_counted_once(own: Batch) -> None:
    assert own.current().row_counts["raw_events"] == own.sent_count


def test_a_step_that_fails_as_if_a_server_were_away_is_tried_again_before_the_next_tick(
    own: Batch, running: Driver
) -> None:
    running.until_runs("published", 1)
    first, second, *_ = running.lines("batch run ended")
    assert (first["outcome"], second["outcome"]) == ("unavailable", "published")
    assert float(str(first["next_in_seconds"])) <= BETWEEN_RUNS.seconds(1, lambda: 1.0)
    assert_all_counted_once(own)


def test_each_line_of_a_run_and_its_trace_name_the_run_and_the_trace_its_version(
    own: Batch, running: Driver, received: TraceReceiver
) -> None:
    running.until_runs("published", 1)
    failed, published, *_ = running.lines("batch run ended")
    steps = [line for line in running.lines("batch step") if line["run_id"] == published["run_id"]]
    assert published["run_id"] != failed["run_id"]
    assert {"cut", "archive", "publish", "reconcile"} <= {line["stage"] for line in steps}
    (trace_id,) = {str(line["trace_id"]) for line in steps}
    spans = partial(received.of, "viewledger-batch", trace_id)
    running.until(lambda: "batch run" in {span.name for span in spans()}, "the trace of the run is sent")
    (run,) = (span for span in spans() if span.name == "batch run")
    assert {"cut", "archive", "publish", "reconcile"} <= {span.name for span in spans()}
    named = attributes(run)
    assert (named["run_id"], named["version"], named["state"]) == (published["run_id"], 1, "published")
    assert sum(end.int_value for end in named["offset_ends"].values) == own.sent_count


def test_every_tick_settles_what_is_new_with_the_same_java_process(own: Batch, running: Driver) -> None:
    running.until_runs("published", 1)
    java, published = running.java(), running.runs()["published"]
    own.send(10, number=15)
    running.until_runs("published", published + 1)
    running.until_runs("nothing_new", 1)
    assert_all_counted_once(own)
    assert running.java() == java


def test_while_another_run_has_the_lock_a_driver_shows_it_and_waits_for_its_tick(own: Batch, running: Driver) -> None:
    running.until_runs("published", 1)
    with closing(PostgresVersionStore(own.environ["VIEWLEDGER_POSTGRES_URL"])) as other:
        running.until(other.lock, "no run is at work")
        own.send(3, number=100)
        before_it = version(own)
        running.until_runs("refused", 2)
        assert running.readiness() == (200, "ready\n")
        assert version(own) == before_it
    running.until(lambda: version(own) == before_it + 1, "the lock is free")
    refused = [line for line in running.lines("batch run ended") if line["outcome"] == "refused"]
    assert refused[0]["text"] == "a batch run or a maintenance is at work; wait for it to end"


def test_when_sparks_java_process_ends_the_driver_ends_with_a_code_for_its_supervisor(running: Driver) -> None:
    running.until_runs("published", 1)
    os.kill(running.java(), signal.SIGKILL)
    assert running.child.wait(RUN_SECONDS_MAX) == ExitCode.UNAVAILABLE
    assert_says_that_java_ended(running)


def assert_says_that_java_ended(ended: Driver) -> None:
    text = ended.log.read_text()
    last = text.strip().splitlines()[-1]
    assert last == "viewledger: Spark's Java process has ended, or its session is broken; start again"
    assert "Traceback" not in text
    loggers = {line["logger"] for line in map(json.loads, (each for each in text.splitlines() if each[0] == "{"))}
    assert loggers == {"jobs.processes.batch"}, "libraries add nothing to the log"


def test_java_that_ends_in_the_middle_of_a_step_is_the_same(own: Batch, tmp_path: Path) -> None:
    own.send(3, number=300)
    before_it = version(own)
    with driver(own.environ, tmp_path / "driver.log", before(Warehouse.judge, Action.STOP)) as stopped:
        stopped.until(lambda: is_stopped(stopped.child.pid), "before judging")
        os.kill(stopped.java(), signal.SIGKILL)
        stopped.child.send_signal(signal.SIGCONT)
        assert stopped.child.wait(RUN_SECONDS_MAX) == ExitCode.UNAVAILABLE
    assert_says_that_java_ended(stopped)
    assert version(own) == before_it


def test_sigterm_in_the_middle_of_a_run_lets_it_publish(own: Batch, tmp_path: Path) -> None:
    own.send(3, number=400)
    before_it = version(own)
    with driver(own.environ, tmp_path / "driver.log", before(Warehouse.judge, Action.STOP)) as stopped:
        stopped.until(lambda: is_stopped(stopped.child.pid), "before judging")
        stopped.child.send_signal(signal.SIGTERM)
        stopped.child.send_signal(signal.SIGCONT)
        assert stopped.child.wait(RUN_SECONDS_MAX) == ExitCode.OK, stopped.log.read_text()
    assert version(own) == before_it + 1
    assert [line["outcome"] for line in stopped.lines("batch run ended")] == ["published"]
    assert stopped.lines("batch stopped")
    assert_all_counted_once(own)


def test_a_server_that_is_away_is_named_by_the_readiness_probe(own: Batch, tmp_path: Path) -> None:
    nowhere = {**own.environ, "VIEWLEDGER_HDFS_URL": "hdfs://127.0.0.1:9"}
    with driver(nowhere, tmp_path / "driver.log") as waiting:
        waiting.until(lambda: "HDFS" in waiting.readiness()[1], "HDFS is named")
        assert waiting.readiness()[0] == 503
        waiting.child.send_signal(signal.SIGTERM)
        assert waiting.child.wait(RUN_SECONDS_MAX) == ExitCode.OK, waiting.log.read_text()
