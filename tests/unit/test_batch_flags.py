"""The batch command: attempts, arguments, exit codes."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch_layer.errors import RefusedError
from batch_layer.lake.spark_settings import Executors
from batch_layer.run.prometheus_batch_metrics import PrometheusBatchMetrics
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring import batch_run
from jobs.wiring.batch_settings import BatchSettings, RunSettings
from tests.command_lines import parsed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_run_is_tried_again_with_growing_bounded_waits() -> None:
    waits: list[float] = []
    answers = iter([UnavailableError(Part.KAFKA, "away"), UnavailableError(Part.KAFKA, "away"), None])

    def work() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "done"

    assert batch_run.attempt(work, 3, waits.append) == "done"
    assert 2.0 <= waits[0] <= 4.0 <= waits[1] <= 8.0


def test_after_the_last_attempt_the_error_stands() -> None:
    def work() -> None:
        raise UnavailableError(Part.KAFKA, "Kafka is away")

    waits: list[float] = []
    with pytest.raises(UnavailableError, match="Kafka is away"):
        batch_run.attempt(work, 8, waits.append)
    assert len(waits) == 7
    assert all(15.0 <= wait <= 30.0 for wait in waits[3:])


def test_what_is_refused_is_not_tried_again() -> None:
    def work() -> None:
        raise RefusedError("a batch run or a maintenance is at work")

    with pytest.raises(RefusedError):
        batch_run.attempt(work, 3, lambda _: pytest.fail("waited"))


@pytest.mark.parametrize("words", [("run", "--attempts", "0"), ("versions", "--limit", "0")])
def test_a_limit_out_of_range_is_named(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=words[1]) as refusal:
        parsed(["batch", *words])
    assert refusal.value.code is ExitCode.BAD_INPUT


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    """Every setting that has no default."""
    (tmp_path / "iceberg-spark-runtime-1.jar").touch()
    return {
        "VIEWLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "VIEWLEDGER_REDIS_URL": "redis://127.0.0.1:1/0",
        "VIEWLEDGER_POSTGRES_URL": "postgresql://user:secret@127.0.0.1:1/views",
        "VIEWLEDGER_HDFS_URL": "hdfs://127.0.0.1:1",
        "VIEWLEDGER_STATE_DIR": str(tmp_path),
        "VIEWLEDGER_JARS": str(tmp_path),
        "VIEWLEDGER_TRAITS_KEY": "ab" * 32,
    }


def test_every_setting_is_checked_before_anything_connects(good: Mapping[str, str]) -> None:
    chosen = RunSettings.from_environ(good)
    assert not {"secret", "abab"} & set(re.findall("secret|abab", repr(chosen)))
    assert chosen.spark.catalog["warehouse"] == "hdfs://127.0.0.1:1/warehouse"
    assert chosen.spark.catalog["uri"] == "jdbc:postgresql://127.0.0.1:1/views"
    for name in good:
        with pytest.raises(CommandError, match=name) as refusal:
            RunSettings.from_environ({**good, name: ""})
        assert refusal.value.code is ExitCode.BAD_INPUT


def test_what_only_reads_the_tables_needs_no_key(good: Mapping[str, str]) -> None:
    without = {name: value for name, value in good.items() if name != "VIEWLEDGER_TRAITS_KEY"}
    named = without | {"VIEWLEDGER_ATTESTATION_KEYS_FILE": "/no/such/file"}
    assert BatchSettings.from_environ(named).spark == BatchSettings.from_environ(good).spark


def test_on_this_machine_there_are_no_executors(good: Mapping[str, str]) -> None:
    chosen = BatchSettings.from_environ({**good, "VIEWLEDGER_SPARK_MASTER": "local[4]"}).spark
    assert (chosen.master, chosen.executors) == ("local[4]", None)


def test_the_executors_of_a_cluster_are_settings(good: Mapping[str, str], tmp_path: Path) -> None:
    wanted = {
        "VIEWLEDGER_SPARK_MASTER": "spark://one:7077,two:7077",
        "VIEWLEDGER_SPARK_EXECUTORS": "5",
        "VIEWLEDGER_SPARK_EXECUTOR_CORES": "3",
        "VIEWLEDGER_SPARK_EXECUTOR_MEMORY": "7g",
        "VIEWLEDGER_SPARK_EXECUTOR_PYTHON": "/opt/python3.11",
        "VIEWLEDGER_SPARK_DRIVER_HOST": "driver",
        "VIEWLEDGER_SPARK_START_SECONDS": "30",
    }
    found = BatchSettings.from_environ({**good, **wanted}).spark.executors
    assert found == Executors(tmp_path / "executors", "/opt/python3.11", 5, 3, "7g", "driver", 30)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        (
            "SPARK_MASTER",
            "mesos://a:5050",
            "it must be local[N] or local[*], spark://host:port (several with commas), or yarn",
        ),
        ("SPARK_EXECUTORS", "0", "it must be a whole number from 1 to 10000"),
        ("SPARK_EXECUTOR_CORES", "all", "it must be a whole number from 1 to 256"),
        ("SPARK_EXECUTOR_MEMORY", "2gb", "it must be like 900m or 2g"),
        ("SPARK_EXECUTOR_PYTHON", "python3 -u", "it must be a program's name or path without spaces"),
        ("SPARK_DRIVER_HOST", "http://driver", "it must be a host's name or address"),
        ("SPARK_START_SECONDS", "5", "it must be a whole number from 10 to 3600"),
    ],
)
def test_a_wrong_setting_of_a_cluster_is_one_sentence(
    good: Mapping[str, str], name: str, value: str, allowed: str
) -> None:
    settings = {**good, "VIEWLEDGER_SPARK_MASTER": "spark://a:7077", f"VIEWLEDGER_{name}": value}
    with pytest.raises(CommandError) as refusal:
        BatchSettings.from_environ(settings)
    assert str(refusal.value) == f"VIEWLEDGER_{name} is {value!r}; {allowed}"
    assert refusal.value.code is ExitCode.BAD_INPUT


def test_yarn_is_found_by_the_folder_of_its_settings_alone(good: Mapping[str, str], tmp_path: Path) -> None:
    on_yarn = {**good, "VIEWLEDGER_SPARK_MASTER": "yarn"}
    must = "; it must be the folder with YARN's settings where VIEWLEDGER_SPARK_MASTER is yarn"
    with pytest.raises(CommandError, match=f"^HADOOP_CONF_DIR is not set{must}$"):
        BatchSettings.from_environ(on_yarn)
    with pytest.raises(CommandError, match=f"^HADOOP_CONF_DIR is '{tmp_path}', which holds no yarn-site.xml{must}$"):
        BatchSettings.from_environ({**on_yarn, "HADOOP_CONF_DIR": str(tmp_path)})
    (tmp_path / "yarn-site.xml").touch()
    assert BatchSettings.from_environ({**on_yarn, "HADOOP_CONF_DIR": str(tmp_path)}).spark.executors is not None


def test_the_metrics_file_counts_runs_over_processes(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "batch.prom"
    for outcome in ("published", "gate_failed", "gate_failed"):
        PrometheusBatchMetrics(path).record(outcome, {"archived_events": 7.0}, {"archive": 1.5, "gate": 0.5})
    text = path.read_text()
    assert "viewledger_gate_failures_total 2.0" in text
    assert 'viewledger_batch_runs_total{outcome="published"} 1.0' in text
    assert 'viewledger_batch_stage_seconds{stage="archive"} 1.5' in text
    assert "viewledger_batch_last_run_seconds 2.0" in text


@pytest.mark.parametrize(
    ("off", "answer"), [(7200, "7200 s ahead of the broker's"), (-7200, "7200 s behind"), (61, "61 s ahead")]
)
def test_a_run_by_a_wrong_clock_is_refused(off: int, answer: str) -> None:
    with pytest.raises(RefusedError, match=answer):
        batch_run.check_clock(NOON + timedelta(seconds=off), NOON)


@pytest.mark.parametrize("off", [-59, 0, 59])
def test_clocks_may_differ_by_less_than_a_minute(off: int) -> None:
    batch_run.check_clock(NOON + timedelta(seconds=off), NOON)
