"""Faults of erasure: `forget` killed at each step, and beside a batch run. Every version answers as before."""

import json
import signal
from collections.abc import Iterator

from batch_layer.maintaining.ports import Erasure
from batch_layer.run.ports import Warehouse
from faults.batch_faults import KILLED
from faults.compaction_faults import answers, check, check_answers
from faults.kafka_topics import read_topic
from faults.maintenance_faults import AT_ONCE, MAINTAIN
from faults.our_process import is_stopped
from faults.postgres_database import queries
from faults.scene import Scene
from ingestion.contract.topics import PARTITION_COUNT
from jobs.exit_codes import ExitCode
from jobs.resilience.failpoints import Action, after, before

POINTS = [
    before(Erasure.choose, Action.KILL),
    before(Erasure.remove, Action.KILL),
    after(Erasure.remove, Action.KILL),
    after(Erasure.read_back, Action.KILL),
    after(Erasure.tag_removal, Action.KILL),
    before(Erasure.finish_removal, Action.KILL),
    after(Erasure.finish_removal, Action.KILL),
]
"""In their order; at the last two the version is published."""
PUBLISHED = POINTS[-2:]
UNKNOWN = "no event of this viewer is kept"
AT_WORK = "is at work; wait for it to end"


def killed_at_every_step(scene: Scene) -> None:
    """SIGKILL to `forget` before and after its steps: nothing is removed, or everything is, and no count changes."""
    viewers = _viewers(scene)
    viewer = next(viewers)
    for point in POINTS:
        known = answers(scene)
        scene.hurt(point)
        code = scene.batches.finish(scene.batches.start(point, words=_forget(viewer)), None)
        if code != KILLED:
            raise AssertionError(f"forget that was to be killed at {point} ended with {code}")
        removed = point in PUBLISHED
        _check_removals(scene, len(known) + removed, len(PUBLISHED[: PUBLISHED.index(point) + 1]) if removed else 0)
        check_answers(scene, known)
        if removed:
            _refused(scene, viewer, UNKNOWN)
            viewer = next(viewers)
    known = answers(scene)
    scene.batches.finish(scene.batches.start(words=_forget(viewer)))
    scene.batches.finish(scene.batches.start(words=MAINTAIN, changes=AT_ONCE))
    check(scene, known)
    rebuilt = scene.run_program("jobs.cli", "rebuild", "batch")
    if rebuilt.returncode:
        raise AssertionError(f"rebuild batch ended with {rebuilt.returncode}: {rebuilt.stderr[-300:]}")


def beside_a_run(scene: Scene) -> None:
    """`forget` beside a batch run, and a run beside `forget`: the second is refused in one sentence, the first ends."""
    viewer = next(_viewers(scene))
    scene.send(120)
    scene.wait(scene.is_counted, "counted")
    run = scene.batches.start(before(Warehouse.judge, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself", 200)
    scene.hurt("forget beside a run")
    _refused(scene, viewer, AT_WORK)
    run.send_signal(signal.SIGCONT)
    scene.batches.finish(run)
    forgetting = scene.batches.start(before(Erasure.remove, Action.STOP), words=_forget(viewer))
    scene.wait(lambda: is_stopped(forgetting.pid), "forget has stopped itself", 200)
    scene.hurt("a run beside forget")
    code = scene.batches.finish(scene.batches.start(), None)
    if code != ExitCode.REFUSED or AT_WORK not in scene.batches.printed():
        raise AssertionError(f"the run beside forget ended with {code}: {scene.batches.printed()[-300:]}")
    forgetting.send_signal(signal.SIGCONT)
    scene.batches.finish(forgetting)
    _check_removals(scene, 3, 1)
    check(scene, answers(scene))


def _viewers(scene: Scene) -> Iterator[str]:
    """Publish a version, and return the viewers whose events it counts, as the log names them."""
    scene.start_ready("speed")
    scene.send(300)
    scene.wait(scene.is_counted, "counted")
    scene.batches.run()
    found = set()
    for message in read_topic(scene.bootstrap, scene.topic, PARTITION_COUNT):
        try:
            found.add(str(json.loads(message.value)["user_id"]))
        except (ValueError, KeyError, TypeError):
            continue
    return iter(sorted(found))


def _forget(viewer: str) -> tuple[str, ...]:
    return ("forget", "--viewer", viewer, "--actor", "ann", "--reason", "request 7")


def _refused(scene: Scene, viewer: str, sentence: str) -> None:
    code = scene.batches.finish(scene.batches.start(words=_forget(viewer)), None)
    if code != ExitCode.REFUSED or sentence not in scene.batches.printed():
        raise AssertionError(f"forget ended with {code} instead of a refusal: {scene.batches.printed()[-300:]}")


def _check_removals(scene: Scene, version: int, count: int) -> None:
    found = queries(
        scene.postgres_url, "SELECT (SELECT version FROM published.pointer), (SELECT count(*) FROM published.removals)"
    )
    if found != [(version, count)]:
        raise AssertionError(f"version and removals on record are {found} instead of {(version, count)}")


FAULTS = {
    "forget-killed-at-every-step": killed_at_every_step,
    "forget-beside-a-run": beside_a_run,
}
