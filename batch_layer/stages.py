"""The stages of a run: timed, and reported when they end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Tells the operator what the run is doing."""

    def __call__(self, stage: str, text: str) -> None:
        """Report one step of a stage."""


class Stages:
    """Times the stages of a run and reports each when it ends."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Time one stage; what the caller appends to the list is reported with it."""
        started = time.perf_counter()
        said: list[str] = []
        yield said
        self.seconds[name] = round(time.perf_counter() - started, 3)
        self._progress(name, f"{', '.join(said) or 'done'} in {self.seconds[name]:.1f} s")
