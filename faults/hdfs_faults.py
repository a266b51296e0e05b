"""Faults of HDFS while a batch run works."""

from faults.hdfs_programs import ADMINISTRATION, hdfs
from faults.scene import Scene
from jobs.local_stack.probes import hdfs_is_writable

SAFE_MODE_SECONDS = 15.0


def datanode_killed(scene: Scene) -> None:
    """SIGKILL to the only DataNode while a run works."""
    _killed(scene, "datanode")


def namenode_killed(scene: Scene) -> None:
    """SIGKILL to the NameNode while a run works."""
    _killed(scene, "namenode")


def _killed(scene: Scene, name: str) -> None:
    scene.count(300)
    run = scene.batches.start()
    scene.for_a_while(scene.rng.uniform(12, 40))
    before = scene.stack.kill(name)
    scene.hurt(f"SIGKILL to the {name}")
    scene.stack.wait_ready(name, not_pid=before)
    scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
    scene.batches.run()


def safe_mode(scene: Scene) -> None:
    """The NameNode goes into safe mode while a run works, and an operator ends it: nothing can be written meanwhile."""
    scene.count(300)
    run = scene.batches.start()
    scene.for_a_while(scene.rng.uniform(8, 30))
    hdfs(scene.stack.folder, ADMINISTRATION, "-safemode", "enter")
    scene.hurt("HDFS is in safe mode")
    try:
        scene.for_a_while(SAFE_MODE_SECONDS)
    finally:
        hdfs(scene.stack.folder, ADMINISTRATION, "-safemode", "leave")
    http = int(scene.stack.environment["VIEWLEDGER_NAMENODE_HTTP_PORT"])
    scene.wait(lambda: hdfs_is_writable(http), "HDFS has left safe mode")
    scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
    scene.batches.run()


FAULTS = {
    "hdfs-datanode-killed": datanode_killed,
    "hdfs-namenode-killed": namenode_killed,
    "hdfs-safe-mode": safe_mode,
}
