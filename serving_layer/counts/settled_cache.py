"""Cache the settled counts of recently requested videos at one version, in bounded memory. Pure; for one thread."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from serving_layer.counts.merge import ServedVersion, SettledCount


class SettledCache:
    """Caches a version's counts by video, None if it has no such video; evicts the least recently used first.

    Unknown ids have a bound of their own, so that invented ids cannot evict the real ones.
    """

    def __init__(self, version: ServedVersion, *, known_max: int = 200_000, unknown_max: int = 50_000) -> None:
        self.version = version
        self._known: OrderedDict[str, SettledCount] = OrderedDict()
        self._unknown: OrderedDict[str, None] = OrderedDict()
        self._known_max = known_max
        self._unknown_max = unknown_max

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._known or video_id in self._unknown

    def get(self, video_id: str) -> SettledCount | None:
        """Return the cached counts; the id must be in the cache.

        Raises:
            KeyError: it is not.
        """
        if (found := self._known.get(video_id)) is not None:
            self._known.move_to_end(video_id)
            return found
        self._unknown.move_to_end(video_id)
        return None

    def remember(self, video_ids: Iterable[str], found: Mapping[str, SettledCount]) -> None:
        """Cache a version's counts of these videos; those missing in `found` are unknown to it."""
        for video_id in video_ids:
            count = found.get(video_id)
            if count is None:
                self._unknown[video_id] = None
            else:
                self._unknown.pop(video_id, None)
                self._known[video_id] = count
        while len(self._known) > self._known_max:
            self._known.popitem(last=False)
        while len(self._unknown) > self._unknown_max:
            self._unknown.popitem(last=False)

    def video_ids(self) -> set[str]:
        """Return all cached ids."""
        return {*self._known, *self._unknown}

    def move_to(self, version: ServedVersion, checked: set[str], changes: Mapping[str, SettledCount]) -> None:
        """Become the cache of a later version: apply the changes, drop every id that was not checked for any."""
        for video_id in self.video_ids() - checked:
            self._known.pop(video_id, None)
            self._unknown.pop(video_id, None)
        remembered = [video_id for video_id in changes if video_id in self]
        self.remember(remembered, changes)
        self.version = version

    def start_over(self, version: ServedVersion) -> None:
        """Drop everything and serve this version."""
        self._known.clear()
        self._unknown.clear()
        self.version = version
