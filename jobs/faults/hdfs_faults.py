"""What can happen to HDFS while a batch run works."""

import subprocess

from jobs import programs
from jobs.faults.scene import Scene
from jobs.local_stack.probes import hdfs_is_writable
from jobs.state_home import state_home

SAFE_MODE_SECONDS = 15.0
ADMIN_SECONDS = 60.0


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
    _administer(scene, "-safemode", "enter")
    scene.hurt("HDFS is in safe mode")
    try:
        scene.for_a_while(SAFE_MODE_SECONDS)
    finally:
        _administer(scene, "-safemode", "leave")
    http = int(scene.stack.environment["VIEWLEDGER_NAMENODE_HTTP_PORT"])
    scene.wait(lambda: hdfs_is_writable(http), "HDFS has left safe mode")
    scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
    scene.batches.run()


def _administer(scene: Scene, *words: str) -> None:
    """Run Hadoop's own `hdfs dfsadmin`."""
    classes = f"{scene.stack.folder / 'etc' / 'hadoop'}:{state_home() / 'jars' / 'hadoop'}/*"
    command = [programs.java() or "java", "-cp", classes, "org.apache.hadoop.hdfs.tools.DFSAdmin", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ADMIN_SECONDS, check=False)
    if done.returncode != 0:
        raise AssertionError(f"dfsadmin {' '.join(words)} failed: {done.stderr[-300:]}")


FAULTS = {
    "hdfs-datanode-killed": datanode_killed,
    "hdfs-namenode-killed": namenode_killed,
    "hdfs-safe-mode": safe_mode,
}
