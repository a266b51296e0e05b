"""The servers of the faults: started with the first fault that needs them, ended with the command."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from faults.hdfs_cluster import HdfsCluster
from faults.kafka_cluster import NODES, KafkaCluster
from faults.kafka_topics import make_topics
from faults.postgres_servers import PostgresPair
from faults.redis_sets import RedisSet
from faults.small_disk import SmallDisk, StackOnSmallDisks
from faults.warm_driver import WarmDriver
from ingestion.contract.topics import TOPIC_CLOCK
from jobs.local_stack.servers import SERVERS
from jobs.local_stack.stack import LocalStack

WITHOUT_HDFS = ("kafka", "postgres")


@dataclass(frozen=True)
class Servers:
    """The servers of one scene."""

    stack: LocalStack
    warm_driver: Callable[[], WarmDriver]
    cluster: KafkaCluster | None = None
    """Three brokers instead of the stack's one."""
    disks: Mapping[str, SmallDisk] = field(default_factory=dict)
    """Server → the small disk of its data."""
    redis_set: Callable[[Path], RedisSet] | None = None
    """Makes, in a folder, the set that is used instead of one Redis."""
    hdfs: HdfsCluster | None = None
    """Several nodes instead of the stack's two."""
    postgres_pair: Callable[[Path], AbstractContextManager[PostgresPair]] | None = None
    """Runs, in a folder, the two servers that are used instead of the stack's one."""


class AllServers:
    """Use it in a `with` block; called from the main thread only."""

    def __init__(self, folder: Path, *, with_hdfs: bool, tell: Callable[[str], None]) -> None:
        self._folder, self._with_hdfs, self._tell = folder, with_hdfs, tell
        self._closing = ExitStack()
        self._stack: LocalStack | None = None
        self._cluster: KafkaCluster | None = None
        self._small: StackOnSmallDisks | None = None
        self._hdfs: Servers | None = None
        self._warm: WarmDriver | None = None

    def __enter__(self) -> "AllServers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def usual(self) -> Servers:
        """Return one broker, PostgreSQL, and HDFS if a fault of this call needs it."""
        return Servers(self._usual_stack(), self._warm_driver)

    def on_three_brokers(self) -> Servers:
        """Return three brokers and the usual servers."""
        if self._cluster is None:
            self._tell("starting three brokers")
            self._cluster = KafkaCluster(self._folder / "kafka-cluster")
            self._closing.callback(self._cluster.close)
            self._cluster.start_all()
            make_topics(self._cluster.bootstrap, {TOPIC_CLOCK: 1}, replicas=len(NODES), in_sync=2)
        return Servers(self._usual_stack(), self._warm_driver, cluster=self._cluster)

    def on_hdfs_cluster(self) -> Servers:
        """Return an HDFS of several nodes and the usual servers, with a warm process that knows its nameservice."""
        if self._hdfs is None:
            self._tell("starting an HDFS of two NameNodes and three DataNodes")
            hdfs = self._closing.enter_context(HdfsCluster(self._folder / "hdfs-cluster"))
            warm = WarmDriver(self._folder / "warm-driver-of-hdfs.log")
            self._closing.callback(warm.close)
            self._hdfs = Servers(self._usual_stack(), lambda: warm, hdfs=hdfs)
        return self._hdfs

    def on_small_disks(self) -> Servers:
        """Return broker, PostgreSQL and HDFS whose disks can be filled."""
        if self._small is None:
            self._tell("starting servers on small disks")
            self._small = StackOnSmallDisks(self._folder / "small", self._tell)
            self._closing.callback(self._small.close)
        return Servers(self._small.stack, self._warm_driver, disks=self._small.disks)

    def _usual_stack(self) -> LocalStack:
        if self._stack is None:
            servers = SERVERS if self._with_hdfs else WITHOUT_HDFS
            self._stack = LocalStack.start(self._folder / "stack", servers=servers, tell=self._tell)
            self._closing.callback(self._stack.stop)
        return self._stack

    def _warm_driver(self) -> WarmDriver:
        if self._warm is None:
            self._warm = WarmDriver(self._folder / "warm-driver.log")
            self._closing.callback(self._warm.close)
        return self._warm
