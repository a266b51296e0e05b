"""Spark's own cluster on this machine: a standalone master and two workers, from the jars that Spark brings."""

import json
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults.java_nodes import JavaNodes, NodesInBlock
from faults.waiting import until
from jobs.local_stack.ports import some_free_ports
from jobs.settings.declared import spark

WORKERS = ("worker-0", "worker-1")
READY_SECONDS = 60.0
SCALA = "2.13"


class SparkCluster(NodesInBlock):
    """One core and one executor on each worker. Use it in a `with` block, from the main thread."""

    def __init__(self, folder: Path, *, executor_memory: str = "700m", worker_memory: str = "1g") -> None:
        self._executor_memory, self._worker_memory = executor_memory, worker_memory
        home = spark_home()
        # the workers ask for the version that the scripts in Spark's `bin` would find out
        environ = {"SPARK_HOME": str(home), "SPARK_SCALA_VERSION": SCALA}
        self.nodes = JavaNodes(folder, classes=f"{home / 'jars'}/*", environ=environ)
        self._port, self._web_port, *self._worker_ports = some_free_ports(2 + 2 * len(WORKERS))

    @property
    def url(self) -> str:
        """Return the master's URL."""
        return f"spark://127.0.0.1:{self._port}"

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the settings by which our processes use it."""
        return executor_settings(self.url, len(WORKERS), self._executor_memory)

    def start(self) -> None:
        """Start the master and the workers, and wait until both are registered."""
        listening = ("--host", "127.0.0.1", "--port", str(self._port), "--webui-port", str(self._web_port))
        self.nodes.start("master", "org.apache.spark.deploy.master.Master", *listening)
        for worker in WORKERS:
            self.start_worker(worker)
        until(lambda: len(self.alive_workers()) == len(WORKERS), READY_SECONDS, "the workers are registered")

    def start_worker(self, name: str) -> None:
        """Start a worker; it registers itself."""
        first = 2 * WORKERS.index(name)
        port, web_port = (str(each) for each in self._worker_ports[first : first + 2])
        words = ["--host", "127.0.0.1", "--port", port, "--webui-port", web_port, "--cores", "1"]
        words += ["--memory", self._worker_memory, "--work-dir", str(self.nodes.own_folder(name))]
        self.nodes.start(name, "org.apache.spark.deploy.worker.Worker", *words, self.url)

    def alive_workers(self) -> list[Any]:
        """Return the master's report of each living worker."""
        return [each for each in self.report().get("workers", ()) if each["state"] == "ALIVE"]

    def report(self) -> dict[str, Any]:
        """Return the master's report; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._web_port}/json/", timeout=5) as answer:
                return dict(json.load(answer))
        except OSError:
            return {}


def spark_home() -> Path:
    """Return the folder of the installed Spark, of which the nodes read the jars."""
    import pyspark  # `--list` need not wait for it

    return Path(pyspark.__file__).parent


def executor_settings(master: str, count: int, memory: str) -> dict[str, str]:
    """Return the settings of executors on this machine, which run the Python that this one was made from."""
    return {
        spark.SPARK_MASTER.name: master,
        spark.SPARK_EXECUTORS.name: str(count),
        spark.SPARK_EXECUTOR_CORES.name: "1",
        spark.SPARK_EXECUTOR_MEMORY.name: memory,
        spark.SPARK_EXECUTOR_PYTHON.name: str(Path(sys.executable).resolve()),
        spark.SPARK_DRIVER_HOST.name: "127.0.0.1",
        spark.SPARK_START_SECONDS.name: "120",
    }
