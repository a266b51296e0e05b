"""`batch run` on the real Kafka, Redis, PostgreSQL and HDFS, started as an operator starts it."""

import json
import signal
from contextlib import closing
from pathlib import Path

import pytest

from batch_layer.reconciling.ports import ReconciliationStore
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from batch_layer.run.ports import Warehouse
from batch_layer.versions.postgres_versions import PostgresVersionStore
from faults.hdfs_programs import FILES, hdfs
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.resilience.failpoints import Action, after, before
from tests.batch_on_stack import Batch


def test_two_runs_with_traffic_and_a_killed_run_in_between_count_every_event_once(batch: Batch) -> None:
    batch.send(50, number=1)
    batch.send_broken()
    done = batch.run_warm(
        "batch", "run", "--json", VIEWLEDGER_FAILPOINT=before(ReconciliationStore.record, Action.FAIL)
    )
    assert done.returncode == ExitCode.OK, done.stderr
    first = json.loads(done.stdout)
    assert (first["state"], first["version"], first["archived_count"]) == ("published", 1, 51)
    assert Path(first["report"]).is_file()
    assert first["notes"][-1].startswith("what was published is not reconciled (failpoint")
    assert uncompared(batch) == [1], "the next run compares it"
    # the same ids again, also across runs, and new ones
    batch.send(20, number=41)
    killed = batch.run("batch", "run", VIEWLEDGER_FAILPOINT=after(Warehouse.archive, Action.KILL))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert batch.current().version == 1, "the killed run published nothing"
    batch.send(5, number=1000, video_id="_other")
    second = batch.result("batch", "run")
    assert (second["version"], second["archived_count"]) == (2, 25)
    assert counts(batch) == {"-video": (60, 60), "_other": (5, 5)}
    assert sum(batch.current().offsets.ends) == batch.sent_count
    assert batch.current().row_counts["raw_events"] == batch.sent_count
    assert uncompared(batch) == []
    rebuilt = batch.result("rebuild", "batch")
    assert (rebuilt["state"], rebuilt["version"]) == ("equal", 2)
    assert rebuilt["seconds"] > 0
    metrics = (Path(batch.environ["VIEWLEDGER_STATE_DIR"]) / "metrics" / "batch.prom").read_text()
    assert 'viewledger_batch_runs_total{outcome="published"} 2.0' in metrics


def uncompared(batch: Batch) -> list[int]:
    with closing(PostgresReconciliations(batch.environ["VIEWLEDGER_POSTGRES_URL"])) as store:
        return list(store.unreconciled_versions())


def test_a_lost_file_stops_runs_by_its_name_until_it_is_back_and_everything_was_compared(
    batch: Batch, stack: LocalStack, tmp_path: Path
) -> None:
    with closing(PostgresReconciliations(batch.environ["VIEWLEDGER_POSTGRES_URL"])) as store:
        path = min(store.recorded_files(1))
    copy = str(tmp_path / "copy.parquet")
    hdfs(stack.folder, FILES, "-get", path, copy)
    hdfs(stack.folder, FILES, "-rm", path)
    for words in (("batch", "run"), ("reconcile",)):
        refused = batch.run_warm(*words)
        assert refused.returncode == ExitCode.DIFFERENCE, refused.stderr
        assert f"file {path} of raw_events is gone: partition 0, hour " in refused.stderr
        assert "Traceback" not in refused.stderr
    hdfs(stack.folder, FILES, "-put", copy, path)
    assert batch.run_warm("batch", "run").returncode == ExitCode.DIFFERENCE, "nobody has compared everything yet"
    found = batch.result("reconcile")
    assert found["is_equal"]
    assert found["compared"] == {"raw_events": batch.sent_count, "videos": 2, "billed_videos": 0}
    assert batch.result("batch", "run")["state"] == "nothing_new"
    open_differences = Path(batch.environ["VIEWLEDGER_STATE_DIR"]) / "metrics" / "open-differences.prom"
    assert "viewledger_open_differences 0.0" in open_differences.read_text()


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
    assert done.stderr.strip() == "viewledger: a batch run or a maintenance is at work; wait for it to end"


NOWHERE = {
    "Kafka": {"VIEWLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:9"},
    "PostgreSQL": {"VIEWLEDGER_PIPELINE_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/nothing"},
    "HDFS": {"VIEWLEDGER_HDFS_URL": "hdfs://127.0.0.1:9"},
    "Spark": {"VIEWLEDGER_SPARK_MASTER": "spark://127.0.0.1:9"},
}


@pytest.mark.parametrize(
    ("command", "server"),
    [
        ("batch run --attempts 1", "Kafka"),
        ("batch run --attempts 1", "PostgreSQL"),
        ("batch run --attempts 1", "HDFS"),
        ("batch run --attempts 1", "Spark"),
        ("reconcile", "PostgreSQL"),
        ("reconcile", "HDFS"),
    ],
)
def test_a_dead_server_is_one_sentence_and_its_own_exit_code(batch: Batch, command: str, server: str) -> None:
    done = batch.run(*command.split(), **NOWHERE[server])
    assert done.returncode == ExitCode.UNAVAILABLE, done.stderr
    assert server in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
