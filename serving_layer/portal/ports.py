"""What the portal needs from the layers behind it, wired by jobs.

Whoever asks passes the payee that a creator is bound to; nothing of another payee comes back. A part that does not
answer raises `UnavailableError`: the page then says so and shows what it has. Calls are blocking, bounded in time
and made from a thread, unless they are coroutines.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ingestion.contract.dead_letter import DeadLetter
from ingestion.contract.periods import Period
from ingestion.contract.requests import RequestKey
from serving_layer.access.access import Caller
from serving_layer.access.sign_in import Attempt
from serving_layer.counts.live_counts import ReadLive
from serving_layer.counts.merge import ServedCount, ServedVersion
from serving_layer.portal.records import (
    AppealRow,
    DayCount,
    GroupCount,
    HoldRow,
    ListedStatement,
    NoticeRow,
    PartHealth,
    ProposalRow,
    ReconciliationRow,
    RunRow,
    ServedTotal,
    VersionRow,
    VideoOrder,
    VideoPage,
    WholeStatement,
)


class RefusedActionError(Exception):
    """What was asked for is not allowed now; the message says why and what is."""


class Credentials(Protocol):
    """Who a credential stands for."""

    async def caller_of(self, credential: str) -> Caller:
        """Return the caller of a token or an API key; raises ProblemError, saying why it does not hold."""


class EndedSessions(Protocol):
    """Which sessions somebody signed out of. Both coroutines raise ProblemError(access_unavailable)."""

    async def was_ended(self, digest: str) -> bool:
        """Whether the session with this hash of its id was ended."""

    async def end(self, digest: str, ends_at: datetime) -> None:
        """End it for every process, for as long as it would have lasted."""


class IdentityProvider(Protocol):
    """Where people sign in. Both coroutines raise ProblemError(identity_provider_unavailable)."""

    name: str
    """For people."""

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return where the browser is sent to."""

    async def id_token(self, code: str, attempt: Attempt) -> str:
        """Return the ID token for a code, checked, and made for this attempt; raises ProblemError(401) otherwise."""


class ChannelCounts(Protocol):
    """The counts of a payee's videos. Coroutines; `video_id` None stands for all of them."""

    async def name(self, payee_id: str) -> str | None:
        """Return the payee's name; None when the catalogue knows no such payee."""

    async def owns(self, payee_id: str, video_id: str) -> bool:
        """Whether the newest catalogue gives the payee a share of the video now."""

    async def served_video(self, video_id: str) -> ServedCount:
        """Return the served count of a video: settled and provisional."""

    async def served_channel(self, payee_id: str) -> ServedTotal:
        """Return the served count of all videos of a payee together."""

    async def live_video(self, video_id: str) -> ReadLive:
        """Return what reads the same again and again, for a stream."""

    async def live_channel(self, payee_id: str) -> ReadLive:
        """Return what reads the channel's count likewise; raises ProblemError where it cannot be had."""

    async def videos(
        self, payee_id: str, version: ServedVersion, *, search: str, order: VideoOrder, cursor: str | None, limit: int
    ) -> VideoPage:
        """Return a page of the payee's videos whose ids contain `search`; raises ProblemError for a foreign cursor."""

    async def days(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> Sequence[DayCount]:
        """Return the settled counts of every UTC day of a span, ascending."""

    async def groups(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period, by: str
    ) -> Sequence[GroupCount]:
        """Return the settled counts by `country` or `device`, largest first."""


class MoneyReads(Protocol):
    """Statements and what belongs to them; `payee_id` None stands for all payees."""

    def statements(self, payee_id: str | None) -> Sequence[ListedStatement]:
        """Return the newest statements, at most 500."""

    def statements_in(self, state: str) -> Sequence[ListedStatement]:
        """Return statements that stand in a state, oldest period first, at most 500."""

    def statement(self, statement_id: str) -> WholeStatement | None:
        """Return one statement; None when there is none of this id."""

    def notices(self, payee_id: str) -> Sequence[NoticeRow]:
        """Return what the payee was told, newest first."""

    def appeals(self, payee_id: str | None) -> Sequence[AppealRow]:
        """Return the appeals, newest first."""

    def holds(self) -> Sequence[HoldRow]:
        """Return what is kept back now."""

    def proposals(self) -> Sequence[ProposalRow]:
        """Return what was imported and waits for a second person, oldest first, at most 50."""


class MoneyActions(Protocol):
    """What people decide. Every call is stored with its actor and raises `RefusedActionError` when not allowed."""

    def appeal(self, statement_id: str, text: str, request: RequestKey) -> None:
        """Object to a statement, once for a request, however often it is sent."""

    def decide(self, statement_id: str, decision: str, actor: str, reason: str) -> None:
        """`approve` a statement in review (and post it), `review` one that is held, or `void` either."""


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
