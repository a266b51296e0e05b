"""What the pages show: the records that the ports answer with. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


@dataclass(frozen=True)
class ServedTotal:
    """The served counts of many videos together; the fields mean what they mean in `ServedCount`."""

    views: int
    settled_views: int
    provisional_views: int
    billable_views: int
    complete: bool


@dataclass(frozen=True)
class DaySpan:
    """UTC days [start_on, end_on)."""

    start_on: date
    end_on: date


@dataclass(frozen=True)
class DayCount:
    """Settled counts of one UTC day, whole or so far."""

    day: date
    views: int
    billable_views: int


@dataclass(frozen=True)
class GroupCount:
    """Settled counts of one country or device."""

    name: str
    views: int
    billable_views: int


@dataclass(frozen=True)
class VideoRow:
    """Settled counts of one video in a list."""

    video_id: str
    views: int
    billable_views: int


@dataclass(frozen=True)
class Page:
    """A part of a longer list; `next_cursor` is opaque, None at the end."""

    rows: tuple[VideoRow, ...]
    next_cursor: str | None


class VideoOrder(StrEnum):
    """How a list of videos is sorted: largest first, or by id."""

    VIEWS = "views"
    BILLABLE = "billable_views"
    ID = "video_id"


@dataclass(frozen=True)
class StatementRow:
    """A statement in a list."""

    statement_id: str
    payee_id: str
    payee_name: str
    period: str
    restatement: int
    state: str
    currency: str
    payable_micros: int
    billable_views: int
    reason: str = ""
    """Why it is in this state, in words."""
    moved_at: datetime | None = None
    """When it came into this state."""


@dataclass(frozen=True)
class ChainStep:
    """One step from gross views to what is payable: a number of views or an amount, added or taken away."""

    label: str
    amount: int
    unit: str
    """`views`, or `micros`."""
    sign: int
    """-1 takes away, 0 is the sum so far."""


@dataclass(frozen=True)
class StatementLine:
    """One rated line."""

    video_id: str
    what: str
    """`views`, or `ads: TYPE`."""
    heading: str
    rates_from_on: date
    tier: int | None
    share_ppm: int
    quantity: int
    rate_per_thousand_micros: int
    amount_micros: int
    evidence_root: str


@dataclass(frozen=True)
class Transition:
    """When a statement came into a state, by whom, why."""

    state: str
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class StatementPage:
    """A whole statement."""

    row: StatementRow
    chain: tuple[ChainStep, ...]
    lines: tuple[StatementLine, ...]
    transitions: tuple[Transition, ...]
    versions: Mapping[str, int]
    """Which versions it was calculated from: batch, catalogue, contract."""
    carried_nanomicros: tuple[int, int]
    """What is left below a micro: carried in from the statement before, carried on to the next."""


@dataclass(frozen=True)
class Notice:
    """Something a payee is told."""

    at: datetime
    text: str
    statement_id: str | None = None


@dataclass(frozen=True)
class Appeal:
    """An objection to a statement and what became of it."""

    appeal_id: str
    statement_id: str
    payee_id: str
    period: str
    state: str
    text: str
    opened_at: datetime
    answer: str = ""


@dataclass(frozen=True)
class EventAnswer:
    """What became of one event, in words."""

    event_id: str
    state: str
    sentence: str
    video_id: str | None = None
    statement_id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRow:
    """One batch run."""

    run_id: str
    kind: str
    state: str
    version: int | None
    started_at: datetime
    ended_at: datetime | None
    detail: Mapping[str, object]


@dataclass(frozen=True)
class VersionRow:
    """One published version."""

    version: int
    run_id: str
    published_at: datetime
    settled_until: datetime
    offsets: tuple[int, ...]
    row_counts: Mapping[str, int]
    content_hashes: Mapping[str, str]
    is_current: bool


@dataclass(frozen=True)
class ReconciliationRow:
    """One comparison of raw, batch, served and ledger."""

    at: datetime
    version: int
    passed: bool
    sentence: str


@dataclass(frozen=True)
class DeadLetter:
    """A rejected message and why."""

    partition: int
    offset: int
    appended_at: datetime
    event_id: str | None
    reasons: tuple[str, ...]
    text: str
    """The message as text, cut to a readable length."""


@dataclass(frozen=True)
class PartHealth:
    """Whether one part answers."""

    name: str
    is_well: bool
    sentence: str
