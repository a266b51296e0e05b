"""Faults of Redis."""

import signal

from faults.scene import Scene
from faults.tcp_proxy import Mode

STOPPED_SECONDS = 3.0
DISK_KIB = 400


def killed(scene: Scene) -> None:
    """SIGKILL under load and a restart on the same files."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(scene.rng.uniform(0.5, 1.5))
        scene.redis.kill()
        scene.hurt("SIGKILL to Redis")
        scene.for_a_while(scene.rng.uniform(0.2, 1.5))
        scene.redis.start()


def tail_lost(scene: Scene) -> None:
    """The newest writes are lost: counts, seen ids and positions go back together."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(scene.rng.uniform(1, 2))
        _lose_tail(scene, scene.rng.uniform(0.05, 0.6))
        scene.for_a_while(0.5)


def _lose_tail(scene: Scene, share: float) -> None:
    scene.redis.kill()
    lost = scene.redis.lose_tail(share)
    scene.hurt(f"SIGKILL to Redis, the last {lost} bytes of its file lost")
    scene.redis.start()


def tail_lost_and_killed_again(scene: Scene) -> None:
    """The newest writes are lost several times; then Redis is killed once more and loads the remaining files."""
    scene.start_ready("speed")
    with scene.traffic():
        for _ in range(4):
            scene.for_a_while(scene.rng.uniform(0.5, 1))
            _lose_tail(scene, scene.rng.uniform(0.005, 0.05))
        scene.for_a_while(1)
        scene.redis.kill()
        scene.hurt("SIGKILL to Redis again")
        scene.redis.start()


def damaged_in_the_middle(scene: Scene) -> None:
    """The append-only file is damaged: Redis refuses to start, and the operator discards the files."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(1.5)
        scene.redis.kill()
        scene.redis.damage_middle()
        scene.hurt("append-only file damaged in the middle")
        if scene.redis.start(must_answer=False):
            scene.notes.append("Redis started on the damaged file")
        else:
            scene.redis.lose_everything()
            scene.redis.start()
        scene.for_a_while(0.5)


def flushed(scene: Scene) -> None:
    """FLUSHALL under load."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(scene.rng.uniform(0.5, 1.5))
        with scene.redis.client() as client:
            client.flushall()
        scene.hurt("FLUSHALL")
        scene.for_a_while(1)


def memory_full(scene: Scene) -> None:
    """maxmemory is reached: writes are refused, nothing is evicted, and counting continues with free memory."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(0.7)
        with scene.redis.client() as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", used)
            scene.hurt(f"maxmemory set to the {used} bytes in use")
            scene.for_a_while(3)
            client.config_set("maxmemory", 0)


def disk_full(scene: Scene) -> None:
    """The disk of the append-only file is full: Redis refuses writes until there is space again."""
    disk = scene.small_disk("redis-2", DISK_KIB, "redis")
    scene.promote(scene.second_redis())
    scene.start_ready("speed")
    with scene.traffic(2_000):
        scene.wait(lambda: _refuses_writes(scene), "the disk is full", 60)
        scene.hurt(f"the disk of {DISK_KIB} KiB is full")
        scene.for_a_while(3)
        disk.resize(64 * DISK_KIB)
        scene.for_a_while(1)


def _refuses_writes(scene: Scene) -> bool:
    with scene.redis.client() as client:
        return bool(client.info("persistence")["aof_last_write_status"] != "ok")


def hangs(scene: Scene) -> None:
    """SIGSTOP: connections stay and nothing answers; the API answers `complete: false` meanwhile."""
    scene.start_ready("speed")
    scene.send(200)
    scene.wait(scene.is_counted, "counted before the fault")
    with scene.traffic():
        scene.redis.signal(signal.SIGSTOP)
        scene.hurt("SIGSTOP to Redis")
        answers = scene.answers().values()
        if any(each["complete"] for each in answers):
            raise AssertionError("an answer says complete while Redis does not answer")
        scene.for_a_while(STOPPED_SECONDS)
        scene.redis.signal(signal.SIGCONT)


def connections_cut(scene: Scene) -> None:
    """Connections are cut again and again."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.hurt("connections to Redis cut ten times")
        for _ in range(10):
            scene.for_a_while(scene.rng.uniform(0.05, 0.4))
            scene.redis_proxy.cut()


def silent_network(scene: Scene) -> None:
    """Nothing comes through for longer than every time-out."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(0.5)
        scene.redis_proxy.set(Mode.SILENT)
        scene.hurt("nothing comes through to Redis")
        scene.for_a_while(8)
        scene.redis_proxy.set(Mode.OPEN)


def lagging_replica_promoted(scene: Scene) -> None:
    """A replica whose link was cut seconds ago becomes the master: everything since then is lost."""
    replica = scene.second_redis()
    scene.start_ready("speed")
    with replica.client() as client, scene.traffic():
        client.replicaof("127.0.0.1", scene.redis.port)
        scene.wait(lambda: client.info("replication").get("master_link_status") == "up", "the replica follows")
        scene.for_a_while(1)
        client.replicaof("NO", "ONE")  # the link is cut here; the master continues alone
        scene.for_a_while(scene.rng.uniform(0.5, 2))
        scene.promote(replica)
        scene.hurt("a replica that had lagged was promoted")
        scene.for_a_while(1)


FAULTS = {
    "redis-killed": killed,
    "redis-tail-lost": tail_lost,
    "redis-tail-lost-and-killed-again": tail_lost_and_killed_again,
    "redis-file-damaged": damaged_in_the_middle,
    "redis-flushed": flushed,
    "redis-memory-full": memory_full,
    "redis-disk-full": disk_full,
    "redis-hangs": hangs,
    "redis-connections-cut": connections_cut,
    "redis-silent-network": silent_network,
    "redis-lagging-replica-promoted": lagging_replica_promoted,
}
