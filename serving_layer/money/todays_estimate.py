"""The estimate of today: at least and at most how many views are billable, and what they earn. Never money. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal, NamedTuple, Protocol

from msgspec import Meta

from serving_layer.counts.answers import Count, Envelope

CHECKED_DAYS_MOST = 99
"""How many days back the checked days lie, at most: of 100 like days, one is the worst."""
CHECKED_DAYS_LEAST = 28
"""With fewer checked days there is no telling what checks of traffic take away: at least is 0."""
NOTE = (
    "An estimate and no money, of the views that began today (UTC) and were received so far. It has no later views, no "
    "advertisements and no tax; less than at least remains only if checks of traffic take away more than on every "
    "earlier day."
)

LIVE_VIDEOS_MAX = 1_000
"""Of a channel with more videos the live views are not known: each read would ask for every video."""

_AtMost = Annotated[Count | None, Meta(description="Null: not known, as live views may be missing or videos too many")]


class CheckedDay(NamedTuple):
    """What became of the events of a past day whose traffic was checked."""

    views: int
    billable_views: int
    invalid_events: int

    @property
    def events(self) -> int:
        """Return how many events would have been counted without any check."""
        return self.views + self.invalid_events


class ViewBounds(NamedTuple):
    """The two numbers of an estimate; at most is None where it is not known."""

    at_least: int
    at_most: int | None


class SharedViews(NamedTuple):
    """Views of videos of which the payee owns the same share, of one country; None: the country is not known yet."""

    share_ppm: int
    country: str | None
    views: int


class EarnedBounds(NamedTuple):
    """What the two bounds of the views earn, in micro-units."""

    currency: str
    at_least_micros: int
    at_most_micros: int | None


class DayRates(Protocol):
    """What contracts pay for the views of a day. Called from a thread; bounded in time; raise UnavailableError."""

    def earned(
        self,
        payee_id: str,
        day: date,
        settled: Sequence[SharedViews],
        live: Sequence[SharedViews] | None,
        at_least: int,
    ) -> EarnedBounds | None:
        """Return what `at_least` of the settled billable views earn at least, and all of them with `live` at most.

        `live` None: they are not known, nor is at most. None: no contract covers the payee on the day.
        """


class TodaysEstimate(Envelope, frozen=True, kw_only=True):
    """At least and at most how many views of today are billable, and what they earn: an estimate, never money."""

    kind: Literal["estimate"] = "estimate"
    payee_id: str
    day: Annotated[date, Meta(description="Today (UTC)")]
    billable_views_at_least: Count
    billable_views_at_most: _AtMost
    currency: Annotated[str | None, Meta(description="Null: no contract covers the payee today")]
    earned_micros_at_least: Count | None
    earned_micros_at_most: _AtMost
    settled_views: Annotated[Count, Meta(description="Of today, in the published version")]
    settled_billable_views: Annotated[Count, Meta(description="Those of them that are billable before the checks")]
    live_views: Annotated[Count | None, Meta(description="Not settled yet, whenever they began; null: not known")]
    checked_days: Annotated[
        Count, Meta(description=f"Of the last {CHECKED_DAYS_MOST} days those with events and checked traffic")
    ]
    note: str = NOTE


def billable_bounds(
    settled_views: int, settled_billable: int, live_views: int | None, past: Sequence[CheckedDay]
) -> ViewBounds:
    """Return at least and at most how many views of today are billable, of those received so far.

    At most: each live view can be billable, and each view that is billable now can stay so. At least: as many of the
    settled views as on the past day on which the smallest share of the events was billable; none with too few past
    days. `live_views` None: they are not known.
    """
    with_events = [each for each in past if each.events]
    at_most = None if live_views is None else settled_billable + live_views
    if len(with_events) < CHECKED_DAYS_LEAST:
        return ViewBounds(0, at_most)
    shares = (settled_views * each.billable_views // each.events for each in with_events)
    return ViewBounds(min(settled_billable, *shares), at_most)
