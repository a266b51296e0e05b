"""How long after the death of a server the others do its work: measured, noted, and compared with the promise."""

import time
from collections.abc import Callable
from contextlib import suppress

from kafka.errors import KafkaError

from faults.scene import Scene
from ingestion.contract.unavailable import UnavailableError

TAKEN_OVER_SECONDS_MAX = 30.0


def taken_over(scene: Scene, holds: Callable[[], object], what: str) -> None:
    """Wait until something holds again; note how long after the fault that is.

    Raises:
        AssertionError: it is longer than promised.
    """
    scene.wait(holds, what)
    seconds = time.monotonic() - scene.hurt_at
    scene.notes.append(f"{what} after {seconds:.1f} s")
    if seconds > TAKEN_OVER_SECONDS_MAX:
        raise AssertionError(f"{what} after {seconds:.1f} s; {TAKEN_OVER_SECONDS_MAX:.0f} s are promised")


def counts_again(scene: Scene) -> None:
    """Wait until all that the log has now, or as soon as it can be asked, is counted; see `taken_over`."""
    ends: list[int] = []

    def has_counted() -> bool:
        with suppress(UnavailableError, KafkaError):
            ends[:] = ends or scene.highwaters()
            return all((position or 0) >= end for position, end in zip(scene.positions(), ends, strict=True))
        return False

    taken_over(scene, has_counted, "counted again")
