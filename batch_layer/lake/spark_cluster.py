"""Run a session's work on the executors of a cluster: its options, and a start that ends within a bounded time."""

import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import SparkSession

from batch_layer.errors import RefusedError
from batch_layer.lake.executor_environment import environment_archive
from batch_layer.lake.spark_errors import NO_SPACE, SPARK_ERRORS, SparkError, first_cause, text_of
from batch_layer.lake.spark_settings import YARN, Executors
from ingestion.contract.unavailable import Part, UnavailableError

_UNPACKED = "viewledger-python"
"""The archive's folder in the working folder of each executor."""
_CONNECT_SECONDS = 5.0
_WRONG_SETTINGS = "IllegalArgumentException"
_WRONG_PYTHON = ("Cannot run program", "ModuleNotFoundError", "ImportError", "PYTHON_VERSION_MISMATCH")


def executor_options(master: str, executors: Executors) -> dict[str, str]:
    """Return Spark's options for the executors; makes the archive of their Python code if it is not there."""
    options = {
        "spark.executor.instances": str(executors.count),
        "spark.executor.cores": str(executors.cores),
        "spark.executor.memory": executors.memory,
        # a standalone master gives an application all its cores otherwise
        "spark.cores.max": str(executors.count * executors.cores),
        "spark.archives": f"{environment_archive(executors.archives)}#{_UNPACKED}",
        "spark.executorEnv.PYTHONPATH": _UNPACKED,
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
        # a ResourceManager that is away is tried for a quarter of an hour by default
        "spark.hadoop.yarn.resourcemanager.connect.max-wait.ms": "10000",
        "spark.hadoop.yarn.resourcemanager.connect.retry-interval.ms": "1000",
    }
    if executors.driver_host:
        options |= {"spark.driver.host": executors.driver_host, "spark.driver.bindAddress": executors.driver_host}
    if master == YARN:
        # YARN hands the secret of an application to its containers alone
        options |= {"spark.authenticate": "true", "spark.network.crypto.enabled": "true"}
    return options


def start_on_cluster(master: str, executors: Executors, start: Callable[[], SparkSession]) -> SparkSession:
    """Start a session and wait until an executor has run our code; Spark by itself would wait without end.

    After `start_seconds` this process's Java is killed, which had begun no work.

    Raises:
        UnavailableError: the cluster does not answer, or has no place for an executor.
        RefusedError: Spark refuses its settings, or the executors cannot run our code.
    """
    check_masters(master)
    is_over = threading.Event()
    timer = threading.Timer(executors.start_seconds, partial(_kill_java, is_over))
    timer.start()
    try:
        session = start()
        session.range(1, numPartitions=1).mapInArrow(_imported, "id bigint").collect()
    except (*SPARK_ERRORS, OSError) as error:  # py4j lets through what its socket raises once Java is gone
        found = _no_executor(master, executors) if is_over.is_set() else _translated(master, executors.python, error)
        _forget_java()
        raise found from error
    finally:
        timer.cancel()
    return session


def check_masters(master: str) -> None:
    """Raise UnavailableError if no standalone master accepts a connection; Spark would retry for a minute."""
    reasons = []
    for address in [] if master == YARN else master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            reasons.append(error.strerror or str(error))
        else:
            return
    if reasons:
        raise UnavailableError(Part.SPARK, f"the Spark master at {master} does not answer ({'; '.join(reasons)})")


def _imported(chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Import the contract's decoder on an executor."""
    import ingestion.contract.decoding  # noqa: F401

    yield from chunks


def _kill_java(is_over: threading.Event) -> None:
    is_over.set()
    gateway: Any = SparkContext._gateway
    if gateway is not None:
        gateway.proc.kill()


def _forget_java() -> None:
    """End this process's Java, so that the next attempt starts one of its own."""
    gateway: Any = SparkContext._gateway
    if gateway is None:
        return
    gateway.proc.kill()
    gateway.proc.wait()
    with suppress(*SPARK_ERRORS):
        gateway.shutdown()
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = None


def _no_executor(master: str, executors: Executors) -> UnavailableError:
    return UnavailableError(
        Part.SPARK,
        f"the Spark cluster at {master} gave no executor within {executors.start_seconds} s; it does not answer, or no "
        f"machine of it has {executors.cores} cores and {executors.memory} of memory free",
    )


def _translated(master: str, python: str, error: SparkError | OSError) -> Exception:
    text = str(error) if isinstance(error, OSError) else text_of(error)
    if NO_SPACE in text:
        return error
    cause = first_cause(text)
    if any(sign in text for sign in _WRONG_PYTHON):
        return RefusedError(
            f"executors of {master} cannot run the project's code ({cause}); their machines need Python "
            f"3.{sys.version_info.minor} as {python}"
        )
    if _WRONG_SETTINGS in text:
        return RefusedError(f"the Spark cluster at {master} refuses a setting ({cause})")
    return UnavailableError(Part.SPARK, f"the Spark cluster at {master} did not start a session ({cause})")
