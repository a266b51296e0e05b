"""Wrong clocks. Only the broker decides when an event was received, so no count may depend on another clock."""

from faults.scene import Scene
from faults.wrong_clock import WrongClocks
from jobs.exit_codes import ExitCode

HOURS = 3600
OFF = (2 * HOURS, -2 * HOURS)
PROCESSES = ("collector", "speed")
"""Not the API: its clock only decides about the age of tokens."""


def clocks_wrong_and_set(scene: Scene) -> None:
    """Collector and speed process use clocks that are two hours off, and are set forward and back under load."""
    clocks = WrongClocks(scene.folder / "clocks")
    for name in PROCESSES:
        clocks.set(name, scene.rng.choice(OFF))
    scene.collector.end()
    scene.collector = scene.start_ready("collector", changes=clocks.environment("collector"))
    scene.start_ready("speed", changes=clocks.environment("speed"))
    with scene.traffic():
        scene.hurt("clocks two hours off")
        for _ in range(4):
            scene.for_a_while(scene.rng.uniform(0.5, 1.5))
            clocks.set(scene.rng.choice(PROCESSES), scene.rng.choice((*OFF, 0)))
        scene.for_a_while(3)  # longer than the interval at which the speed process reads the published version


def clock_of_batch_run_wrong(scene: Scene) -> None:
    """A run on a machine whose clock is two hours off refuses with that reason; with the right clock it publishes."""
    clocks = WrongClocks(scene.folder / "clocks")
    scene.count(300)
    scene.hurt("a run by a clock two hours off")
    for ahead_seconds in OFF:
        clocks.set("batch", ahead_seconds)
        run = scene.batches.start(changes=clocks.environment("batch"))
        scene.batches.finish(run, ExitCode.REFUSED)
        if "clock" not in scene.batches.printed():
            raise AssertionError(f"the refusal does not speak of the clock: {scene.batches.printed()[-300:]}")
    if scene.published() is not None:
        raise AssertionError("a run published by a wrong clock")
    scene.batches.run()


FAULTS = {"clocks-wrong-and-set": clocks_wrong_and_set, "clocks-of-batch-run-wrong": clock_of_batch_run_wrong}
NEEDING_HDFS = ("clocks-of-batch-run-wrong",)
