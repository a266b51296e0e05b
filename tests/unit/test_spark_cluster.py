"""The start of a session on a cluster, and the archive of what its executors run."""

import re
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyspark
import pytest
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from batch_layer.errors import RefusedError
from batch_layer.lake import executor_environment
from batch_layer.lake.executor_environment import DISTRIBUTIONS, PROJECT, environment_archive
from batch_layer.lake.spark_cluster import check_masters, executor_options, start_on_cluster
from batch_layer.lake.spark_settings import YARN, Executors
from ingestion.contract.unavailable import Part, UnavailableError

RUNS_ON_EXECUTORS = re.compile(r"\.(mapIn\w+|applyIn\w+|map|mapPartitions\w*|foreach\w*)\(")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_archive(tmp_path_factory.mktemp("archives"))


def test_an_archive_is_made_once_for_the_same_code(archive: Path) -> None:
    made_at = archive.stat().st_mtime_ns
    assert environment_archive(archive.parent) == archive
    assert archive.stat().st_mtime_ns == made_at
    assert [each.name for each in archive.parent.iterdir()] == [archive.name]


def test_changed_code_has_another_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (module := tmp_path / "own" / "code.py").write_text("1")
    monkeypatch.setattr(executor_environment, "PROJECT", tmp_path)
    monkeypatch.setattr(executor_environment, "OWN_PACKAGES", ("own",))
    monkeypatch.setattr(executor_environment, "DISTRIBUTIONS", ("msgspec",))
    first = environment_archive(tmp_path / "archives")
    module.write_text("2")
    assert environment_archive(tmp_path / "archives") != first


def test_an_archive_holds_no_settings_and_nothing_but_code(archive: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    roots = {name.partition("/")[0].partition("-")[0].partition(".")[0] for name in names}
    packages = {name.removesuffix("-binary").removeprefix("google-") for name in DISTRIBUTIONS}
    assert roots == {"batch_layer", "ingestion", *packages, "psycopg2_binary", "google_re2"}
    assert not any(name.endswith((".env", ".pw", ".pyc")) for name in names)


def test_everything_that_executors_import_is_in_the_archive(archive: Path, tmp_path: Path) -> None:
    """A Python without the project and without its packages imports each module that gives Spark a function."""
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path)
    rooms = PROJECT / "batch_layer"
    files = [path for path in rooms.rglob("spark_*.py") if RUNS_ON_EXECUTORS.search(path.read_text())]
    files += rooms.rglob("postgres_*.py")  # what a task is given to store rows with
    modules = [".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in files]
    assert {"batch_layer.judging.spark_decode", "batch_layer.versions.postgres_staging"} <= set(modules)
    path = [str(tmp_path), *map(str, (Path(pyspark.__file__).parent / "python" / "lib").glob("*.zip"))]
    program = f"import sys; sys.path += {path!r}\nimport {', '.join(modules)}, psycopg2\nprint(psycopg2.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


def test_executors_are_asked_for_by_number_cores_and_memory(archive: Path) -> None:
    executors = Executors(archive.parent, "python3.11", count=3, cores=4, memory="5g", driver_host="driver.example")
    options = executor_options("spark://h:7077", executors)
    assert options["spark.cores.max"] == "12", "a standalone master would give all that it has"
    assert (options["spark.executor.instances"], options["spark.executor.cores"]) == ("3", "4")
    assert options["spark.executor.memory"] == "5g"
    assert options["spark.driver.host"] == options["spark.driver.bindAddress"] == "driver.example"
    assert options["spark.archives"] == f"{archive}#{options['spark.executorEnv.PYTHONPATH']}"
    assert "spark.authenticate" not in options, "its secret would have to be known to the workers"
    assert executor_options(YARN, executors)["spark.authenticate"] == "true"


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_master_that_does_not_answer_is_one_sentence() -> None:
    master = f"spark://127.0.0.1:{closed_port()}"
    with pytest.raises(UnavailableError) as caught:
        check_masters(master)
    assert str(caught.value) == f"the Spark master at {master} does not answer (Connection refused)"
    assert caught.value.part is Part.SPARK


def test_one_of_several_masters_is_enough() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        check_masters(f"spark://127.0.0.1:{closed_port()},127.0.0.1:{listening.getsockname()[1]}")


def test_the_address_of_yarn_is_known_to_its_client_alone() -> None:
    check_masters(YARN)


@pytest.fixture
def executors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Executors:
    """Settings for a process without Java, whatever other tests of it have started."""
    for name in ("_gateway", "_jvm", "_active_spark_context"):
        monkeypatch.setattr(SparkContext, name, None)
    return Executors(tmp_path, "python3.11", cores=2, memory="3g", start_seconds=1000)


def failing(text: str) -> Callable[[], SparkSession]:
    def start() -> SparkSession:
        raise Py4JError(text)

    return start


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        (
            'java.io.IOException: Cannot run program "python3.11": error=2, No such file or directory',
            RefusedError,
            r"^executors of yarn cannot run the project's code \(.*\); their machines need Python 3\.\d+ as python3\.",
        ),
        (
            "java.lang.IllegalArgumentException: Executor memory 10485760 must be at least 471859200",
            RefusedError,
            r"^the Spark cluster at yarn refuses a setting \(.*at least 471859200\)$",
        ),
        (
            "java.net.ConnectException: Connection refused",
            UnavailableError,
            r"^the Spark cluster at yarn did not start a session \(java.net.ConnectException: Connection refused\)$",
        ),
    ],
)
def test_why_a_cluster_gives_no_session_is_one_sentence(
    executors: Executors, text: str, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        start_on_cluster(YARN, executors, failing(text))


def test_a_start_ends_when_its_time_is_over(tmp_path: Path, executors: Executors) -> None:
    def start() -> SparkSession:
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join(60)
        raise Py4JError("Java is gone")

    soon = Executors(tmp_path, executors.python, cores=2, memory="3g", start_seconds=0)
    with pytest.raises(UnavailableError) as caught:
        start_on_cluster(YARN, soon, start)
    assert str(caught.value) == (
        "the Spark cluster at yarn gave no executor within 0 s; it does not answer, or no machine of it has 2 cores "
        "and 3g of memory free"
    )
