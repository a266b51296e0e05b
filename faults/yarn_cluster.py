"""YARN on this machine: a ResourceManager and a NodeManager, of the same Hadoop as the stack's HDFS."""

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from faults.java_nodes import JavaNodes, NodesInBlock
from faults.spark_cluster import executor_settings, spark_home
from faults.waiting import until
from jobs.local_stack.hdfs_nodes import LOG4J, xml
from jobs.local_stack.ports import some_free_ports
from jobs.settings.declared import spark
from jobs.settings.state_home import state_home
from jobs.setup.programs_for_tests import yarn_jars

MANAGER, NODE = "resourcemanager", "nodemanager"
READY_SECONDS = 90.0
NODE_MEMORY_MB = 4096
EXECUTORS, EXECUTOR_MEMORY = 2, "600m"
SERVER = "org.apache.hadoop.yarn.server"
MANAGER_ADDRESSES = ("address", "scheduler.address", "resource-tracker.address", "admin.address", "webapp.address")
NODE_ADDRESSES = ("address", "localizer.address", "webapp.address")
QUEUES = {
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",  # one application, on a small node
}


class YarnCluster(NodesInBlock):
    """Room for one application with two executors. Use it in a `with` block, from the main thread."""

    def __init__(self, folder: Path, hdfs_url: str) -> None:
        self._etc = folder / "etc"
        # what makes its injected classes came before Java had closed this way
        options = ("--add-opens", "java.base/java.lang=ALL-UNNAMED")
        classes = f"{self._etc}:{yarn_jars(state_home())}/*"
        self.nodes = JavaNodes(folder, classes=classes, options=options, environ={})
        self._write_config(hdfs_url)

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the settings by which our processes use it."""
        return {
            **executor_settings("yarn", EXECUTORS, EXECUTOR_MEMORY),
            spark.HADOOP_CONF_DIR.name: str(self._etc),
            "SPARK_CONF_DIR": str(self._etc),
        }

    def start(self) -> None:
        """Start both nodes, and wait until the NodeManager is registered."""
        self.nodes.start(MANAGER, f"{SERVER}.resourcemanager.ResourceManager")
        self.nodes.start(NODE, f"{SERVER}.nodemanager.NodeManager")
        until(self._has_a_node, READY_SECONDS, "YARN's node is registered")

    def _has_a_node(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._web}/ws/v1/cluster/metrics", timeout=5) as answer:
                return bool(json.load(answer)["clusterMetrics"]["activeNodes"])
        except OSError:
            return False

    def _write_config(self, hdfs_url: str) -> None:
        self._etc.mkdir()
        ports = iter(some_free_ports(len(MANAGER_ADDRESSES) + len(NODE_ADDRESSES)))
        yarn = {f"yarn.{MANAGER}.{name}": f"127.0.0.1:{next(ports)}" for name in MANAGER_ADDRESSES}
        yarn |= {f"yarn.{NODE}.{name}": f"127.0.0.1:{next(ports)}" for name in NODE_ADDRESSES}
        self._web = yarn[f"yarn.{MANAGER}.webapp.address"]
        yarn |= {
            f"yarn.{MANAGER}.hostname": "127.0.0.1",
            f"yarn.{NODE}.hostname": "127.0.0.1",
            f"yarn.{NODE}.local-dirs": str(self.nodes.own_folder("local")),
            f"yarn.{NODE}.log-dirs": str(self.nodes.own_folder("containers")),
            f"yarn.{NODE}.resource.memory-mb": str(NODE_MEMORY_MB),
            f"yarn.{NODE}.resource.cpu-vcores": "4",
            f"yarn.{NODE}.vmem-check-enabled": "false",  # Java reserves far more addresses than it uses
            f"yarn.{NODE}.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
            f"yarn.{NODE}.delete.debug-delay-sec": "3600",  # the containers' logs stay, to find out why
            "yarn.scheduler.minimum-allocation-mb": "128",
        }
        files = {
            "core-site.xml": xml({"fs.defaultFS": hdfs_url, "hadoop.tmp.dir": str(self.nodes.own_folder("tmp"))}),
            "yarn-site.xml": xml(yarn),
            "capacity-scheduler.xml": xml(QUEUES),
            "log4j.properties": LOG4J,
            # the node is this machine, so Spark's own jars need not be sent to it
            "spark-defaults.conf": f"spark.yarn.jars local:{spark_home() / 'jars'}/*\n",
        }
        for name, text in files.items():
            (self._etc / name).write_text(text, encoding="utf-8")
