"""A fault of PostgreSQL of which another server takes over, while everything that uses it is at work."""

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from batch_layer.versions.ports import VersionStore
from faults.event_faults import event
from faults.our_process import is_stopped
from faults.reference import recount
from faults.scene import PROGRAM_SECONDS, Scene
from faults.scene_catalogue import approve_proposals, import_catalogue, output_of
from faults.taking_over import counts_again, taken_over
from faults.traffic import VIDEOS, Intent
from jobs.child.process import bound_to_parent
from jobs.local_stack.servers import our_command
from jobs.resilience.failpoints import Action, before
from jobs.settings.state_home import PROJECT

BILLED_EVENTS = 400
BILLED_DAYS_AGO = 4
RATING = "billing: rating the payees"
"""What a billing run reports when everything is read; after it come the statements and their postings."""
RATING_SECONDS = 1.0


def primary_killed(scene: Scene) -> None:
    """SIGKILL to the primary and promotion of its standby, under a batch run, a billing run and the API."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=BILLED_DAYS_AGO)
    period = f"{day.date()}/{day.date() + timedelta(days=1)}"
    bill = ("billing", "run", "--period", period, "--actor", "eve")
    import_catalogue(scene, [f"payee-{number}" for number in range(4)])
    approve_proposals(scene)
    scene.start_ready("speed")
    scene.senders.send([_view(scene, day, number) for number in range(BILLED_EVENTS)])
    scene.wait(scene.is_counted, "counted")
    scene.batches.run("--judge-period", period)
    scene.send(100)
    run = scene.batches.start(before(VersionStore.publish, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the batch run has stopped itself before it publishes", 300)
    log = scene.folder / "billing.log"
    with program(scene, bill, log) as billing, scene.traffic(200):
        scene.wait(lambda: RATING in log.read_text() or billing.poll() is not None, "billing rates", PROGRAM_SECONDS)
        scene.for_a_while(scene.rng.uniform(0, RATING_SECONDS))
        scene.postgres_pair.fail_over()
        scene.hurt("SIGKILL to the primary, and its standby promoted at once")
        run.send_signal(signal.SIGCONT)
        taken_over(scene, lambda: _api_reads(scene, day), "the API reads settled views")
        counts_again(scene)
        scene.notes.append(f"the billing run ended with {billing.wait(PROGRAM_SECONDS)}")
    scene.notes.append(f"the batch run ended with {scene.batches.finish(run, None)}")
    scene.batches.run()
    _bills_agree(scene, bill)


def _view(scene: Scene, day: datetime, number: int) -> Intent:
    """Return an event of some minute of a day, of a viewer of its own: no rule of a day has anything to say of it."""
    viewer = {"user_id": f"viewer-of-old-{number}", "session_id": f"session-{number}"}
    return event(scene, day + timedelta(minutes=scene.rng.randrange(24 * 60)), **viewer)


@contextmanager
def program(scene: Scene, words: Sequence[str], log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a command beside others; kill it with the block at the latest."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            our_command(*words),
            env=scene.environ,
            cwd=PROJECT,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=bound_to_parent(signal.SIGKILL),
        )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def _api_reads(scene: Scene, day: datetime) -> bool:
    """Return whether the API answers what it keeps no copy of."""
    url = f"http://127.0.0.1:{scene.api.port}/v1/videos/{scene.rng.choice(VIDEOS)}/views/series"
    parts = {"from": str(day.date()), "to": str(day.date() + timedelta(days=1))}
    try:
        return httpx.get(url, params=parts, timeout=10).is_success
    except httpx.HTTPError:
        return False


def _bills_agree(scene: Scene, bill: Sequence[str]) -> None:
    """Bill again, which must complete what was begun and change nothing that was; compare it with the model."""
    first, second = (json.loads(output_of(scene, *bill, "--json")) for _ in range(2))
    scene.read_log()
    earliest, latest = bill[3].split("/")
    of_period = [each for each in scene.mirror.values() if earliest <= day_of(each.value) < latest]
    expected = recount(of_period).billable_views.total()
    if (first["billable_views"], second["new_count"], second["changed_count"]) != (expected, 0, 0):
        raise AssertionError(f"billed {first}, then {second}; the model has {expected} billable views")
    done = json.loads(output_of(scene, "reconcile", "--json"))
    if not done["is_equal"]:
        raise AssertionError(f"reconcile found a difference: {done}")
    scene.notes.append(f"{expected} billable views on {first['payee_count']} statements, as the model has them")


def day_of(value: bytes) -> str:
    """Return the day (UTC) on which the event of a message happened; empty for a message that is none."""
    try:
        return datetime.fromisoformat(json.loads(value)["timestamp"]).astimezone(UTC).date().isoformat()
    except (ValueError, KeyError, TypeError, OverflowError):
        return ""


FAULTS = {"postgres-primary-killed": primary_killed}
