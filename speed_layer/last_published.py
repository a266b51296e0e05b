"""What was published last, for the time in which nobody can be asked."""

from ingestion.contract.unavailable import UnavailableError
from speed_layer.ports import Published, PublishedOffsets


class LastPublished:
    """See the port `PublishedOffsets`: while the source does not answer, its last answer stands."""

    def __init__(self, source: PublishedOffsets) -> None:
        self._source = source
        self._last: Published | None = None
        self._is_known = False

    def current(self) -> Published | None:
        """Return the current version's reach; raises UnavailableError if the source never answered."""
        try:
            self._last = self._source.current()
            self._is_known = True
        except UnavailableError:
            if not self._is_known:
                raise
        return self._last
