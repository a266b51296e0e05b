"""The broker's time, learned from acknowledgements. Pure: the caller passes the elapsed time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BrokerClock:
    """Estimates the broker's present time, independently of this machine's clock.

    An event is received when the broker appends it, so only the broker's time can tell that an event claims to happen
    later. The estimate may be late by the time that an acknowledgement takes.
    """

    def __init__(self, elapsed: Callable[[], float]) -> None:
        """`elapsed` returns monotonic seconds from an arbitrary start."""
        self._elapsed = elapsed
        self._known: tuple[int, float] | None = None

    def heard(self, appended_at_ms: int) -> None:
        """Note the append time of a record that was acknowledged just now; -1 means none."""
        if appended_at_ms >= 0:
            self._known = appended_at_ms, self._elapsed()

    def now(self) -> datetime | None:
        """Return the present instant; None before the first acknowledgement."""
        if self._known is None:
            return None
        appended_at_ms, at = self._known
        return _EPOCH + timedelta(milliseconds=appended_at_ms, seconds=self._elapsed() - at)
