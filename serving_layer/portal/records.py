"""The records that the portal's ports answer with and the pages show. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from ingestion.contract.periods import Period
from serving_layer.history.series import average_duration
from serving_layer.money.statements import StatementDetail, StatementSummary


@dataclass(frozen=True)
class ServedTotal:
    """The served counts of many videos together; the fields have the same meaning as in `ServedCount`."""

    views: int
    settled_views: int
    provisional_views: int
    billable_views: int
    complete: bool


@dataclass(frozen=True)
class DayCount:
    """Settled counts of one UTC day, complete or so far."""

    day: date
    views: int
    billable_views: int
    watched_seconds: int | None
    """None at a version of a release that did not sum them."""

    @property
    def average_view_duration(self) -> float | None:
        """Return the seconds that an average view lasted; None without views, and where not known."""
        return average_duration(self.views, self.watched_seconds)


@dataclass(frozen=True)
class WatchTime:
    """How long the settled views of some days were watched, in seconds; None where that is not known."""

    watched_seconds: int | None
    average_view_duration: float | None

    @classmethod
    def of(cls, days: Sequence[DayCount]) -> "WatchTime":
        """Return that of all these days together."""
        known = [each.watched_seconds for each in days if each.watched_seconds is not None]
        total = sum(known) if len(known) == len(days) else None
        return cls(total, average_duration(sum(each.views for each in days), total))


@dataclass(frozen=True)
class DayViewers:
    """The viewers of one UTC day, complete or so far."""

    day: date
    unique_viewers: int


@dataclass(frozen=True)
class Viewers:
    """The different viewers of the settled views of some days, together and day by day."""

    unique_viewers: int
    unknown_viewers: int
    """Of them, those whose ids were removed: each is counted once for every video and day."""
    by_day: tuple[DayViewers, ...]


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
    title: str | None = None
    """None if the catalogue has none."""


@dataclass(frozen=True)
class VideoPage:
    """A part of a longer list; `next_cursor` is opaque, None at the end."""

    rows: tuple[VideoRow, ...]
    next_cursor: str | None


class VideoOrder(StrEnum):
    """The order of a list of videos: largest first, or by id."""

    VIEWS = "views"
    BILLABLE = "billable_views"
    ID = "video_id"


@dataclass(frozen=True)
class Step:
    """When a statement entered a state, by whom, and why."""

    state: str
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class ListedStatement:
    """A statement in a list, with its newest step."""

    summary: StatementSummary
    payee_name: str
    newest_step: Step
    before: "EarnedBefore | None" = None
    """What the payee earned before; read where statements wait for a decision."""


@dataclass(frozen=True)
class EarnedBefore:
    """What the newest posted statement before another one came to: of the same period, or of one before."""

    period: Period
    earned_micros: int


@dataclass(frozen=True)
class WholeStatement:
    """A statement with its lines and all its steps, oldest first."""

    detail: StatementDetail
    payee_name: str
    steps: tuple[Step, ...]
    successor: str | None = None
    """The one that is in the ledger in its place."""
    predecessor: str | None = None
    """The last one of the same days that was in the ledger before it."""


@dataclass(frozen=True)
class NoticeRow:
    """A notice to a payee."""

    at: datetime
    text: str
    statement_id: str


@dataclass(frozen=True)
class AppealRow:
    """An objection to a statement and its outcome; `answer` is empty until it is decided."""

    appeal_id: str
    statement_id: str
    payee_id: str
    state: str
    text: str
    opened_at: datetime
    answer: str


@dataclass(frozen=True)
class HoldRow:
    """An amount that is on hold: in no payout until somebody decides or its time is over."""

    hold_id: str
    payee_id: str
    currency: str
    amount_micros: int
    state: str
    reason: str
    expires_at: datetime


@dataclass(frozen=True)
class ProposalRow:
    """A catalogue, contracts or a bank account that wait for a second person."""

    proposal_id: str
    actor: str
    proposed_at: datetime
    differences: tuple[str, ...]
    """The changes it would make, in sentences: the first of them."""
    are_all: bool


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
    expired_at: datetime | None = None
    """None while the version is kept."""
    label: str | None = None
    """The name that a person gave to it."""


@dataclass(frozen=True)
class ReconciliationRow:
    """One comparison of raw, batch, served and ledger."""

    at: datetime
    version: int
    passed: bool
    sentence: str


@dataclass(frozen=True)
class PartitionRow:
    """How far the speed layer has counted one partition."""

    partition: int
    lag: int | None
    """Events on the log that are not counted; None if no process has begun the partition."""
    covered_ago_seconds: float | None
    """How long ago everything on the log was counted; None if that is unknown."""
    state: str
    """`counted`, `repairing` or `behind`."""

    @property
    def known_lag(self) -> int:
        """Return the events behind, as far as they are known."""
        return self.lag or 0


@dataclass(frozen=True)
class PartHealth:
    """The health of one part."""

    name: str
    state: str
    """`well`; `warning`: it works, but not as it should, or could not be checked; or `fails`."""
    sentence: str
