"""What billing needs from others: the settled views of one published version, the catalogue."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Protocol

from billing.catalogue import Catalogue
from billing.rate_cards import RateContract
from ingestion.contract.periods import Period
from ingestion.contract.version import PublishedVersion


class SettledCount(Protocol):
    """The settled counts of one video, event day (UTC) and country."""

    @property
    def video_id(self) -> str:
        """Whose views."""

    @property
    def event_day(self) -> date:
        """The UTC day the views happened on."""

    @property
    def country(self) -> str | None:
        """The events' `geo_location` exactly as sent; None where they had none."""

    @property
    def views(self) -> int:
        """Every counted event."""

    @property
    def billable_views(self) -> int:
        """Those of them that are billable."""

    @property
    def policy_version(self) -> int:
        """The counting policy the day was judged by; the same in every row of one day."""


class BillableEvent(Protocol):
    """One billable view: an event with verdict `counted` and billability `billable`."""

    @property
    def video_id(self) -> str:
        """Whose view."""

    @property
    def event_id(self) -> str:
        """Canonical text of the UUID: lower case, with hyphens."""

    @property
    def event_day(self) -> date:
        """The UTC day the view happened on."""

    @property
    def country(self) -> str | None:
        """The event's `geo_location` exactly as sent; None where it had none."""


class SettledViews(Protocol):
    """The counts and events of ONE published version, read only at the snapshots that the version names.

    Two readers of the same version see the same rows whatever is published meanwhile. A server that is away raises
    the implementation's own error; jobs gives it its exit code.
    """

    @property
    def version(self) -> PublishedVersion:
        """The version all answers belong to."""

    def counts(self, period: Period) -> Iterable[SettledCount]:
        """Yield one row per (video, event day in the period, country) with at least one view, in any order."""

    def billable_events(self, period: Period) -> Iterable[BillableEvent]:
        """Yield every billable event whose event day lies in the period, ascending by (video_id, event_id).

        Both compared byte by byte, as Python compares ASCII text. For every row of `counts` there are exactly
        `billable_views` events here. Streams: memory does not grow with the number of events.
        """

    def open_review_items(self, period: Period) -> Mapping[str, int]:
        """Return how many events of the period wait for a decision, by kind: `conflict`, `late_review`.

        Kinds without any may be absent. An event belongs to the day of its own timestamp, also a `late_review`.
        """


class CatalogueStore(Protocol):
    """Versioned catalogues and rate contracts. Nothing stored ever changes; an import makes the next version."""

    def import_catalogue(self, catalogue: Catalogue, source: str) -> tuple[int, bool]:
        """Store as the next version; return (version, whether it is new). The newest content again changes nothing."""

    def import_contract(self, contract: RateContract) -> tuple[int, bool]:
        """Store as the next version; return (version, whether it is new). The newest content again changes nothing."""

    def newest_catalogue(self) -> tuple[int, Catalogue] | None:
        """Return the catalogue in force, None before the first import."""

    def catalogue(self, version: int) -> Catalogue:
        """Return a stored version; version 0 is the empty catalogue."""

    def newest_contract(self) -> tuple[int, RateContract] | None:
        """Return the rate contract in force, None before the first import."""
