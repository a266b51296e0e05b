"""The resident driver: its ticks, its retries, and what it shows, with a clock and a run that are passed in."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from batch_layer.errors import ArchiveError, AtWorkError, BatchError, DifferenceError, GateFailedError, RefusedError
from batch_layer.run.run_result import RunResult
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.processes.batch_driver import BatchDriver, Ended, RunOutcome
from jobs.processes.batch_figures import BatchFigures
from tests.command_lines import parsed

PUBLISHED = RunResult("run", "published", 7)
NOTHING_NEW = RunResult("run", "nothing_new", 7)
AWAY = UnavailableError(Part.HDFS, "HDFS does not answer (connection refused)")
Step = tuple[float, RunResult | Exception]
"""The seconds of a run, and its end."""


class Scene:
    """A driver that does the given runs and is asked to stop after the last."""

    def __init__(self, *steps: Step, every_seconds: float = 300) -> None:
        self.now, self._steps = 0.0, list(steps)
        self.started_at: list[float] = []
        self.ended: list[Ended] = []
        self.pauses: list[float] = []
        self.driver = BatchDriver(
            self._run,
            self._observe,
            every_seconds=every_seconds,
            monotonic=lambda: self.now,
            wait=self._wait,
            chance=lambda: 1.0,
        )

    def loop(self) -> "Scene":
        self.driver.loop()
        return self

    @property
    def outcomes(self) -> list[RunOutcome]:
        return [each.outcome for each in self.ended]

    def _run(self) -> RunResult:
        self.started_at.append(self.now)
        seconds, end = self._steps.pop(0)
        self.now += seconds
        if isinstance(end, Exception):
            raise end
        return end

    def _observe(self, ended: Ended, pause: float) -> None:
        self.ended.append(ended)
        self.pauses.append(pause)

    def _wait(self, seconds: float) -> bool:
        self.now += seconds
        return not self._steps


def test_the_first_run_begins_at_once_and_the_others_at_their_ticks() -> None:
    scene = Scene((20, PUBLISHED), (4, NOTHING_NEW), (6, PUBLISHED)).loop()
    assert scene.started_at == [0, 300, 600]
    assert scene.outcomes == ["published", "nothing_new", "published"]
    assert [each.seconds for each in scene.ended] == [20, 4, 6]


def test_a_run_longer_than_the_interval_delays_the_next_and_missed_ticks_are_not_made_up() -> None:
    scene = Scene((1000, PUBLISHED), (5, PUBLISHED), (5, PUBLISHED)).loop()
    assert scene.started_at == [0, 1000, 1300]


def test_a_server_that_is_away_is_tried_again_after_growing_pauses_before_the_next_tick() -> None:
    scene = Scene(*[(1, AWAY)] * 6, (5, PUBLISHED), (1, AWAY), (5, PUBLISHED)).loop()
    assert scene.pauses == [4, 8, 16, 30, 30, 30, 295, 4, 295]
    assert scene.outcomes[:7] == ["unavailable"] * 6 + ["published"]
    assert scene.ended[0].text == "HDFS does not answer (connection refused)"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DifferenceError("a file is gone"), "difference"),
        (GateFailedError(["views"], "index.html"), "gate_failed"),
        (RefusedError("nothing is published"), "refused"),
        (AtWorkError(), "refused"),
        (ArchiveError("an offset twice"), "failed"),
    ],
)
def test_a_run_that_must_not_publish_is_shown_and_tried_again_at_the_next_tick(error: BatchError, outcome: str) -> None:
    scene = Scene((7, error), (7, PUBLISHED)).loop()
    assert scene.outcomes == [outcome, "published"]
    assert scene.ended[0].text == str(error)
    assert scene.started_at == [0, 300]


def test_a_published_version_that_does_not_agree_is_a_difference() -> None:
    scene = Scene((7, RunResult("run", "published", 8, differences=("video a: 1, 2",)))).loop()
    assert scene.outcomes == ["difference"]
    assert scene.ended[0].text == "version 8 is published and does not agree: video a: 1, 2"


def test_an_error_that_no_run_is_meant_to_raise_ends_the_driver() -> None:
    with pytest.raises(ZeroDivisionError):
        Scene((1, ZeroDivisionError())).loop()


class Shown:
    """Figures at a time of day that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.figures = BatchFigures(every_seconds=300, clock=lambda: self.now)

    def run(self, outcome: RunOutcome, text: str = "") -> None:
        self.now += 300
        self.figures.ended(Ended(outcome, text, 12.5))

    def lines(self, name: str) -> Iterable[str]:
        return (line for line in self.figures.exposition().decode().splitlines() if line.startswith(name))


def test_readiness_names_the_server_that_is_away_and_nothing_else() -> None:
    shown = Shown()
    assert shown.figures.obstacle() == "Spark is starting"
    shown.figures.started()
    assert shown.figures.obstacle() is None
    shown.run(RunOutcome.UNAVAILABLE, "HDFS does not answer")
    assert shown.figures.obstacle() == "HDFS does not answer"
    shown.run(RunOutcome.GATE_FAILED, "the gate refused")
    assert shown.figures.obstacle() is None, "the driver does its work; an alert tells of the gate"


def test_metrics_show_the_last_run_and_since_when_none_has_ended_well() -> None:
    shown = Shown()
    assert list(shown.lines("batch_driver_last_success_timestamp_seconds ")) == [
        "batch_driver_last_success_timestamp_seconds 1000.0"
    ]
    shown.run(RunOutcome.NOTHING_NEW)
    shown.run(RunOutcome.DIFFERENCE, "a file is gone")
    assert [line for line in shown.lines("batch_driver_last") if not line.endswith(" 0.0")] == [
        'batch_driver_last_outcome{outcome="difference"} 1.0',
        "batch_driver_last_run_timestamp_seconds 1600.0",
        "batch_driver_last_run_seconds 12.5",
        "batch_driver_last_success_timestamp_seconds 1300.0",
    ]
    assert 'batch_driver_runs_total{outcome="difference"} 1.0' in shown.lines("batch_driver_runs_total")
    assert list(shown.lines("batch_driver_interval_seconds ")) == ["batch_driver_interval_seconds 300.0"]


WANTED = "give a whole number with s, m or h, from 10s to 24h"


def every(*words: str) -> timedelta:
    _, params = parsed(["run", "batch", *words])
    found: timedelta = params["every"]
    return found


def test_the_interval_is_a_whole_number_with_a_unit() -> None:
    assert every() == timedelta(minutes=5)
    assert every("--every", "10s") == timedelta(seconds=10)
    assert every("--every", "90m") == timedelta(hours=1, minutes=30)
    assert every("--every", "24h") == timedelta(days=1)


@pytest.mark.parametrize("value", ["5", "5 m", "5min", "", "-5m", "1.5h", "٥m", "5M", "m", "1d"])
def test_an_interval_in_another_form_is_refused_with_the_form(value: str) -> None:
    with pytest.raises(CommandError) as refused:
        every("--every", value)
    assert str(refused.value).startswith(f"--every is not a duration: {value!r}; {WANTED}")


@pytest.mark.parametrize("value", ["0s", "9s", "0m", "86401s", "25h", "999999999h"])
def test_an_interval_out_of_bounds_is_refused_with_the_bounds(value: str) -> None:
    with pytest.raises(CommandError) as refused:
        every("--every", value)
    assert str(refused.value).startswith(f"--every is out of range: {value}; {WANTED}")
