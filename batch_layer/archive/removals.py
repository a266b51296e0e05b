"""The record of what was removed from the archive on purpose: rows, counted and hashed by place. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from batch_layer.lake.content import Content, Place


@dataclass(frozen=True)
class RemovedRows:
    """Rows of one place that were removed from a table."""

    rows: Content
    offsets: Content
    """The content of their partition, offset and append time alone, which the judged events still have."""


RemovedPlaces = Mapping[str, Mapping[Place, RemovedRows]]
"""Table → place → the rows that were removed."""


@dataclass(frozen=True)
class Removal:
    """What a version has removed, and on whose order. It names no viewer: the record is kept permanently."""

    actor: str
    reason: str
    before: date | None
    """Everything received before this day (UTC) was removed; None: the events of one viewer."""
    removed: RemovedPlaces


@dataclass(frozen=True)
class Removals:
    """What a version and those before it have removed."""

    offsets: Mapping[str, Mapping[Place, Content]] = field(default_factory=dict)
    """Table → place → the content of the removed offsets."""
    before: date | None = None
    """Everything received before this day (UTC) was removed; None: a retention has removed nothing yet."""

    @property
    def is_any(self) -> bool:
        """Return whether anything was removed."""
        return self.before is not None or any(self.offsets.values())

    def of(self, table: str) -> Mapping[Place, Content]:
        """Return what was removed from a table, by place."""
        return self.offsets.get(table, {})

    def received_on(self, days: Collection[date] | None) -> "Removals":
        """Return the same of some days of receipt (UTC) alone, if given."""
        if days is None:
            return self
        chosen = {
            table: {place: each for place, each in places.items() if place.hour.date() in days}
            for table, places in self.offsets.items()
        }
        return Removals(chosen, self.before)

    def by_partition(self, table: str) -> dict[int, int]:
        """Return how many rows were removed from a table, by partition."""
        found: dict[int, int] = {}
        for place, content in self.of(table).items():
            found[place.partition] = found.get(place.partition, 0) + content.row_count
        return found


def with_removed(found: Mapping[Place, Content], removed: Mapping[Place, Content]) -> dict[Place, Content]:
    """Return what a table has by place, and what was removed from it."""
    nothing = Content()
    return {place: found.get(place, nothing) + removed.get(place, nothing) for place in {*found, *removed}}
