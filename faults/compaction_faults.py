"""Faults of compaction: killed at its steps, done twice, without space. Every version answers as before."""

import signal
from collections.abc import Mapping

import httpx

from batch_layer.maintaining.ports import Compaction
from faults.batch_faults import KILLED
from faults.maintenance_faults import MAINTAIN
from faults.our_process import is_stopped
from faults.postgres_database import queries
from faults.scene import Scene
from faults.small_disk import ROOM_KIB
from faults.traffic import VIDEOS
from jobs.exit_codes import ExitCode
from jobs.resilience.failpoints import Action, after, before

SOON = {"VIEWLEDGER_COMPACTION_FILES": "1"}
POINTS = [
    before(Compaction.rewrite, Action.KILL),
    after(Compaction.rewrite, Action.KILL),
    after(Compaction.compare, Action.KILL),
    before(Compaction.tag, Action.KILL),
    after(Compaction.tag, Action.KILL),
    before(Compaction.finish, Action.KILL),
    after(Compaction.finish, Action.KILL),
]
"""In their order; at the last two the version is published."""
PUBLISHED = POINTS[-2:]


def compaction_killed(scene: Scene) -> None:
    """SIGKILL to a compaction before and after each of its steps; the next maintenance does the rest."""
    for point in POINTS:
        if point == POINTS[0] or point == PUBLISHED[1]:
            _many_files(scene)
        known = answers(scene)
        scene.hurt(point)
        code = scene.batches.finish(scene.batches.start(point, words=MAINTAIN, changes=SOON), None)
        if code != KILLED:
            raise AssertionError(f"the compaction that was to be killed at {point} ended with {code}")
        published = len(known) + (point in PUBLISHED)
        if queries(scene.postgres_url, "SELECT version FROM published.pointer") != [(published,)]:
            raise AssertionError(f"a compaction that was killed at {point} published nothing, or not one version")
        check_answers(scene, known)
    scene.batches.finish(scene.batches.start(words=MAINTAIN, changes=SOON))
    check(scene, known)


def compacted_twice(scene: Scene) -> None:
    """Two compactions of the same days, with runs between them: every version answers as before."""
    for _ in range(2):
        _many_files(scene)
        known = answers(scene)
        scene.hurt("a compaction")
        scene.batches.finish(scene.batches.start(words=MAINTAIN, changes=SOON))
        if len(answers(scene)) != len(known) + 1:
            raise AssertionError("a compaction with many small files published no version")
        check(scene, known)


def compaction_without_space(scene: Scene) -> None:
    """The DataNode's disk is full when a compaction writes: it ends with a sentence, and the next one compacts."""
    _many_files(scene)
    known, disk = answers(scene), scene.disks["hdfs"]
    child = scene.batches.start(before(Compaction.rewrite, Action.STOP), attempts=1, words=MAINTAIN, changes=SOON)
    scene.wait(lambda: is_stopped(child.pid), "the maintenance has stopped itself", 200)
    disk.leave(0)
    try:
        scene.hurt("the disk of the DataNode is full")
        child.send_signal(signal.SIGCONT)
        code = scene.batches.finish(child, None)
    finally:
        disk.resize(ROOM_KIB)
    if code != ExitCode.UNAVAILABLE or len(answers(scene)) != len(known):
        raise AssertionError(f"the maintenance without space ended with {code}: {scene.batches.printed()[-300:]}")
    scene.stack.wait_ready("datanode", within_seconds=120)
    check_answers(scene, known)
    scene.batches.finish(scene.batches.start(words=MAINTAIN, changes=SOON))
    if len(answers(scene)) != len(known) + 1:
        raise AssertionError("with space again, a compaction published no version")
    check(scene, known)


def _many_files(scene: Scene) -> None:
    if not any(each.name == "speed" for each in scene.processes):
        scene.start_ready("speed")
    for _ in range(3):
        scene.send(120)
        scene.wait(scene.is_counted, "counted")
        scene.batches.run()


def answers(scene: Scene) -> Mapping[int, list[bytes]]:
    """Return what the API answers as of each version."""
    versions = [number for (number,) in queries(scene.postgres_url, "SELECT version FROM published.versions")]
    return {
        number: [
            httpx.get(f"http://127.0.0.1:{scene.api.port}/v1/videos/{video_id}/views?version={number}", timeout=10)
            .raise_for_status()
            .content
            for video_id in VIDEOS[:10]
        ]
        for number in sorted(versions)
    }


def check_answers(scene: Scene, known: Mapping[int, list[bytes]]) -> None:
    """Raise AssertionError if a version answers other than it did."""
    now = answers(scene)
    changed = [number for number, former in known.items() if now[number] != former]
    if changed:
        raise AssertionError(f"versions {changed} answer other than before")


def check(scene: Scene, known: Mapping[int, list[bytes]]) -> None:
    """Raise AssertionError if a version answers other than it did, or `reconcile` finds a difference."""
    check_answers(scene, known)
    found = scene.run_program("jobs.cli", "reconcile")
    if found.returncode:
        raise AssertionError(f"reconcile ended with {found.returncode}: {found.stdout}{found.stderr[-300:]}")


FAULTS = {
    "maintain-killed-in-compaction": compaction_killed,
    "maintain-compacts-twice": compacted_twice,
}
ON_SMALL_DISKS = {"maintain-disk-full": compaction_without_space}
