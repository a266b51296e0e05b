"""Faults of an HDFS of several nodes, in which others go on, while a batch run works."""

import signal
from collections.abc import Callable

from batch_layer.run.ports import Warehouse
from faults.hdfs_cluster import DATANODES
from faults.our_process import is_stopped
from faults.scene import Scene
from faults.taking_over import counts_again, taken_over
from jobs.resilience.failpoints import Action, before

WRITING_SECONDS = 4.0
"""A run that begins to write has by then written some of its files."""


def datanode_killed(scene: Scene) -> None:
    """SIGKILL to a DataNode of three while a batch run writes: the others go on; later the old one returns."""
    name = scene.rng.choice(DATANODES)

    def kill() -> str:
        scene.hdfs.kill_datanode(name)
        return name

    _killed(scene, kill, scene.hdfs.start_datanode)


def active_namenode_killed(scene: Scene) -> None:
    """SIGKILL to the active NameNode while a batch run writes: the standby takes over; later the old one returns."""
    _killed(scene, scene.hdfs.kill_active, scene.hdfs.start_namenode)


def _killed(scene: Scene, kill: Callable[[], str], start: Callable[[str], None]) -> None:
    """Kill a node while a run writes, which must publish nevertheless; start it again, and do another run."""
    scene.count(300)
    run = scene.batches.start(before(Warehouse.archive, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself before it writes", 300)
    with scene.traffic(200):
        run.send_signal(signal.SIGCONT)
        scene.for_a_while(scene.rng.uniform(0, WRITING_SECONDS))
        name = kill()
        scene.hurt(f"SIGKILL to node {name}")
        taken_over(scene, scene.hdfs.keeps_files, "HDFS takes and gives files")
        counts_again(scene)
    scene.notes.append(f"the run ended with {scene.batches.finish(run)}")
    start(name)
    scene.hdfs.wait_whole()
    scene.send(100)
    scene.batches.run()


FAULTS = {
    "hdfs-datanode-of-three-killed": datanode_killed,
    "hdfs-active-namenode-killed": active_namenode_killed,
}
