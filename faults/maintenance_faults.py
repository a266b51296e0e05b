"""Faults of maintenance: killed at its steps, beside a run, and expiring what somebody reads. Each needs HDFS."""

import signal
import time
from collections.abc import Mapping

import httpx
import psycopg2

from batch_layer.maintaining.ports import Compaction, Erasure
from batch_layer.run.ports import Warehouse
from faults.batch_faults import KILLED
from faults.our_process import is_stopped
from faults.postgres_database import queries
from faults.scene import Scene
from faults.traffic import VIDEOS
from ingestion.contract.printable import counted
from jobs.exit_codes import ExitCode
from jobs.resilience.failpoints import CALLS, Action, after, before

MAINTAIN = ("maintain",)
AT_ONCE = {"VIEWLEDGER_EXPIRY_GRACE_HOURS": "0"}
KILLS_PER_SEED = 3


def killed_at_every_step(scene: Scene) -> None:
    """SIGKILL to maintenance before or after a step, three a seed; then one that must finish what they began."""
    others = {*vars(Compaction).values(), *vars(Erasure).values()}
    calls = [call for call in CALLS["maintain"] if call not in others]
    points = [moment(call, Action.KILL) for call in calls for moment in (before, after)]
    _three_old_versions(scene)
    for number in range(KILLS_PER_SEED):
        point = points[(scene.seed * KILLS_PER_SEED + number) % len(points)]
        scene.hurt(point)
        # a step that has nothing left to do after an earlier kill is not reached
        code = scene.batches.finish(scene.batches.start(point, words=MAINTAIN, changes=AT_ONCE), None)
        if code not in (KILLED, ExitCode.OK):
            raise AssertionError(f"the maintenance that was to be killed ended with {code}")
    scene.batches.finish(scene.batches.start(words=MAINTAIN, changes=AT_ONCE))
    _check_expired(scene)
    scene.send(100)
    scene.batches.run()


def beside_a_run(scene: Scene) -> None:
    """A maintenance starts while a batch run works: it is refused in one sentence, and the run publishes."""
    scene.count(300)
    run = scene.batches.start(before(Warehouse.judge, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself", 200)
    scene.hurt("a maintenance beside a run")
    code = scene.batches.finish(scene.batches.start(words=MAINTAIN), None)
    if code != ExitCode.REFUSED or "is at work; wait for it to end" not in scene.batches.printed():
        raise AssertionError(f"the maintenance ended with {code}: {scene.batches.printed()[-300:]}")
    run.send_signal(signal.SIGCONT)
    scene.batches.finish(run)


def expiry_races_a_reader(scene: Scene) -> None:
    """Readers ask for an old version while it expires: each answer is the one of before, or 410, and never another."""
    _three_old_versions(scene)
    paths = [f"/v1/videos/{video_id}/views?version=1" for video_id in VIDEOS[:20]]
    known = {path: _get(scene, path) for path in paths}
    if any(answer.status_code != 200 for answer in known.values()):
        raise AssertionError(f"version 1 cannot be read before it expires: {known}")
    maintenance = scene.batches.start(words=MAINTAIN, changes=AT_ONCE)
    scene.hurt("readers of version 1 while it expires")
    asked = gone = 0
    while maintenance.poll() is None:
        for path in paths:
            answer, asked = _get(scene, path), asked + 1
            if answer.status_code == 410 and answer.json()["code"] == "version_expired":
                gone += 1
            elif answer.status_code != 200 or answer.content != known[path].content:
                raise AssertionError(
                    f"{path} answered {answer.status_code} {answer.text} instead of {known[path].text}"
                )
        time.sleep(0.02)
    scene.batches.finish(maintenance)
    if any(_get(scene, path).status_code != 410 for path in paths):
        raise AssertionError("version 1 has expired and can be read")
    scene.notes.append(f"{counted(asked, 'answer')}, {gone:,} of them 410")
    _check_expired(scene)


def _get(scene: Scene, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{scene.api.port}{path}", timeout=10)


def _three_old_versions(scene: Scene) -> None:
    """Publish versions 1 to 3, of which the first two become 500 days old."""
    scene.start_ready("speed")
    for _ in range(3):
        scene.send(120)
        scene.wait(scene.is_counted, "counted")
        scene.batches.run()
    connection = psycopg2.connect(scene.postgres_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE published.versions DISABLE TRIGGER versions_append_only")
        cursor.execute(
            "UPDATE published.versions SET published_at = published_at - interval '500 days' WHERE version < 3"
        )
        cursor.execute("ALTER TABLE published.versions ENABLE TRIGGER versions_append_only")
    connection.close()


def _check_expired(scene: Scene) -> None:
    found: Mapping[str, list[tuple[object, ...]]] = {
        what: queries(scene.postgres_url, query)
        for what, query in {
            "expired": "SELECT version FROM published.expired_versions ORDER BY 1",
            "joined": "SELECT version FROM published.rolled_up_versions ORDER BY 1",
            "running": "SELECT version FROM published.runs WHERE state = 'running'",
        }.items()
    }
    if found != {"expired": [(1,), (2,)], "joined": [(1,), (2,)], "running": []}:
        raise AssertionError(f"versions 1 and 2 expire, and nothing runs any more: {found}")


FAULTS = {
    "maintain-killed-at-every-step": killed_at_every_step,
    "maintain-beside-a-run": beside_a_run,
    "maintain-races-a-reader": expiry_races_a_reader,
}
