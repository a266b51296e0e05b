"""Answers that last: how many are open, as a whole and of one sender, so that nobody takes all of them."""

from collections import Counter
from collections.abc import Callable, Mapping


class TooManyOpenError(Exception):
    """As many are open as there may be under `name`."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{most} are open under {name!r} already")
        self.name, self.most = name, most


class OpenStreams:
    """Counts what is open under each name. For one event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def take(self, bounds: Mapping[str, int]) -> Callable[[], None]:
        """Count one more under all of these names and return what is to be called when it has ended.

        Raises:
            TooManyOpenError: under one of them there is no room; nothing is counted.
        """
        for name, most in bounds.items():
            if self._open[name] >= most:
                raise TooManyOpenError(name, most)
        self._open.update(bounds.keys())

        def ended() -> None:
            for name in bounds:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]

        return ended
