"""Cache the last published version while PostgreSQL is unreachable."""

from ingestion.contract.unavailable import UnavailableError
from speed_layer.ports import Published, PublishedOffsets


class LastPublished:
    """Implements `PublishedOffsets`: while the source does not answer, it returns the last answer."""

    def __init__(self, source: PublishedOffsets) -> None:
        self._source = source
        self._last: Published | None = None
        self._is_known = False

    def current(self) -> Published | None:
        """Return the current version's reach; raise UnavailableError if the source never answered."""
        try:
            self._last = self._source.current()
            self._is_known = True
        except UnavailableError:
            if not self._is_known:
                raise
        return self._last
