"""HDFS of several nodes on this machine: of two NameNodes one is active, and ZooKeeper decides which; three DataNodes.

The NameNodes share their edits by three JournalNodes. All of them run from the jars of the stack's HDFS.
"""

import getpass
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from faults.java_nodes import JavaNodes, NodesInBlock
from faults.waiting import until
from jobs.local_stack.hdfs_nodes import EMPTY_WEB_PAGES, GROUPS, LOG4J, PLAIN_JAXB, QUICK, xml
from jobs.local_stack.hdfs_rights import give_rights
from jobs.local_stack.http_probe import http_get
from jobs.local_stack.ports import is_open, some_free_ports
from jobs.settings.declared import spark
from jobs.settings.declared.servers import HDFS_URL
from jobs.settings.state_home import state_home

SERVICE = "views"
NAMENODES, DATANODES, JOURNALNODES = ("one", "two"), ("1", "2", "3"), ("1", "2", "3")
COPIES = 3
READY_SECONDS = 180.0
HDFS = "org.apache.hadoop.hdfs"
NAMENODE, DATANODE = f"{HDFS}.server.namenode.NameNode", f"{HDFS}.server.datanode.DataNode"
JOURNALNODE, CONTROLLER = f"{HDFS}.qjournal.server.JournalNode", f"{HDFS}.tools.DFSZKFailoverController"
PROVIDER = f"{HDFS}.server.namenode.ha.ConfiguredFailoverProxyProvider"
HTTP_SECONDS = 10.0


class HdfsCluster(NodesInBlock):
    """Every file has three copies. Use it in a `with` block, from the main thread."""

    def __init__(self, folder: Path) -> None:
        self._etc = folder / "etc"
        options = ("-XX:TieredStopAtLevel=1", PLAIN_JAXB)
        classes = f"{self._etc}:{state_home() / 'jars' / 'hadoop'}/*"
        self.nodes = JavaNodes(folder, classes=classes, options=options, environ={})
        ports = iter(some_free_ports(1 + 3 * len(NAMENODES) + 2 * len(JOURNALNODES) + 3 * len(DATANODES)))
        self._zookeeper = next(ports)
        self._rpc, self._http, self._control = ({each: next(ports) for each in NAMENODES} for _ in range(3))
        self._journal, self._journal_http = ({each: next(ports) for each in JOURNALNODES} for _ in range(2))
        self._data = {each: (next(ports), next(ports), next(ports)) for each in DATANODES}
        self._write_config()

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the settings by which our processes use it."""
        return {HDFS_URL.name: f"hdfs://{SERVICE}", spark.HADOOP_CONF_DIR.name: str(self._etc)}

    def start(self) -> None:
        """Start every node on empty folders, and wait until files can be written with three copies."""
        self.nodes.start("zookeeper", "org.apache.zookeeper.server.ZooKeeperServerMain", str(self._etc / "zoo.cfg"))
        for each in JOURNALNODES:
            self.nodes.start(f"journalnode-{each}", JOURNALNODE, *self._of_journalnode(each))
        ports = (self._zookeeper, *self._journal.values())
        until(lambda: all(map(is_open, ports)), READY_SECONDS, "ZooKeeper and the JournalNodes listen")
        first, second = NAMENODES
        self.nodes.run("format", NAMENODE, *_of_namenode(first), "-format", "-force", "-nonInteractive")
        self.nodes.run("format-zookeeper", CONTROLLER, *_of_namenode(first), "-formatZK", "-force", "-nonInteractive")
        for each in DATANODES:
            self.start_datanode(each)
        self.start_namenode(first)
        until(lambda: self.active() == first, READY_SECONDS, "the first NameNode is active")
        self.nodes.run("copy", NAMENODE, *_of_namenode(second), "-bootstrapStandby", "-force", "-nonInteractive")
        self.start_namenode(second)
        self.wait_whole()
        give_rights(self._http[first], getpass.getuser())

    def start_namenode(self, name: str) -> None:
        """Start a NameNode on its files, and the controller that makes it active or standby."""
        self.nodes.start(_namenode(name), NAMENODE, *_of_namenode(name))
        self.nodes.start(f"controller-{name}", CONTROLLER, *_of_namenode(name))

    def start_datanode(self, name: str) -> None:
        """Start a DataNode on its files."""
        self.nodes.start(_datanode(name), DATANODE, *self._of_datanode(name))

    def kill_active(self) -> str:
        """Send SIGKILL to the active NameNode and to its controller, as their machine dies; return its name."""
        name = self.active()
        if name is None:
            raise AssertionError("no NameNode is active")
        self.nodes.kill(f"controller-{name}")
        self.nodes.kill(_namenode(name))
        return name

    def kill_datanode(self, name: str) -> None:
        """Send SIGKILL to a DataNode."""
        self.nodes.kill(_datanode(name))

    def active(self) -> str | None:
        """Return the active NameNode, if there is one."""
        states = {name: self._bean(name, "NameNodeStatus").get("State") for name in NAMENODES}
        return next((name for name, state in states.items() if state == "active"), None)

    def wait_whole(self) -> None:
        """Wait until both NameNodes and all DataNodes are there, and every block has its copies."""
        until(self._is_whole, READY_SECONDS, "HDFS is whole")

    def keeps_files(self) -> bool:
        """Return whether the active NameNode and the DataNodes take a small file and give it back."""
        name, content = self.active(), b"a probe"
        if name is None:
            return False
        url, who = f"http://127.0.0.1:{self._http[name]}/webhdfs/v1/probe", {"user.name": getpass.getuser()}
        with suppress(httpx.HTTPError), httpx.Client(timeout=HTTP_SECONDS, follow_redirects=True) as client:
            # WebHDFS names first the node that takes the content
            create = {"op": "CREATE", "overwrite": "true", "noredirect": "true"}
            place = client.put(url, params=who | create).raise_for_status().json()["Location"]
            client.put(place, content=content).raise_for_status()
            return client.get(url, params=who | {"op": "OPEN"}).raise_for_status().content == content
        return False

    def _is_whole(self) -> bool:
        name = self.active()
        if name is None or any(not self._bean(each, "NameNodeStatus") for each in NAMENODES):
            return False
        state = self._bean(name, "FSNamesystemState")
        there = (state.get("FSState"), state.get("NumLiveDataNodes"), state.get("UnderReplicatedBlocks"))
        return there == ("Operational", len(DATANODES), 0)

    def _bean(self, namenode: str, name: str) -> dict[str, Any]:
        """Return what a NameNode shows of itself; nothing while it does not answer."""
        body = http_get(f"http://127.0.0.1:{self._http[namenode]}/jmx?qry=Hadoop:service=NameNode,name={name}")
        beans = json.loads(body).get("beans", []) if body else []
        return dict(beans[0]) if beans else {}

    def _of_journalnode(self, name: str) -> list[str]:
        return _options(
            {
                "dfs.journalnode.rpc-address": f"127.0.0.1:{self._journal[name]}",
                "dfs.journalnode.http-address": f"127.0.0.1:{self._journal_http[name]}",
                "dfs.journalnode.edits.dir": str(self.nodes.own_folder(f"edits-{name}")),
            }
        )

    def _of_datanode(self, name: str) -> list[str]:
        data, ipc, http = self._data[name]
        return _options(
            {
                "dfs.datanode.address": f"127.0.0.1:{data}",
                "dfs.datanode.ipc.address": f"127.0.0.1:{ipc}",
                "dfs.datanode.http.address": f"127.0.0.1:{http}",
                "dfs.datanode.data.dir": f"file://{self.nodes.own_folder(f'blocks-{name}')}",
            }
        )

    def _write_config(self) -> None:
        self._etc.mkdir()
        journal = ";".join(f"127.0.0.1:{port}" for port in self._journal.values())
        hdfs = {
            "dfs.nameservices": SERVICE,
            f"dfs.ha.namenodes.{SERVICE}": ",".join(NAMENODES),
            f"dfs.client.failover.proxy.provider.{SERVICE}": PROVIDER,
            "dfs.namenode.shared.edits.dir": f"qjournal://{journal}/{SERVICE}",
            "dfs.journalnode.enable.sync": "false",
            "dfs.ha.automatic-failover.enabled": "true",
            "dfs.ha.fencing.methods": "shell(/bin/true)",  # the JournalNodes take edits from one NameNode alone
            "dfs.replication": str(COPIES),
            **QUICK,
        }
        for name in NAMENODES:
            hdfs |= {
                f"dfs.namenode.rpc-address.{SERVICE}.{name}": f"127.0.0.1:{self._rpc[name]}",
                f"dfs.namenode.http-address.{SERVICE}.{name}": f"127.0.0.1:{self._http[name]}",
                f"dfs.namenode.name.dir.{SERVICE}.{name}": f"file://{self.nodes.own_folder(f'names-{name}')}",
                f"dfs.ha.zkfc.port.{SERVICE}.{name}": str(self._control[name]),
            }
        core = {
            "fs.defaultFS": f"hdfs://{SERVICE}",
            "hadoop.tmp.dir": str(self.nodes.own_folder("tmp")),
            "ha.zookeeper.quorum": f"127.0.0.1:{self._zookeeper}",
            "ha.zookeeper.session-timeout.ms": "5000",
            **GROUPS,
        }
        zookeeper = (
            f"clientPortAddress=127.0.0.1\nclientPort={self._zookeeper}\nadmin.enableServer=false\n"
            f"dataDir={self.nodes.own_folder('zookeeper-data')}\n"
        )
        files = {
            "core-site.xml": xml(core),
            "hdfs-site.xml": xml(hdfs),
            "log4j.properties": LOG4J,
            "zoo.cfg": zookeeper,
            **{f"webapps/{node}/WEB-INF/web.xml": EMPTY_WEB_PAGES for node in ("hdfs", "datanode", "journal")},
        }
        for name, text in files.items():
            (self._etc / name).parent.mkdir(parents=True, exist_ok=True)
            (self._etc / name).write_text(text, encoding="utf-8")


def _namenode(name: str) -> str:
    return f"namenode-{name}"


def _datanode(name: str) -> str:
    return f"datanode-{name}"


def _of_namenode(name: str) -> list[str]:
    """Return the options that say which of the two NameNodes, on one address, a process is or serves."""
    return _options({"dfs.ha.namenode.id": name})


def _options(settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-D", f"{name}={value}")]
