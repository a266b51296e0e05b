"""The records of the pages about groups of traffic under review. Pure."""

from dataclasses import dataclass
from datetime import date, datetime

from ingestion.contract.allowed_traffic import AllowedInForce
from ingestion.contract.traffic_evidence import GroupEvidence
from ingestion.contract.traffic_reasons import InvalidClass


@dataclass(frozen=True)
class GroupRow:
    """A group that nobody has decided on. What only a night counts is None until it has."""

    name: str
    day: date
    rule: str
    """The code of the reason."""
    payee_id: str
    """Empty for videos that nobody owns."""
    payee_name: str
    event_count: int
    released_at: datetime | None
    """When it is released if nobody decides; None: the next run begins the 14 days."""
    waiting_count: int | None
    """The views that would be billable."""
    video_count: int | None
    estimate_micros: int | None
    """What all owners would earn by them."""
    currency: str | None
    counted_at: datetime | None
    batch_version: int | None


@dataclass(frozen=True)
class DecidedRow:
    """A decision about a group."""

    name: str
    outcome: str
    actor: str
    reason: str
    decided_at: datetime
    is_expiry: bool
    version: int | None
    """The first version that applies it; None: none yet."""


@dataclass(frozen=True)
class GroupDetail:
    """A group with what a person looks at before they decide."""

    row: GroupRow
    points_most: int | None
    """What the reasons of its worst event weigh together."""
    evidence: GroupEvidence | None
    decided_before: tuple[DecidedRow, ...]
    """What was decided about groups of the same payee, the newest first."""
    appeals: "tuple[TrafficAppealRow, ...]" = ()
    """What the payee objects to in the class of the reason on the day."""
    allowed: tuple[AllowedInForce, ...] = ()
    """Whom the policy that judged it allows on its day."""


@dataclass(frozen=True)
class ReviewedViews:
    """How many views of a payee are under review, of a day and class."""

    day: date
    invalid_class: InvalidClass
    events: int


@dataclass(frozen=True)
class TrafficAppealRow:
    """An objection to what is not counted of a day and class."""

    appeal_id: str
    payee_id: str
    day: date
    invalid_class: InvalidClass
    text: str
    received_at: datetime
    state: str
    """`received`, `answered`, or what was decided on a group: `released` or `confirmed`."""
    answer: str
    """Empty until it is answered."""
