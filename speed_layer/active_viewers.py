"""The number of recently active sessions. Pure."""

from collections.abc import Iterable

WINDOW_SECONDS = 60.0
SESSIONS_MAX = 1_000_000


class ActiveViewers:
    """Counts the distinct sessions of about the last 60 to 120 seconds, in two alternating sets.

    Keeps hashes, at most `sessions_max` a set (32 MB for a million): above that the count no longer grows. A session is
    keyed to a video's partition, so one whose videos belong to several processes is counted by each of them: the sum
    over processes is an upper bound.
    """

    def __init__(self, *, sessions_max: int = SESSIONS_MAX) -> None:
        self._sessions_max = sessions_max
        self._current: set[int] = set()
        self._previous: set[int] = set()
        self._turn = 0

    def add(self, session_ids: Iterable[str], now: float) -> None:
        """Note sessions seen at `now` (seconds since 1970)."""
        self._take_turns(now)
        if len(self._current) < self._sessions_max:
            self._current.update(map(hash, session_ids))

    def count(self, now: float) -> int:
        """Return the number of distinct sessions seen in this window and the one before."""
        self._take_turns(now)
        return len(self._current | self._previous)

    def _take_turns(self, now: float) -> None:
        turn = int(now // WINDOW_SECONDS)
        if turn > self._turn:
            self._previous = self._current if turn == self._turn + 1 else set()
            self._current = set()
            self._turn = turn
