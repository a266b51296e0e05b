"""The declared aggregates: sums over judged events, or over the viewers of a video and day, each kept in one table.

A run adds to an aggregate what its new events and the former state of changed events make of it; a rebuild sums all
events. So a new aggregate needs its declaration here and no other code. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

EVENT_DAY = "event_day"


@dataclass(frozen=True)
class Aggregate:
    """A derived table: one row for each combination of keys whose first measure is not zero."""

    table: str
    keys: Mapping[str, str]
    """Column → its value for an event, as SQL."""
    measures: Mapping[str, str]
    """Column → what one event adds to it, as SQL; a whole number."""
    counted_only: bool
    of_viewers: bool = False
    """Summed over the viewers of each video and day: rows of video_id, event_day and viewer. Else over events."""

    @property
    def is_by_day(self) -> bool:
        """Return whether the table is kept by event day."""
        return EVENT_DAY in self.keys

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the table: the keys, then the measures."""
        return (*self.keys, *self.measures)


COMPLETION = {
    "length_known_views": "int(quartile IS NOT NULL)",
    **{f"reached_{25 * quarters}": f"int(coalesce(quartile >= {quarters}, false))" for quarters in (1, 2, 3, 4)},
}
"""How far viewers got, from the fewest percent of a video's length to all of it, after the views that can tell."""
SERVED = {"views": "1", "billable_views": "int(billability <=> 'billable')", "watched_seconds": "view_duration"}
"""The measures of views that are served by quarter of an hour, country and device, too."""
_VIEWS = SERVED | COMPLETION

TALLY = Aggregate(
    "tally",
    {
        "partition": "partition",
        EVENT_DAY: EVENT_DAY,
        "event_hour": "event_hour",
        "verdict": "verdict",
        "reason": "if(verdict IN ('rejected', 'invalid_traffic'), coalesce(try_element_at(reasons, 1).code, ''), '')",
    },
    {"event_count": "1"},
    counted_only=False,
)
DETAIL = Aggregate(
    "views_by_video_day_country_device",
    {name: name for name in ("video_id", EVENT_DAY, "country", "device_type", "policy_version")},
    _VIEWS,
    counted_only=True,
)
BY_VIDEO_DAY = Aggregate(
    "views_by_video_day",
    {name: name for name in ("video_id", EVENT_DAY, "policy_version")},
    _VIEWS,
    counted_only=True,
)
BY_VIDEO = Aggregate("views_by_video", {"video_id": "video_id"}, _VIEWS, counted_only=True)
UNIQUE_VIEWERS = Aggregate(
    "unique_viewers_by_video_day",
    {name: name for name in ("video_id", EVENT_DAY)},
    {"unique_viewers": "1"},
    counted_only=False,
    of_viewers=True,
)

OF_EVENTS = (TALLY, DETAIL, BY_VIDEO_DAY, BY_VIDEO)
"""From the finest to the coarsest."""
AGGREGATES = (*OF_EVENTS, UNIQUE_VIEWERS)
