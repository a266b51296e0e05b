"""Faults of sets of Redis in which another server takes over by itself."""

import time
from contextlib import suppress

from faults.redis_sets import Cluster, SentinelSet
from faults.scene import Scene
from ingestion.contract.unavailable import UnavailableError

TAKEN_OVER_SECONDS_MAX = 30.0


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
        _counts_again(scene)
        master.start()
        scene.for_a_while(1)


def _counts_again(scene: Scene) -> None:
    """Wait until all that the log has now is counted; note how long after the fault that is.

    Raises:
        AssertionError: it is longer than promised.
    """
    ends = scene.highwaters()

    def has_counted() -> bool:
        with suppress(UnavailableError):
            return all((position or 0) >= end for position, end in zip(scene.positions(), ends, strict=True))
        return False

    scene.wait(has_counted, "counting goes on")
    seconds = time.monotonic() - scene.hurt_at
    scene.notes.append(f"counted again after {seconds:.1f} s")
    if seconds > TAKEN_OVER_SECONDS_MAX:
        raise AssertionError(f"counted again after {seconds:.1f} s; {TAKEN_OVER_SECONDS_MAX:.0f} s are promised")


SETS = {"redis-sentinel-master-killed": SentinelSet, "redis-cluster-master-killed": Cluster}
FAULTS = {
    "redis-sentinel-master-killed": sentinel_master_killed,
    "redis-cluster-master-killed": cluster_master_killed,
}
