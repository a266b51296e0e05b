"""The resident driver's loop: a batch run at every tick, sooner again while a server is away.

A tick begins one run at a time: a run that is longer than the interval delays the next, and ticks that were missed
meanwhile are not made up, for one run counts everything that is new.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from batch_layer.errors import BatchError, DifferenceError, GateFailedError, RefusedError
from batch_layer.run.run_result import RunResult
from ingestion.contract.unavailable import UnavailableError
from jobs.resilience.patience import BETWEEN_RUNS


class RunOutcome(StrEnum):
    """How a run ended; the values are those of the metric."""

    PUBLISHED = "published"
    NOTHING_NEW = "nothing_new"
    DIFFERENCE = "difference"
    GATE_FAILED = "gate_failed"
    REFUSED = "refused"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    """A server did not answer: the run is tried again after a pause, before the next tick."""

    @property
    def is_success(self) -> bool:
        """Return whether everything new was counted, and agrees."""
        return self in (RunOutcome.PUBLISHED, RunOutcome.NOTHING_NEW)


_OF_ERROR: dict[type[BatchError], RunOutcome] = {
    DifferenceError: RunOutcome.DIFFERENCE,
    GateFailedError: RunOutcome.GATE_FAILED,
    RefusedError: RunOutcome.REFUSED,
}


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    outcome: RunOutcome
    text: str
    """The reason of an outcome without success, in one sentence; otherwise what was published."""
    seconds: float
    result: RunResult | None = None


class BatchDriver:
    """Does runs until it is asked to stop; the run at hand is finished. An error that no run may raise ends it, too."""

    def __init__(
        self,
        run: Callable[[], RunResult],
        observe: Callable[[Ended, float], None],
        *,
        every_seconds: float,
        monotonic: Callable[[], float],
        wait: Callable[[float], bool],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`observe` is told of each run, with the seconds until the next; `wait` returns whether to stop."""
        self._run, self._observe = run, observe
        self._every_seconds = every_seconds
        self._monotonic, self._wait, self._chance = monotonic, wait, chance

    def loop(self) -> None:
        """Do the first run now, and the others at their ticks."""
        failures, pause = 0, 0.0
        while not self._wait(pause):
            ended = self._once()
            failures = failures + 1 if ended.outcome is RunOutcome.UNAVAILABLE else 0
            rest = max(0.0, self._every_seconds - ended.seconds)
            pause = BETWEEN_RUNS.seconds(failures, self._chance) if failures else rest
            self._observe(ended, pause)

    def _once(self) -> Ended:
        started = self._monotonic()
        result = None
        try:
            result = self._run()
            outcome, text = _of(result)
        except BatchError as error:
            outcome = next((of for kind, of in _OF_ERROR.items() if isinstance(error, kind)), RunOutcome.FAILED)
            text = str(error)
        except UnavailableError as error:
            outcome, text = RunOutcome.UNAVAILABLE, str(error)
        return Ended(outcome, text, self._monotonic() - started, result)


def _of(result: RunResult) -> tuple[RunOutcome, str]:
    if result.differences:
        return (
            RunOutcome.DIFFERENCE,
            f"version {result.version} is published and does not agree: {result.differences[0]}",
        )
    return RunOutcome(result.state), f"version {result.version}" if result.version else "nothing to count yet"
