"""Faults of a batch run whose work is done by the executors of a cluster. Each starts a cluster of its own."""

import json
import os
import signal
import time
from collections.abc import Mapping

from faults.scene import PROGRAM_SECONDS, Scene
from faults.spark_cluster import WORKERS, SparkCluster
from faults.yarn_cluster import YarnCluster
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import HDFS_URL
from jobs.settings.declared.spark import SPARK_START_SECONDS

START_SECONDS = 20
SLACK_SECONDS = 60.0
"""For Python, Java and everything that a run asks before it starts Spark, on a busy machine."""
EXECUTOR = b"org.apache.spark.executor.YarnCoarseGrainedExecutorBackend"


def worker_killed(scene: Scene) -> None:
    """SIGKILL to one of two workers of a standalone cluster while a run works; the other executor finishes it."""
    scene.count(300)
    with SparkCluster(scene.folder / "spark") as cluster:
        run = scene.batches.start(changes=cluster.environ)
        scene.wait(lambda: "batch: archive:" in scene.batches.printed(), "the run has archived", PROGRAM_SECONDS)
        victim = scene.rng.choice(WORKERS)
        cluster.nodes.kill(victim)
        scene.hurt(f"SIGKILL to {victim}")
        scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
        cluster.start_worker(victim)
        scene.send(100)
        scene.batches.finish(scene.batches.start(changes=cluster.environ))
        _rebuild_agrees(scene, cluster.environ)


def executor_killed_on_yarn(scene: Scene) -> None:
    """SIGKILL to an executor of a run on YARN, which starts another one."""
    scene.count(300)
    with YarnCluster(scene.folder / "yarn", scene.environ[HDFS_URL.name]) as cluster:
        run = scene.batches.start(changes=cluster.environ)
        scene.wait(lambda: "batch: archive:" in scene.batches.printed(), "the run has archived", PROGRAM_SECONDS)
        (victim, *_) = _executors_on_yarn(scene)
        os.kill(victim, signal.SIGKILL)
        scene.hurt("SIGKILL to an executor")
        scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
        scene.send(100)
        scene.batches.finish(scene.batches.start(changes=cluster.environ))
        _rebuild_agrees(scene, cluster.environ)


def master_silent(scene: Scene) -> None:
    """The master of a standalone cluster accepts connections and answers none: a run ends in time, with code 4."""
    scene.count(300)
    with SparkCluster(scene.folder / "spark") as cluster:
        cluster.nodes.signal("master", signal.SIGSTOP)
        scene.hurt("SIGSTOP to the master")
        started = time.monotonic()
        changes = {**cluster.environ, SPARK_START_SECONDS.name: str(START_SECONDS)}
        scene.batches.finish(scene.batches.start(attempts=1, changes=changes), ExitCode.UNAVAILABLE)
        seconds = time.monotonic() - started
        if seconds > START_SECONDS + SLACK_SECONDS:
            raise AssertionError(f"a run without an answer of its master ended after {seconds:.0f} s")
        scene.notes.append(f"the run ended after {seconds:.0f} s")
        cluster.nodes.signal("master", signal.SIGCONT)
        scene.batches.finish(scene.batches.start(changes=cluster.environ))


def _rebuild_agrees(scene: Scene, settings: Mapping[str, str]) -> None:
    """Raise AssertionError if a rebuild on the cluster finds a difference."""
    done = scene.run_program("jobs.cli", "rebuild", "batch", "--json", changes=settings)
    if done.returncode != ExitCode.OK or json.loads(done.stdout)["state"] != "equal":
        raise AssertionError(f"a rebuild on the cluster ended with {done.returncode}: {done.stderr[-800:]}")


def _executors_on_yarn(scene: Scene) -> list[int]:
    """Return the ids of the executors that run in containers of this scene's NodeManager."""
    folder = str(scene.folder).encode()
    commands = {int(each): command for each in filter(str.isdigit, os.listdir("/proc")) if (command := _command(each))}
    return [
        pid for pid, command in commands.items() if EXECUTOR in command and folder in command and b"java" in command
    ]


def _command(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


FAULTS = {
    "cluster-worker-killed": worker_killed,
    "cluster-executor-killed-on-yarn": executor_killed_on_yarn,
    "cluster-master-silent": master_silent,
}
