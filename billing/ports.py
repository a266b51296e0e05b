"""The ports of billing to others: the settled views of one published version, the catalogue."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Protocol

from billing.rating.attribution import Attribution
from billing.terms.catalogue import Catalogue
from billing.terms.contracts import Contracts
from billing.terms.imports import Imported
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.settled import Conflict, MovedViews, ReviewedEvent, SettledPiece, UnplacedViews
from ingestion.contract.traffic_evidence import GroupEvidence
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup
from ingestion.contract.version import PublishedVersion


class SettledViews(Protocol):
    """The events of ONE published version, read only at the snapshots that the version names.

    Two readers of the same version see the same rows, even if others are published meanwhile. An event belongs to the
    UTC day of its own timestamp, a rejected one to the day it was received. A server that is away raises the
    implementation's own error; jobs gives it its exit code.
    """

    @property
    def version(self) -> PublishedVersion:
        """The version all answers belong to."""

    def pieces(self, attribution: Attribution, policy: CountingPolicy | None = None) -> Iterable[SettledPiece]:
        """Yield all events of the period that have an owner and a card, in pieces.

        Judged as they were published; for a backtest, counted views are judged again by a proposed policy.

        Ascending by (payee_id, video_id, owned_from_on, effective_from_on, country, policy_version), texts byte by
        byte. Streams: memory grows neither with the number of events nor with that of payees.
        """

    def unplaced(self, attribution: Attribution) -> Iterable[UnplacedViews]:
        """Yield the billable views of the period that `pieces` leaves out."""

    def contradictions(self, period: Period) -> Sequence[str]:
        """Return a sentence for some of the places where published counts and events of the version disagree: none."""

    def videos_seen(self, days: Collection[date], among: Collection[str]) -> Collection[str]:
        """Return which of the videos have counted views on some of the days."""

    def open_review_items(self, period: Period) -> Mapping[str, int]:
        """Return how many events of the period wait for a decision, by kind: `conflict`, `late_review`.

        Kinds without any may be absent.
        """

    def unreconciled(self) -> Sequence[str]:
        """Return what is known not to agree between archive, tables, served counts and ledger, in sentences."""

    def reviewed_groups(self) -> Sequence[ReviewedGroup]:
        """Return the groups of events whose traffic is under review, in order."""

    def group_evidence(self, groups: Collection[TrafficGroup]) -> Mapping[TrafficGroup, GroupEvidence]:
        """Return the evidence on some of these groups; memory grows with their number and not with their events."""

    def late_events(self, period: Period) -> Iterable[ReviewedEvent]:
        """Yield the events with verdict `late_review` that claim to have happened in the period, in any order."""

    def conflicts(self, period: Period) -> Iterable[Conflict]:
        """Yield the events of the period with verdict `conflict`, in any order."""


class TriedTraffic(Protocol):
    """The events of one published version as a proposed policy of traffic would have judged some days."""

    @property
    def days(self) -> Collection[date]:
        """Return the days that were judged again."""

    @property
    def erased_days(self) -> Collection[date]:
        """Return the judged days that are left out, for personal columns that the rules look at were removed."""

    @property
    def groups_now(self) -> int:
        """Return how many groups are under review on `days`."""

    @property
    def groups_proposed(self) -> int:
        """Return how many there would be."""

    def pieces(self, attribution: Attribution) -> Iterable[SettledPiece]:
        """Yield all events of the period as `SettledViews.pieces` does."""

    def moved(self, expired: Collection[TrafficGroup]) -> Iterable[MovedViews]:
        """Yield the events of which the policy makes something else, those of other days by the cap among them.

        `expired`: the groups that were released since nobody decided on them.
        """


class CatalogueStore(Protocol):
    """Versioned catalogues and contracts. Nothing stored ever changes; an import makes the next version.

    What moves money that is not billed waits for a second person; the newest in force is the highest that is.
    """

    def import_catalogue(self, catalogue: Catalogue, source: str) -> Imported:
        """Store as the next version, in force or waiting for a second person. What is so already changes nothing."""

    def import_contracts(self, contracts: Contracts) -> Imported:
        """Store as the next version, in force or waiting for a second person. What is so already changes nothing."""

    def newest_catalogue(self) -> tuple[int, Catalogue] | None:
        """Return the catalogue in force, None before the first import."""

    def catalogue(self, version: int) -> Catalogue:
        """Return a stored version; version 0 is the empty catalogue."""

    def newest_contracts(self) -> tuple[int, Contracts] | None:
        """Return the contracts in force, None before the first import."""

    def is_in_force(self, kind: str, version: int) -> bool:
        """Return whether a `catalogue` or `contract` version is, or was, in force; one that only waits is not."""

    def contracts(self, version: int) -> Contracts:
        """Return a stored version."""
