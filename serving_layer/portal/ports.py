"""What the portal needs from the layers behind it, wired by jobs.

Every call is blocking, bounded in time and made from a thread, unless it says otherwise; none sees more than the payee
it is asked for. A part that does not answer raises `PartUnavailableError`: the page then says so and shows what it has.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from serving_layer.access import Caller
from serving_layer.merge import ServedCount, ServedVersion
from serving_layer.portal.records import (
    Appeal,
    DayCount,
    DaySpan,
    DeadLetter,
    EventAnswer,
    GroupCount,
    Notice,
    Page,
    PartHealth,
    ReconciliationRow,
    RunRow,
    ServedTotal,
    StatementPage,
    StatementRow,
    VersionRow,
    VideoOrder,
)


class PartUnavailableError(Exception):
    """A part behind the page does not answer in time; `part` is its name for people."""

    def __init__(self, part: str) -> None:
        super().__init__(f"{part} does not answer")
        self.part = part


class RefusedActionError(Exception):
    """What was asked for is not allowed now; the message says why and what is."""


class Credentials(Protocol):
    """Who a credential stands for."""

    async def caller_of(self, credential: str) -> Caller:
        """Return the caller of a token or an API key; raises ProblemError, saying why it does not hold."""


class ServedReads(Protocol):
    """Served counts: settled + provisional. Asked in the event loop, bounded in time."""

    async def video(self, video_id: str) -> ServedCount:
        """Return the served count of a video."""

    async def channel(self, payee_id: str) -> ServedTotal:
        """Return the served count of all videos of a payee together."""


class ChannelReads(Protocol):
    """The settled counts of a payee's videos at a version."""

    def name(self, payee_id: str) -> str | None:
        """Return the payee's name; None when the catalogue knows no such payee."""

    def owns(self, payee_id: str, video_id: str) -> bool:
        """Whether the newest catalogue gives the payee a share of the video."""

    def videos(
        self, payee_id: str, version: ServedVersion, *, search: str, order: VideoOrder, cursor: str | None, limit: int
    ) -> Page:
        """Return a page of the payee's videos whose ids contain `search`; raises ValueError for a foreign cursor."""

    def days(self, payee_id: str, version: ServedVersion, video_id: str | None, span: DaySpan) -> Sequence[DayCount]:
        """Return the counts of one video, or of all, by UTC day with views, ascending."""

    def groups(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: DaySpan, by: str
    ) -> Sequence[GroupCount]:
        """Return the counts by `country` or `device`, largest first."""


class MoneyReads(Protocol):
    """Statements and what belongs to them."""

    def statements(self, payee_id: str | None, states: Sequence[str] = ()) -> Sequence[StatementRow]:
        """Return the newest first, of one payee or of all (at most 500); of all states, or of these."""

    def statement(self, statement_id: str) -> StatementPage | None:
        """Return one statement; None when there is none of this id."""

    def notices(self, payee_id: str) -> Sequence[Notice]:
        """Return what the payee was told, newest first."""

    def appeals(self, payee_id: str | None) -> Sequence[Appeal]:
        """Return the appeals of one payee or of all, newest first."""


class MoneyActions(Protocol):
    """What people decide. Every call is stored with its actor, and raises `RefusedActionError` when not allowed."""

    def appeal(self, statement_id: str, payee_id: str, text: str) -> None:
        """Object to a statement."""

    def approve(self, statement_id: str, actor: str) -> None:
        """Approve a statement that waits for it; never the one who ran it."""

    def release(self, statement_id: str, actor: str, reason: str) -> None:
        """Release what is held."""

    def void(self, statement_id: str, actor: str, reason: str) -> None:
        """Void what is held or waits."""


class EventReads(Protocol):
    """What became of single events."""

    def answer(self, event_id: str, payee_id: str | None) -> EventAnswer:
        """Return what became of an event; of another payee's video it says no more than of an unknown one."""

    def of_statement(self, statement_id: str) -> Iterator[bytes]:
        """Yield the events of a statement as lines of JSON."""


class OperatorReads(Protocol):
    """What keeps the pipeline running."""

    def runs(self) -> Sequence[RunRow]:
        """Return the newest batch runs, at most 100."""

    def run(self, run_id: str) -> RunRow | None:
        """Return one run."""

    def versions(self) -> Sequence[VersionRow]:
        """Return the newest versions, at most 100."""

    def reconciliations(self) -> Sequence[ReconciliationRow]:
        """Return the newest comparisons, at most 100."""

    def dead_letters(self) -> Sequence[DeadLetter]:
        """Return the newest dead letters, at most 100."""

    def replay(self, partition: int, offset: int, actor: str) -> bool:
        """Send a rejected message again under its own id, True when it is sent; raises RefusedActionError."""

    def health(self) -> Sequence[PartHealth]:
        """Ask each part whether it answers, all within a few seconds."""
