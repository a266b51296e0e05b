"""The stages of a run: timed, and reported when they end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Reports the run's progress to the operator."""

    def __call__(self, stage: str, text: str) -> None:
        """Report one step of a stage."""


def unobserved(name: str, seconds: float) -> None:
    """Tell nobody."""


class Stages:
    """Times the stages of a run and reports each when it ends."""

    def __init__(self, progress: Progress, ended: Callable[[str, float], None] = unobserved) -> None:
        """Call `ended` with each stage that has just ended and its seconds."""
        self._progress = progress
        self._ended = ended
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Time one stage; items that the caller appends to the list are reported with it."""
        started = time.perf_counter()
        notes: list[str] = []
        yield notes
        self.seconds[name] = round(time.perf_counter() - started, 3)
        self._ended(name, self.seconds[name])
        self._progress(name, f"{', '.join(notes) or 'done'} in {self.seconds[name]:.1f} s")

    def in_order(self) -> list[tuple[str, float]]:
        """Return each stage with its seconds, first to last; the journal's jsonb would sort the names of an object."""
        return list(self.seconds.items())
