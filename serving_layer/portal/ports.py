"""The ports of the portal to the other layers, wired by jobs.

The caller passes the payee that a creator is bound to; no other payee's data is returned. A part that does not
answer raises `UnavailableError`: the page then says so and shows the rest. Calls are blocking, bounded in time
and made from a thread, unless they are coroutines.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ingestion.contract.dead_letter import DeadLetter
from ingestion.contract.periods import Period
from ingestion.contract.requests import RequestKey
from serving_layer.access.access import Caller
from serving_layer.access.sign_in import Attempt
from serving_layer.counts.live_counts import ReadLive
from serving_layer.counts.merge import ServedCount, ServedVersion
from serving_layer.history.invalid import InvalidSum
from serving_layer.history.series import CompletionSum
from serving_layer.money.todays_estimate import TodaysEstimate
from serving_layer.portal.account_records import OwnAccount
from serving_layer.portal.earnings_records import EstimateRow, PayeeMoney
from serving_layer.portal.records import (
    AppealRow,
    DayCount,
    GroupCount,
    HoldRow,
    ListedStatement,
    NoticeRow,
    PartHealth,
    PartitionRow,
    ProposalRow,
    ReconciliationRow,
    RunRow,
    ServedTotal,
    Step,
    VersionRow,
    VideoOrder,
    VideoPage,
    VideoRow,
    Viewers,
    WholeStatement,
)
from serving_layer.portal.year_records import YearInCurrency


class RefusedActionError(Exception):
    """The requested action is not allowed now; the message gives the reason and what is allowed."""


class Credentials(Protocol):
    """Identifies the caller of a credential."""

    async def caller_of(self, credential: str) -> Caller:
        """Return the caller of a token or an API key; raise ProblemError with the reason if it is not valid."""


class EndedSessions(Protocol):
    """Knows which sessions were signed out. Both coroutines raise ProblemError(access_unavailable)."""

    async def was_ended(self, digest: str) -> bool:
        """Return whether the session with this hash of its id was ended."""

    async def end(self, digest: str, ends_at: datetime) -> None:
        """End it for every process, until it would have expired."""


class IdentityProvider(Protocol):
    """The provider where people sign in. Both coroutines raise ProblemError(identity_provider_unavailable)."""

    name: str
    """The provider's name for people."""

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return the URL that the browser is sent to."""

    async def id_token(self, code: str, attempt: Attempt) -> str:
        """Return the ID token for a code, checked, and made for this attempt; raise ProblemError(401) otherwise."""


class ChannelCounts(Protocol):
    """The counts of a payee's videos. Coroutines; `video_id` None means all of them."""

    async def name(self, payee_id: str) -> str | None:
        """Return the payee's name; None if the catalogue does not have the payee."""

    async def owns(self, payee_id: str, video_id: str) -> bool:
        """Return whether the newest catalogue gives the payee a share of the video now."""

    async def invalid(self, payee_id: str, version: ServedVersion, span: Period) -> Sequence[InvalidSum]:
        """Return the invalid traffic of a payee's videos by class, on the settled days of a span."""

    async def title(self, video_id: str) -> str | None:
        """Return a video's title in the newest catalogue; None if it has none."""

    async def served_video(self, video_id: str) -> ServedCount:
        """Return the served count of a video: settled and provisional."""

    async def served_channel(self, payee_id: str) -> ServedTotal:
        """Return the served count of all videos of a payee together."""

    async def today(self, payee_id: str) -> TodaysEstimate | None:
        """Return the estimate of today; None if the payee is not in the catalogue, or has too many videos."""

    async def live_video(self, video_id: str) -> ReadLive:
        """Return a function that reads the count again and again, for a stream."""

    async def live_channel(self, payee_id: str) -> ReadLive:
        """Return such a function for the channel's count; raise ProblemError if it cannot be read."""

    async def videos(
        self, payee_id: str, version: ServedVersion, *, search: str, order: VideoOrder, cursor: str | None, limit: int
    ) -> VideoPage:
        """Return a page of the payee's videos whose ids or titles contain `search`, whatever its case.

        Raises:
            ProblemError: the cursor is not one of this list.
        """

    async def days(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> Sequence[DayCount]:
        """Return the settled counts of every UTC day of a span, ascending."""

    async def viewers(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> Viewers | None:
        """Return the viewers of a span and of each of its UTC days, ascending; None if the version counted none."""

    async def completion(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> CompletionSum:
        """Return how far the viewers of a span got."""

    async def top(self, payee_id: str, version: ServedVersion, span: Period, limit: int) -> Sequence[VideoRow]:
        """Return the payee's videos with the most settled views in a span, best first."""

    async def groups(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period, by: str
    ) -> Sequence[GroupCount]:
        """Return the settled counts by `country` or `device`, largest first."""


class MoneyReads(Protocol):
    """Statements and their parts; `payee_id` None means all payees."""

    def statements(self, payee_id: str | None) -> Sequence[ListedStatement]:
        """Return the newest statements, at most 500."""

    def statements_in(self, state: str) -> Sequence[ListedStatement]:
        """Return statements in a state, oldest period first, at most 500."""

    def statement(self, statement_id: str) -> WholeStatement | None:
        """Return one statement; None if there is no such statement."""

    def bundle(self, statement_id: str) -> bytes | None:
        """Return what checks a statement, as JSON for `viewledger-verify`; None if there is no such statement."""

    def steps(self, statement_ids: Sequence[str]) -> Mapping[str, Sequence[Step]]:
        """Return the steps of each statement, oldest first."""

    def notices(self, payee_id: str) -> Sequence[NoticeRow]:
        """Return the payee's notices, newest first."""

    def appeals(self, payee_id: str | None) -> Sequence[AppealRow]:
        """Return the appeals, newest first."""

    def holds(self) -> Sequence[HoldRow]:
        """Return the present holds."""

    def proposals(self) -> Sequence[ProposalRow]:
        """Return the imports that wait for a second person, oldest first, at most 50."""


class EarningsReads(Protocol):
    """A payee's estimates, balances and payments."""

    def estimates(self, payee_id: str) -> Sequence[EstimateRow]:
        """Return the estimates of the open periods, newest first."""

    def money(self, payee_id: str) -> PayeeMoney:
        """Return the balances, the newest payments and the account."""

    def account(self, payee_id: str) -> OwnAccount:
        """Return where the payee is paid and taxed, masked."""

    def years(self, payee_id: str) -> Sequence[int]:
        """Return the years (UTC) in which something was posted for the payee, ascending."""

    def year(self, payee_id: str, year: int) -> Sequence[YearInCurrency]:
        """Return a calendar year of the payee's account, by currency."""


class MoneyActions(Protocol):
    """The decisions of people. Every call is stored with its actor, or raises `RefusedActionError`."""

    def appeal(self, statement_id: str, text: str, request: RequestKey) -> None:
        """Object to a statement, once for a request, even if it is repeated."""

    def ask_for_account(self, payee_id: str, holder_name: str, iban: str, email: str | None, actor: str) -> None:
        """Ask for another account or address of the payee; it waits until a second person approves it.

        `email` is where notices go; None: where they go now.
        """

    def decide(self, statement_id: str, decision: str, actor: str, reason: str) -> None:
        """`approve` a statement in review (and post it), `review` one that is held, or `void` either."""


class OperatorReads(Protocol):
    """Reads the state of the pipeline, and replays messages."""

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
        """Send a rejected message again under its own id, return True when it is sent; raise RefusedActionError."""

    def partitions(self) -> Sequence[PartitionRow]:
        """Return how far each partition is counted; raise UnavailableError without Kafka, Redis or PostgreSQL."""

    def health(self) -> Sequence[PartHealth]:
        """Check whether each part answers, all within a few seconds; return those that fail first, then warnings."""
