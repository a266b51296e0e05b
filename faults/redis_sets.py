"""Servers of Redis of which another takes over when a master dies: a pair that Sentinels watch, and a Cluster."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from faults.redis_node import RedisNode
from faults.waiting import until
from jobs.child.accounts import account_of
from jobs.local_stack.ports import some_free_ports
from speed_layer.redis_cluster import Slots

SERVICE = "views"
DOWN_AFTER_MS = 5_000
"""As docs/operate/redis.md says: a master on a busy machine may be silent for two seconds."""
WHOLE_SECONDS = 60.0
SLOTS = 16_384
ASKED = ("127.0.0.1", 0)


class RedisSet(ABC):
    """The servers of one set. They keep what they acknowledged, and end with `close`."""

    def __init__(self, nodes: Sequence[RedisNode]) -> None:
        self.nodes = nodes

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the address by which clients find the masters."""

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until every replica has what its master has."""

    @abstractmethod
    def masters(self) -> list[RedisNode]:
        """Return the masters, as the set knows them at the moment."""

    def kill_master(self) -> RedisNode:
        """Send SIGKILL to a master; return it."""
        master = self.masters()[0]
        master.kill()
        return master

    def close(self) -> None:
        """End every process."""
        for each in self.nodes:
            each.close()


class SentinelSet(RedisSet):
    """A master, a replica, and three Sentinels of which two must agree."""

    def __init__(self, folder: Path) -> None:
        super().__init__([RedisNode(folder / f"node-{number}") for number in range(2)])
        self.sentinels = [Sentinel(folder / f"sentinel-{number}", self.nodes[0].port) for number in range(3)]

    @property
    def url(self) -> str:
        """Return the address of the Sentinels and the service."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in self.sentinels)}/{SERVICE}"

    def start(self) -> None:
        """Start it and wait until the replica follows and the Sentinels know each other."""
        for each in self.nodes:
            each.start()
        with self.nodes[1].client() as replica:
            replica.replicaof("127.0.0.1", self.nodes[0].port)
        for each in self.sentinels:
            each.start()
        until(self._is_whole, WHOLE_SECONDS, "the replica follows, and the Sentinels know each other")

    def masters(self) -> list[RedisNode]:
        """Return the master, as the first Sentinel knows it."""
        with self.sentinels[0].client() as client:
            _, port = client.execute_command("SENTINEL", "get-master-addr-by-name", SERVICE)
        return [each for each in self.nodes if each.port == int(port)]

    def close(self) -> None:
        """End every process."""
        super().close()
        for each in self.sentinels:
            each.close()

    def _is_whole(self) -> bool:
        with suppress(redis.RedisError):
            return follows(self.nodes[1]) and all(each.knows_all() for each in self.sentinels)
        return False


class Sentinel(RedisNode):
    """A Sentinel that watches a pair."""

    def __init__(self, folder: Path, master_port: int) -> None:
        super().__init__(folder)
        self._config = self.folder / "sentinel.conf"
        self._config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\nsentinel failover-timeout {SERVICE} 10000\n"
        )
        if account := account_of("redis"):
            os.chown(self._config, account.uid, account.gid)  # it writes there what it knows

    def knows_all(self) -> bool:
        """Return whether it knows the replica and both other Sentinels."""
        with self.client() as client:
            known: dict[str, Any] = client.sentinel_master(SERVICE)
        return int(known["num-other-sentinels"]) == 2 and int(known["num-slaves"]) == 1

    def _words(self) -> list[str]:
        return [str(self._config), "--sentinel"]


class Cluster(RedisSet):
    """Three masters with a third of the slots each, and a replica of each."""

    def __init__(self, folder: Path, *, tls: Mapping[str, str] = {}) -> None:
        """Use TLS among the servers, and for clients at `tls_ports`, where `tls` has the settings of certificates."""
        settings = {"cluster-enabled": "yes", "cluster-node-timeout": str(DOWN_AFTER_MS)}
        settings["repl-ping-replica-period"] = "1"  # a replica is listed to clients once its master has sent something
        if tls:
            settings |= {**tls, "tls-cluster": "yes", "tls-replication": "yes"}
        self._bus_ports, self.tls_ports = some_free_ports(6), some_free_ports(6) if tls else [0] * 6
        ports = [
            {"cluster-port": str(bus), "tls-port": str(port)}
            for bus, port in zip(self._bus_ports, self.tls_ports, strict=True)
        ]
        super().__init__(
            [RedisNode(folder / f"node-{number}", settings=settings | own) for number, own in enumerate(ports)]
        )

    @property
    def url(self) -> str:
        """Return the address of all servers."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{each.port}' for each in self.nodes)}"

    def start(self) -> None:
        """Start it and wait until every server knows who holds what, and every replica follows."""
        for each in self.nodes:
            each.start()
        for each, tls_port, bus_port in zip(self.nodes[1:], self.tls_ports[1:], self._bus_ports[1:], strict=True):
            _execute(self.nodes[0], "CLUSTER MEET", "127.0.0.1", tls_port or each.port, bus_port)
        until(lambda: all(len(_known(each)) == 6 for each in self.nodes), WHOLE_SECONDS, "all servers have met")
        for number, master in enumerate(self.nodes[:3]):
            _execute(master, "CLUSTER ADDSLOTSRANGE", -(-number * SLOTS // 3), -(-(number + 1) * SLOTS // 3) - 1)
        for master, replica in zip(self.nodes[:3], self.nodes[3:], strict=True):
            _execute(replica, "CLUSTER REPLICATE", _execute(master, "CLUSTER MYID").decode())
        until(self._is_whole, WHOLE_SECONDS, "every slot is held, and every replica follows")

    def masters(self) -> list[RedisNode]:
        """Return the masters that hold slots, as the first server that answers knows them."""
        for each in self.nodes:
            with suppress(redis.RedisError):
                known = _known(each)
                return [one for one in self.nodes if known[f"127.0.0.1:{one.port}"]["slots"]]
        return []

    @contextmanager
    def moving(self, key: str) -> Iterator[Callable[[], None]]:
        """Move the slot of a key to another master, with the block; yield what moves one of its keys."""
        slot, masters = key_slot(key.encode()), self.masters()
        _, port = Slots.of(_execute(masters[0], "CLUSTER SLOTS"), ASKED).master_of(key)
        (source,) = [each for each in masters if each.port == port]
        target = masters[masters.index(source) - 1]
        _execute(target, "CLUSTER SETSLOT", slot, "IMPORTING", _execute(source, "CLUSTER MYID").decode())
        _execute(source, "CLUSTER SETSLOT", slot, "MIGRATING", _execute(target, "CLUSTER MYID").decode())

        def move(count: int = 1) -> None:
            for name in _execute(source, "CLUSTER GETKEYSINSLOT", slot, count):
                _execute(source, "MIGRATE", "127.0.0.1", target.port, name, 0, 5_000)

        yield move
        move(1_000)
        for each in (target, *masters):  # first the one that has the keys now
            _execute(each, "CLUSTER SETSLOT", slot, "NODE", _execute(target, "CLUSTER MYID").decode())

    def _is_whole(self) -> bool:
        with suppress(redis.RedisError):
            is_well = all(_execute(each, "CLUSTER INFO")["cluster_state"] == "ok" for each in self.nodes)
            is_known = all(len(Slots.of(_execute(each, "CLUSTER SLOTS"), ASKED).every()) == 6 for each in self.nodes)
            return is_well and is_known and all(follows(each) for each in self.nodes[3:])
        return False


def _execute(node: RedisNode, command: str, *words: str | int) -> Any:
    with node.client() as client:
        return client.execute_command(command, *words)


def _known(node: RedisNode) -> dict[str, Any]:
    """Return host:port → what a server of a Cluster knows of another."""
    known: dict[str, Any] = _execute(node, "CLUSTER NODES")
    return known


def follows(replica: RedisNode) -> bool:
    """Return whether a replica has what its master has."""
    with replica.client() as client:
        return bool(client.info("replication").get("master_link_status") == "up")
