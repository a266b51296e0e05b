"""The records that a published version hands to billing: the batch layer makes them, billing reads them.

Days are UTC. Countries are ISO codes, `ZZ` if none is known. An `outcome` is a verdict, for counted events their
billability, for rejected ones the reason, and for invalid traffic its class: `billable`, `own_view`, `duplicate`,
`rejected:<code>`, `invalid_traffic:<class>` and so on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec


class OwnedDays(NamedTuple):
    """A payee's share of a video on days [from_on, to_on) of a period, and the place of the payee's contract.

    On days on which a video of the catalogue has no owner, the whole of it is in suspense.
    """

    video_id: str
    payee_id: str
    share_ppm: int
    from_on: date
    to_on: date
    contract_index: int
    """`CardDays.contract_index`, or -1 if no contract covers the payee."""
    length_seconds: int | None


class CardDays(NamedTuple):
    """A rate card that is in force on days [from_on, to_on) of a period."""

    contract_index: int
    effective_from_on: date
    from_on: date
    to_on: date
    minimum_view_seconds: int | None
    countries: tuple[str, ...]
    """The countries with a rate of their own; all others use `*`."""


class SettledPiece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of a group: events of one payee and video that share ownership interval, card, heading and policy.

    A group can come in several pieces, one after the other; its counts are their sums and its ids are in order. It is a
    struct and no dataclass because Spark's workers pack millions of them.
    """

    payee_id: str
    """The owner of the share of the views."""
    video_id: str
    owned_from_on: date
    """First day of the ownership interval within the period."""
    effective_from_on: date
    """First day of the rate card."""
    country: str
    """The heading: a country with a rate of its own on the card, or `*`."""
    policy_version: int
    """The counting policy the events were judged by."""
    owned_to_on: date
    """The day after the ownership interval's last."""
    share_ppm: int
    """The payee's share in it."""
    outcomes: dict[str, int]
    """Outcome → events."""
    ads: dict[str, int]
    """Ad type → ad views during the billable events."""
    event_ids: list[str]
    """The billable events, ascending byte by byte; a UUID each, lower case with hyphens."""


class TrafficState(StrEnum):
    """What becomes of an event by the rules of traffic and all others."""

    PAID = "paid"
    UNDER_REVIEW = "under_review"
    WITHHELD = "withheld"
    """It is invalid traffic."""
    UNPAID = "unpaid"
    """It is a view that is not billable for another reason."""


class MovedViews(NamedTuple):
    """Events of a video, country and day of which a proposed policy of traffic would make something else."""

    event_day: date
    now: str
    proposed: str
    """`TrafficState`; never equal to `now`."""
    decided: str
    """`released` or `confirmed` where a person decided on the events; else empty."""
    video_id: str
    country: str
    event_count: int


@dataclass(frozen=True)
class UnplacedViews:
    """Billable views of a video that cannot be paid: it has no owner on their day, or no card is in force."""

    video_id: str
    payee_id: str | None
    """The payee whose share has no card; None if the video has no owner."""
    billable_views: int
    first_on: date
    """Their first event day."""


@dataclass(frozen=True)
class ReviewedEvent:
    """An event that is not counted by itself; it stays visible until a person decides on it."""

    partition: int
    offset: int
    event_id: str
    video_id: str
    happened_at: datetime
    """The event's own timestamp."""
    appended_at: datetime
    """When the log received it."""


@dataclass(frozen=True)
class Conflict(ReviewedEvent):
    """An event whose id was used before with another content."""

    first_place: str
    """The place of the event that it was compared with: `partition:offset`."""
    differing: Sequence[str]
    """The names of what the two differ in; empty if that is not kept."""


@dataclass(frozen=True)
class SettledEvent:
    """One event of the log and its outcome, as a bundle shows it."""

    video_id: str
    event_id: str | None
    """Canonical text; None if a rejected event has none."""
    partition: int
    offset: int
    event_day: date
    """The day it is filed under."""
    country: str
    outcome: str
    view_duration: int | None
    """Seconds."""
    ad_types: Sequence[str]
    """The type of each ad view."""
    policy_version: int | None
    """The counting policy it was judged by; None for events that no policy judges."""
    message_sha256: str | None
    """Of the message's value as the archive has it, 64 hex digits; None if the archive no longer has it."""


@dataclass(frozen=True)
class PublishedCount:
    """The published counts of one video, day and country."""

    video_id: str
    event_day: date
    country: str
    views: int
    """Counted events."""
    billable_views: int
    """Those of them that are billable under the policy."""
    policy_version: int


@dataclass(frozen=True)
class BillableEvent:
    """A view that is billable under the counting policy."""

    video_id: str
    event_id: str
    """Canonical text."""
    event_day: date
    country: str
    view_duration: int
    """Seconds."""
    policy_version: int


@dataclass(frozen=True)
class JudgedEvent:
    """One message of the log with an event's id, and its verdict."""

    video_id: str | None
    """None if a rejected event names none."""
    partition: int
    offset: int
    received_at: str
    """ISO 8601, UTC."""
    event_day: date
    """The day it belongs to."""
    country: str
    verdict: str
    """`counted`, `duplicate`, `conflict`, `rejected`, `late_review` or `invalid_traffic`."""
    outcome: str
    reasons: Sequence[str]
    """Why it was rejected or is invalid traffic: a sentence each."""
    view_duration: int | None
    """Seconds."""
    policy_version: int | None
    """The policy it was judged by."""


@dataclass(frozen=True)
class BilledVideo:
    """The views of one video that were billed from one version for the days [start_on, end_on) of one owner.

    The one record in the other direction: the batch layer compares the ledger with what it published.
    """

    version: int
    start_on: date
    end_on: date
    video_id: str | None
    """None: all videos of a period together, including ids that are not in the catalogue."""
    views: int
    may_be_fewer: bool = False
    """Whether the contract excludes views that the counting policy calls billable, or has no rate for some."""
