"""An HDFS of one NameNode and one DataNode, in which the pipeline may write, analysts may read, others nothing."""

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from jobs.child.accounts import account_of, owned_folder
from jobs.local_stack.hdfs_rights import READER, READERS, WRITER
from jobs.local_stack.probes import hdfs_is_writable, namenode_is_open
from jobs.local_stack.profile import Profile
from jobs.local_stack.unit import Kind, Unit
from jobs.settings.state_home import PROJECT

LOG4J = """\
log4j.rootLogger=WARN,out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c: %m%n
"""

QUICK = {
    "dfs.permissions.enabled": "true",
    "dfs.namenode.datanode.registration.ip-hostname-check": "false",
    "dfs.heartbeat.interval": "1",
    "dfs.namenode.heartbeat.recheck-interval": "5000",  # a dead DataNode is noticed within 20 s, not 10 minutes
    "dfs.namenode.safemode.extension": "0",
    "dfs.safemode.extension": "0",
}
"""Settings of every HDFS on one machine: few nodes, which are there within seconds."""

GROUPS = {"hadoop.user.group.static.mapping.overrides": f"{WRITER}={WRITER};{READER}={READERS}"}
# WebHDFS is served with an old JAXB that would define classes by a way that Java 17 has closed.
PLAIN_JAXB = "-Dcom.sun.xml.bind.v2.bytecode.ClassTailor.noOptimize=true"
EMPTY_WEB_PAGES = '<web-app xmlns="http://java.sun.com/xml/ns/javaee" version="3.0"/>\n'
"""The jars carry no web pages, and without these files the nodes do not start."""


def hdfs_units(profile: Profile, *, java: str, jars: Path, environ: Mapping[str, str]) -> tuple[Unit, ...]:
    """Return the NameNode, the DataNode, and the tasks that format the name folder once and set the rights."""
    account = account_of("hdfs")
    names, blocks = profile.folder / "hdfs-names", profile.folder / "hdfs-blocks"
    for folder in (names, blocks):
        owned_folder(folder, account)
    etc = write_config(profile, names, blocks)
    # without Java's second compiler: in a short life its work is a third of all, and quicker code saves less
    small = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    classes = [java, *small, "-Djava.net.preferIPv4Stack=true", PLAIN_JAXB, "-cp", f"{etc}:{jars}/*"]
    server = "org.apache.hadoop.hdfs.server"
    http = profile.ports.namenode_http
    formatting = Unit(
        name="hdfs-format",
        kind=Kind.TASK,
        command=(*classes, f"{server}.namenode.NameNode", "-format", "-force", "-nonInteractive"),
        environ=environ,
        account=account,
        done_marker=profile.folder / "prepared" / "hdfs",
        fresh_folders=(names, blocks),  # blocks of another name folder would be refused
    )
    namenode = Unit(
        name="namenode",
        kind=Kind.SERVER,
        command=(classes[0], "-Xmx256m", *classes[1:], f"{server}.namenode.NameNode"),
        environ=environ,
        after=(formatting.name,),
        probe=lambda: namenode_is_open(http),
        account=account,
        port=profile.ports.namenode,
    )
    datanode = Unit(
        name="datanode",
        kind=Kind.SERVER,
        command=(classes[0], "-Xmx256m", *classes[1:], f"{server}.datanode.DataNode"),
        environ=environ,
        after=(formatting.name,),  # not after the NameNode: it waits for it by itself, and both start slowly
        probe=lambda: hdfs_is_writable(http),
        account=account,
        port=profile.ports.datanode,
    )
    rights = Unit(
        name="hdfs-rights",
        kind=Kind.TASK,
        command=(sys.executable, "-P", "-m", "jobs.local_stack.hdfs_rights", str(http), hdfs_superuser()),
        environ={**environ, "PYTHONPATH": str(PROJECT)},
        after=(datanode.name,),
    )
    return formatting, namenode, datanode, rights


def hdfs_superuser() -> str:
    """Return the superuser of HDFS: the account of its NameNode."""
    account = account_of("hdfs")
    return account.name if account else getpass.getuser()


def write_config(profile: Profile, names: Path, blocks: Path) -> Path:
    """Write the class-path folder of both nodes and return it."""
    ports = profile.ports
    core = {
        "fs.defaultFS": f"hdfs://127.0.0.1:{ports.namenode}",
        "hadoop.tmp.dir": str(names / "tmp"),
        **GROUPS,
    }
    hdfs = {
        "dfs.namenode.rpc-address": f"127.0.0.1:{ports.namenode}",
        "dfs.namenode.http-address": f"127.0.0.1:{ports.namenode_http}",
        "dfs.datanode.address": f"127.0.0.1:{ports.datanode}",
        "dfs.datanode.ipc.address": f"127.0.0.1:{ports.datanode_ipc}",
        "dfs.datanode.http.address": f"127.0.0.1:{ports.datanode_http}",
        "dfs.namenode.name.dir": f"file://{names / 'image'}",
        "dfs.datanode.data.dir": f"file://{blocks / 'blocks'}",
        "dfs.replication": "1",
        **QUICK,
    }
    site = profile.write_config("hadoop/core-site.xml", xml(core))
    profile.write_config("hadoop/hdfs-site.xml", xml(hdfs))
    profile.write_config("hadoop/log4j.properties", LOG4J)
    for node in ("hdfs", "datanode"):
        for folder in ("webapps", f"webapps/{node}"):
            (site.parent / folder).mkdir(exist_ok=True)
            (site.parent / folder).chmod(0o755)
        profile.write_config(f"hadoop/webapps/{node}/WEB-INF/web.xml", EMPTY_WEB_PAGES)
    return site.parent


def xml(settings: Mapping[str, str]) -> str:
    """Return settings in Hadoop's configuration format."""
    entries = "".join(
        f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>\n"
        for name, value in settings.items()
    )
    return f"<configuration>\n{entries}</configuration>\n"
