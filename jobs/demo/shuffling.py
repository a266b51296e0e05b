"""Mix messages as a log has them: roughly in the order of their days, and never exactly."""

import random
from typing import TypeVar

Item = TypeVar("Item")


def shuffle_in_windows(rng: random.Random, items: list[Item]) -> None:
    """Spread repeats and oddities over the phase; plain views stay roughly in order of their days."""
    positions = {id(item): index for index, item in enumerate(items)}
    span = max(1, len(items))
    keyed: list[tuple[float, Item]] = [(positions[id(item)] + rng.uniform(0, 0.05) * span, item) for item in items]
    rng.shuffle(keyed)
    keyed.sort(key=lambda pair: pair[0])
    items[:] = [item for _, item in keyed]
