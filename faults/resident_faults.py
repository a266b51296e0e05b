"""Faults of the resident driver of batch runs, which a supervisor starts again."""

import signal

from faults.our_process import OurProcess
from faults.scene import Scene
from jobs.exit_codes import ExitCode
from jobs.resilience.failpoints import CALLS, Action, after, before

SECONDS_MAX = 400.0
EVENTS_PER_SECOND = 40.0
VERSIONS = 3
"""From the third version on a run takes every step."""


def killed_at_a_step(scene: Scene) -> None:
    """SIGKILL to the resident driver before or after a step, another one with each seed; the next process goes on."""
    points = [moment(call, Action.KILL) for call in CALLS["batch"] for moment in (before, after)]
    point = points[scene.seed % len(points)]
    scene.count(200)
    driver = scene.start("batch", point)
    with scene.traffic(EVENTS_PER_SECOND):
        scene.wait(lambda: driver.exit_codes, f"the driver has reached {point}", SECONDS_MAX)
    scene.hurt(point)
    if driver.exit_codes != [-signal.SIGKILL]:
        raise AssertionError(f"the driver ended with {driver.exit_codes} instead of a kill; its log is {driver.log}")
    scene.send(50)
    _settle_everything(scene, driver)


def two_at_once(scene: Scene) -> None:
    """Two resident drivers for one log: one run works at a time, the other driver waits for its next tick."""
    scene.count(200)
    drivers = [scene.start("batch"), scene.start("batch")]
    scene.hurt("two resident drivers")
    with scene.traffic(EVENTS_PER_SECOND):
        scene.wait(lambda: (scene.published() or (0,))[0] >= VERSIONS, f"{VERSIONS} versions", SECONDS_MAX)
    _settle_everything(scene, *drivers)
    for each in drivers:
        if each.exit_codes:
            raise AssertionError(f"a driver ended with {each.exit_codes}; its log is {each.log}")


def _settle_everything(scene: Scene, *drivers: OurProcess) -> None:
    """Wait until a version covers the log, then end the drivers."""
    scene.batches.was_used = True
    scene.wait(scene.is_counted, "counted")
    ends = scene.highwaters()
    scene.wait(lambda: (scene.published() or (0, []))[1] == ends, "a version covers the log", SECONDS_MAX)
    codes = [each.end() for each in drivers]
    if any(code != ExitCode.OK for code in codes):
        raise AssertionError(f"the drivers ended with {codes} on SIGTERM")


FAULTS = {"resident-killed-at-a-step": killed_at_a_step, "resident-two-at-once": two_at_once}
