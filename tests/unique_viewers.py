"""Unique viewers in plain Python: those of counted events, and what the changes of all versions add up to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC

from batch_layer.lake.tables import EVENTS, UNIQUE_VIEWERS, VIEWERS
from batch_layer.versions.day_changes import ViewerChange, viewer_key
from ingestion.contract.event import ViewEvent
from tests.spark_fixtures import MemoryRun

Viewers = dict[tuple[str, str], set[str]]
"""Video and day to the keys of viewers."""


def viewers_of(counted: Iterable[ViewEvent]) -> Viewers:
    """Return the viewers of these events."""
    found: Viewers = {}
    for event in counted:
        day = str(event.timestamp.astimezone(UTC).date())
        found.setdefault((event.video_id, day), set()).add(viewer_key(event.user_id))
    return found


def viewers_after(changes: Iterable[ViewerChange]) -> Viewers:
    """Return the viewers after changes in which everybody is known; nobody comes or goes twice."""
    found: Viewers = {}
    for each in changes:
        assert each.viewers == len(each.came) - len(each.went)
        viewers = found.setdefault((each.video_id, each.event_day), set())
        assert viewers.isdisjoint(each.came)
        assert viewers.issuperset(each.went)
        viewers |= set(each.came)
        viewers -= set(each.went)
    return {place: viewers for place, viewers in found.items() if viewers}


def numbers_after(changes: Iterable[ViewerChange]) -> Counter[tuple[str, str]]:
    """Return how many viewers each video has on each day after changes."""
    found: Counter[tuple[str, str]] = Counter()
    for each in changes:
        found[each.video_id, each.event_day] += each.viewers
    assert min(found.values(), default=0) >= 0
    return +found


def unique_viewers_now(run: MemoryRun) -> dict[tuple[str, str], int]:
    """Return the rows of the published table."""
    rows = run.warehouse.tables.at(UNIQUE_VIEWERS, run.current.snapshots[UNIQUE_VIEWERS]).collect()
    found = {(row.video_id, str(row.event_day)): row.unique_viewers for row in rows}
    assert len(found) == len(rows)
    return found


@dataclass
class ViewersModel:
    """How many viewers each video has on each day through runs and removals.

    A run counts who comes and goes among those that are known; a removal makes some unknown, and changes no number.
    """

    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    known: Viewers = field(default_factory=dict)

    def counted(self, run: MemoryRun) -> None:
        """Follow a run."""
        now = _known_viewers(run)
        for place in {*now, *self.known}:
            self.numbers[place] += len(now.get(place, set())) - len(self.known.get(place, set()))
        self.known = now

    def removed(self, run: MemoryRun) -> None:
        """Follow a removal."""
        self.known = _known_viewers(run)

    def check(self, run: MemoryRun, why: object) -> None:
        """The published numbers are these, in the table and in what is served."""
        assert unique_viewers_now(run) == +self.numbers, why
        assert numbers_after(each for _, each in run.versions.viewers) == +self.numbers, why


def _known_viewers(run: MemoryRun) -> Viewers:
    """Return the viewers of the counted events whose personal columns are there."""
    tables, snapshots = run.warehouse.tables, run.current.snapshots
    events = tables.at(EVENTS, snapshots[EVENTS]).where("verdict = 'counted'").select("partition", "offset")
    places = events.join(tables.at(VIEWERS, snapshots[VIEWERS]), ["partition", "offset"], "left_semi").collect()
    messages = [run.log.messages[row.partition][row.offset] for row in places]
    return viewers_of(message.received.decoded for message in messages)
