"""Faults of sets of Redis in which another server takes over by itself."""

from faults.redis_sets import Cluster, SentinelSet
from faults.scene import Scene
from faults.taking_over import counts_again


def sentinel_master_killed(scene: Scene) -> None:
    """SIGKILL under load to the master that Sentinels watch: its replica takes over; later the old one returns."""
    _master_killed(scene)


def cluster_master_killed(scene: Scene) -> None:
    """SIGKILL under load to one of three masters of a Cluster: its replica takes over; later the old one returns."""
    _master_killed(scene)


def _master_killed(scene: Scene) -> None:
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(scene.rng.uniform(1, 2))
        master = scene.redis_set.kill_master()
        scene.hurt("SIGKILL to a master")
        scene.wait(lambda: master not in scene.redis_set.masters(), "another server is the master")
        counts_again(scene)
        master.start()
        scene.for_a_while(1)


SETS = {"redis-sentinel-master-killed": SentinelSet, "redis-cluster-master-killed": Cluster}
FAULTS = {
    "redis-sentinel-master-killed": sentinel_master_killed,
    "redis-cluster-master-killed": cluster_master_killed,
}
