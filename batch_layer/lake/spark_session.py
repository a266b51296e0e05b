"""Start the one Spark session of a process: jars from a folder, the Iceberg catalog, UTC, quiet."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyspark
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from batch_layer.lake.spark_cluster import executor_options, start_on_cluster
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.spark_settings import SparkSettings

PROJECT = Path(__file__).resolve().parents[2]
CLASS_ARCHIVE = Path(pyspark.__file__).with_name("classes.jsa")
"""Written by set-up; see `spark_class_archive`."""
_ASKED_FOR = (
    "functions",
    "PythonUtils",
    "PythonSQLUtils",
    "SimplePythonFunction",
    "org.apache.spark.sql.functions",
    "org.apache.spark.sql.api.python.PythonSQLUtils",
    "org.apache.spark.sql.Observation",
    "py4j",
)
"""The classes of Java that PySpark asks for by their name, up to hundreds of times in a run."""
_REPLANNING = "spark.sql.adaptive.enabled"
_SHUFFLE_TASKS = "spark.sql.shuffle.partitions"


@translated
def open_session(settings: SparkSettings, name: str = "viewledger batch") -> SparkSession:
    """Start Spark, or return the session that this process already has.

    Passwords are passed to the running Java process, never on its command line, which everybody on the machine may
    read. Raises UnavailableError when the disk of Spark's scratch files is full, or a cluster gives no executor.
    """
    master, executors = settings.master, settings.executors
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYSPARK_PYTHON"] = executors.python if executors else sys.executable
    os.environ.setdefault("HADOOP_USER_NAME", "viewledger")
    if executors is None:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # workers forked by a local Spark inherit this; the driver has the project on its path already
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    options = _options(settings) | dict(settings.extra)
    start = partial(_session, settings, name, options)
    if executors is None or SparkSession.getActiveSession():
        return start()
    return start_on_cluster(master, executors, start)


def _session(settings: SparkSettings, name: str, options: Mapping[str, str]) -> SparkSession:
    builder = SparkSession.builder.master(settings.master).appName(name)
    secrets = {key: value for key, value in options.items() if key.endswith("password")}
    for key, value in options.items():
        # Spark's event log hides the secrets among settings that Spark was started with, and no others
        builder = builder.config(key, "" if key in secrets else value)
    with _stderr_to(settings.log):
        session = builder.getOrCreate()
    for key, value in secrets.items():
        session.conf.set(key, value)
    # every operator of a column asks for one of these by its name, and Java would search all jars in several packages
    vars(session._jvm).update({name: getattr(session._jvm, name) for name in _ASKED_FOR})
    # once Java is gone, this server of PySpark's would only print a stack trace
    vars(session.sparkContext._accumulatorServer)["handle_error"] = lambda *_: None
    return session


def is_usable(session: SparkSession) -> bool:
    """Return whether the session's Java process answers and its context has not been stopped."""
    try:
        return not session.sparkContext._jsc.sc().isStopped()
    except (Py4JError, OSError):
        return False


def replan(session: SparkSession, *, is_short: bool, is_interpreted: bool, task_count: int) -> SparkSession:
    """Return the session, its plans made for this size of work from now on.

    `is_interpreted`: compiling a query would take longer than it saves. `task_count`: at most this many tasks of a
    shuffle, or what the session's settings name, if that is fewer.
    """
    most = int(session.sparkContext.getConf().get(_SHUFFLE_TASKS) or task_count)
    for key, value in {
        _REPLANNING: str(not is_short).lower(),
        "spark.sql.codegen.wholeStage": str(not is_interpreted).lower(),
        "spark.sql.codegen.factoryMode": "NO_CODEGEN" if is_interpreted else "FALLBACK",
        _SHUFFLE_TASKS: str(min(most, task_count)),
    }.items():
        session.conf.set(key, value)
    return session


@contextmanager
def released(session: SparkSession) -> Iterator[None]:
    """Release what this session has kept in memory, however the work inside the block ends."""
    try:
        yield
    finally:
        session.catalog.clearCache()
        # checkpoints, too: Spark itself would wait until Java collects its garbage
        for rows in session.sparkContext._jsc.getPersistentRDDs().values():
            rows.unpersist()


@contextmanager
def _stderr_to(log: Path | None) -> Iterator[None]:
    """Give the child processes another stderr; Java writes to it before any of its logging is set up."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _has_its_class_path(settings: SparkSettings) -> bool:
    """Return whether Java starts with the class path of the archive: with another one it would start more slowly."""
    return "spark.driver.extraClassPath" not in settings.extra and "SPARK_CONF_DIR" not in os.environ


def _options(settings: SparkSettings) -> dict[str, str]:
    # Java's own warnings belong to the log, not among our answers on stdout
    log4j2 = Path(__file__).with_name("log4j2.properties")
    quiet = f"-Xlog:disable -Xlog:all=warning:stderr -Dlog4j2.configurationFile=file:{log4j2}"
    # without memory for a single step nothing can be trusted any more: end, so that this process notices
    quiet += " -XX:+ExitOnOutOfMemoryError"
    if CLASS_ARCHIVE.exists() and _has_its_class_path(settings):
        quiet += f" -XX:SharedArchiveFile={CLASS_ARCHIVE}"
    options = {
        "spark.jars": ",".join(sorted(str(path) for path in settings.jars.glob("*.jar"))),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": f"{quiet} -Duser.timezone=UTC -XX:+UseParallelGC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # each query is described for a page that is not served: in one line for an operator, not in paragraphs
        "spark.sql.ui.explainMode": "simple",
        "spark.sql.session.timeZone": "UTC",
        _SHUFFLE_TASKS: str(settings.shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalogImplementation": "in-memory",
        # otherwise each operation on a column makes a handful of calls to Java only to note its line in our code
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # the compiled stages of all queries of a run: a warm process compiles none of them twice
        "spark.sql.codegen.cache.maxEntries": "2000",
        # what Spark keeps of ended work for its pages, which are not served
        "spark.ui.retainedJobs": "20",
        "spark.ui.retainedStages": "20",
        "spark.ui.retainedTasks": "200",
        "spark.sql.ui.retainedExecutions": "5",
        # one dead server must not cost minutes: jobs retries whole runs
        "spark.hadoop.ipc.client.connect.max.retries": "2",
        "spark.hadoop.ipc.client.connect.max.retries.on.timeouts": "2",
        # a server that accepts calls and answers none is given up, too
        "spark.hadoop.ipc.client.rpc-timeout.ms": "60000",
        "spark.hadoop.dfs.client.use.datanode.hostname": "false",
        # closing a file waits for the DataNode's report: 0.4 s by default for each of a run's hundreds of small files
        "spark.hadoop.dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "10",
        "spark.hadoop.dfs.client.block.write.locateFollowingBlock.retries": "12",
    }
    if settings.executors:
        options |= executor_options(settings.master, settings.executors)
    if settings.is_short:
        for each in ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions"):
            options[each] = f"{options.get(each, '')} -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
        options[_REPLANNING] = "false"
    catalog = f"spark.sql.catalog.{settings.catalog_name}"
    options[catalog] = "org.apache.iceberg.spark.SparkCatalog"
    # every run pins snapshots by id, so a cached table would only hide another process's commit
    options[f"{catalog}.cache-enabled"] = "false"
    return options | {f"{catalog}.{key}": value for key, value in settings.catalog.items()}
