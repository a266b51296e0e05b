"""The portal's ports in memory, with a creator whose numbers add up; parts can be taken away."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta

import msgspec
from starlette.requests import Request

from ingestion.contract.dead_letter import DeadLetter
from ingestion.contract.periods import Period
from ingestion.contract.requests import RequestKey
from ingestion.contract.traffic_reasons import InvalidClass
from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.access.access import GRANTS, Caller, Role, unauthorized
from serving_layer.access.http_access import Guard
from serving_layer.access.limits_requests import RequestLimits
from serving_layer.counts.live_counts import LiveCount, ReadLive, live_channel, live_video
from serving_layer.counts.merge import ServedCount, ServedVersion
from serving_layer.history.history_reader import settled_unavailable
from serving_layer.history.invalid import InvalidSum
from serving_layer.history.series import CompletionSum
from serving_layer.money.proofs import EventCopy, EventPart, EventPayment, PaidEvent, PaymentStatus, ProvenStatement
from serving_layer.money.statements import ChainLink, StatementDetail, StatementLine
from serving_layer.money.todays_estimate import TodaysEstimate
from serving_layer.portal.account_records import AccountRow, OwnAccount
from serving_layer.portal.earnings_records import BalanceRow, EstimateRow, PayeeMoney, PayoutRow
from serving_layer.portal.http_session import Sessions
from serving_layer.portal.http_visit import Portal
from serving_layer.portal.ports import Credentials, EndedSessions, IdentityProvider, RefusedActionError
from serving_layer.portal.records import (
    AppealRow,
    DayCount,
    DayViewers,
    EarnedBefore,
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
from serving_layer.portal.year_records import YearInCurrency, YearRow
from serving_layer.problems.problems import refused
from serving_layer.request.parameters import is_number
from serving_layer.routes.http_live import LiveLimits, LiveStreams
from serving_layer.routes.http_proofs import Proofs
from tests.portal_data_fakes import FakeData
from tests.portal_finance_fakes import FakeFinance
from tests.portal_traffic_fakes import FakeReviews

NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
SETTLED_UNTIL = datetime(2026, 11, 25, 9, tzinfo=UTC)
VERSION = ServedVersion(7, (100,) * 12, SETTLED_UNTIL)
NO_MONEY = PayeeMoney((), (), None)


def _caller(name: str, role: Role, payee_id: str | None = None) -> Caller:
    return Caller(f"{name}@example.org", role, GRANTS[role], payee_id)


CALLERS = {
    "ann": _caller("ann", Role.CREATOR, "ann"),
    "bob": _caller("bob", Role.CREATOR, "bob"),
    "fay": _caller("fay", Role.FINANCE),
    "aud": _caller("aud", Role.AUDITOR),
    "olga": _caller("olga", Role.OPERATOR),
    "rita": _caller("rita", Role.REVIEWER),
}
"""Credential → caller: here a name is its own credential."""
VIDEOS = {"ann": [f"-walk_{index:02d}" for index in range(60)], "bob": ["_bobs"]}
TITLES = {"-walk_01": "A walk <b>by the sea</b>", "-walk_02": "=1+1 street food"}
"""Titles that try to be markup and a formula."""
EVENT = "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"
DISCLAIMER = "<script>alert('x')</script>"
"""A payee's name that tries to be markup."""


class FakeCredentials:
    async def caller_of(self, credential: str) -> Caller:
        if credential == "unchecked":
            raise refused("access_unavailable", "PostgreSQL does not answer")
        if credential not in CALLERS:
            raise unauthorized("token_expired", "the token has expired; sign in again")
        return CALLERS[credential]


class FakeEnded:
    """The port `EndedSessions` in memory, shared by as many portals as a test wants."""

    def __init__(self) -> None:
        self.digests: dict[str, datetime] = {}
        self.is_away = False

    async def was_ended(self, digest: str) -> bool:
        if self.is_away:
            raise refused("access_unavailable", "PostgreSQL does not answer")
        return digest in self.digests

    async def end(self, digest: str, ends_at: datetime) -> None:
        await self.was_ended(digest)
        self.digests[digest] = ends_at


class FakePorts:
    """All ports of the pages. `away` names the parts that do not answer."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.reviews, self.data = FakeReviews(self.away), FakeData(self.away)
        self.rows = {_id(who): _statement(who, _id(who)) for who in ("ann", "bob")}
        self.rows[WAITING] = _in_state(_statement("ann", WAITING), "in_review", "above the limit")
        self.missing = Part.REDIS
        """The part by which an incomplete count misses views."""
        self.is_unsummed = False
        """Whether the version is of a release that summed no watched seconds."""
        self.is_clean = False
        """Whether no traffic is invalid."""
        self.since = 0
        """Views since the page was made, one more whenever a stream reads."""
        self.requests: dict[str, str] = {}
        self.opened: list[AppealRow] = []
        self.replayed: list[tuple[int, int, str]] = []
        self.todays: dict[str, TodaysEstimate] = {}
        """Payee → the estimate of today."""
        self.open_periods: list[EstimateRow] = []
        self.accounts: dict[str, list[AccountRow]] = {}
        self.years_money: dict[int, list[YearInCurrency]] = {}
        """Year → ann's account in it."""
        self.bundles: dict[str, bytes] = {}
        """Statement → what checks it."""
        self.paid_events = [PaidEvent(1, "-walk_01", EVENT, (0,))]
        self.paid = NO_MONEY

    def add_history(self) -> None:
        """Give ann a paid September, an October that was corrected after it was paid, an estimate and payouts."""
        october, september = self.rows[ANNS], _of_september()
        corrected = replace(
            october,
            detail=msgspec.structs.replace(
                october.detail,
                statement_id=CORRECTED,
                restatement_number=1,
                supersedes=ANNS,
                earned_micros=38_413_333,
                payable_micros=34_572_000,
                tax_micros=3_841_333,
            ),
            predecessor=ANNS,
        )
        paid = replace(_in_state(_in_state(october, "paid", ""), "superseded", "restated"), successor=CORRECTED)
        others = {each: whole for each, whole in self.rows.items() if each != ANNS}
        self.rows = {CORRECTED: corrected, ANNS: paid, SEPTEMBER: _in_state(september, "paid", ""), **others}
        self.open_periods = [EstimateRow(date(2026, 11, 1), date(2026, 12, 1), "USD", 12_345_678, 4_200, NOW)]
        parts = {"payout": -49_692_000, "payout_returned": 20_250_000, "reversal": -26_442_000, "statement": 81_264_000}
        payouts = (
            ("e", "VL-3", 3_000_000, date(2026, 11, 27), "DE…3000", "instructed", None),
            ("d", "VL-2", 26_442_000, date(2026, 11, 5), "DE…3000", "settled", date(2026, 11, 6)),
            ("c", "VL-1", 20_250_000, date(2026, 10, 5), "FR…0185", "returned", None),
        )
        self.years_money = _two_years()
        self.accounts["ann"] = [
            AccountRow("FR…0185", "Ann Apple", NOW, "refused", NOW, "the name is another"),
            AccountRow("DE…3000", "Ann Apple", NOW - timedelta(days=90), "in_force", NOW - timedelta(days=89), ""),
        ]
        self.paid = PayeeMoney(
            (BalanceRow("USD", tuple(parts.items()), 2_500_000),),
            tuple(
                PayoutRow(item * 32, batch, "USD", micros, day, account, state, "written", booked_on)
                for item, batch, micros, day, account, state, booked_on in payouts
            ),
            "DE…3000",
        )

    def change(self, statement_id: str, /, **fields: object) -> None:
        """Give a statement other values."""
        whole = self.rows[statement_id]
        self.rows[statement_id] = replace(whole, detail=msgspec.structs.replace(whole.detail, **fields))

    def recount(self, statement_id: str, *states: str) -> None:
        """Give a statement another history, which ends in its state."""
        self.change(statement_id, state=states[-1])
        steps = tuple(Step(state, "run", "", NOW) for state in states)
        self.rows[statement_id] = replace(self.rows[statement_id], steps=steps)

    def _needs(self, part: Part) -> None:
        if part in self.away:
            raise UnavailableError(part, "gone")

    def _needs_postgres(self) -> None:
        if Part.POSTGRES in self.away:
            raise settled_unavailable()

    async def served_video(self, video_id: str) -> ServedCount:
        self._needs_postgres()
        return ServedCount(
            video_id, 1_240, 1_200, 40, 900, 7, SETTLED_UNTIL, NOW, complete=Part.REDIS not in self.away, known=True
        )

    async def served_channel(self, payee_id: str) -> ServedTotal:
        self._needs_postgres()
        return ServedTotal(72_400, 72_000, 400, 54_000, complete=Part.REDIS not in self.away)

    async def today(self, payee_id: str) -> TodaysEstimate | None:
        self._needs_postgres()
        return self.todays.get(payee_id)

    async def live_video(self, video_id: str) -> ReadLive:
        self._needs_postgres()

        async def read() -> LiveCount:
            return live_video(await self.served_video(video_id), sees_billable=True)

        return read

    async def live_channel(self, payee_id: str) -> ReadLive:
        self._needs_postgres()

        async def read() -> LiveCount:
            self.since += 1
            body = {**asdict(await self.served_channel(payee_id)), "version": 7, "videos": 60}
            body["views"] += self.since
            body["provisional_views"] += self.since
            return live_channel(body, 1)

        return read

    async def name(self, payee_id: str) -> str | None:
        self._needs_postgres()
        return {"ann": "Ann Ápple", "bob": DISCLAIMER}.get(payee_id)

    async def owns(self, payee_id: str, video_id: str) -> bool:
        self._needs_postgres()
        return video_id in VIDEOS[payee_id]

    async def title(self, video_id: str) -> str | None:
        self._needs_postgres()
        return TITLES.get(video_id)

    async def videos(
        self, payee_id: str, version: ServedVersion, *, search: str, order: VideoOrder, cursor: str | None, limit: int
    ) -> VideoPage:
        self._needs_postgres()
        if cursor and not is_number(cursor):
            raise refused("cursor_invalid", "the cursor was not made here; begin at the first page")
        start = int(cursor or 0)
        found = [each for each in VIDEOS[payee_id] if search in each or search in TITLES.get(each, "")]
        rows = tuple(VideoRow(each, 1_200 - index, 900 - index, TITLES.get(each)) for index, each in enumerate(found))
        return VideoPage(rows[start : start + limit], str(start + limit) if len(rows) > start + limit else None)

    async def viewers(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> Viewers | None:
        self._needs_postgres()
        if self.is_unsummed:
            return None
        days = [span.start_on + timedelta(days=each) for each in range((span.end_on - span.start_on).days)]
        by_day = tuple(DayViewers(day, 800 + (index * 7_919) % 300) for index, day in enumerate(days))
        return Viewers(1_640, 3, by_day)

    async def completion(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> CompletionSum:
        self._needs_postgres()
        return CompletionSum(0, *([None] * 5 if self.is_unsummed else (1_600, 1_200, 800, 401, 1)))

    async def days(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period
    ) -> Sequence[DayCount]:
        self._needs_postgres()
        number = (span.end_on - span.start_on).days
        return [
            DayCount(
                span.start_on + timedelta(days=each),
                2_000 + (each * 7_919) % 900,
                1_500 + (each * 7_919) % 400,
                None if self.is_unsummed else 90_000 + (each * 7_919) % 60_000,
            )
            for each in range(number)
        ]

    async def top(self, payee_id: str, version: ServedVersion, span: Period, limit: int) -> Sequence[VideoRow]:
        self._needs_postgres()
        number = (span.end_on - span.start_on).days
        return [
            VideoRow(each, number * 40 - index, number * 30 - index, TITLES.get(each))
            for index, each in enumerate(VIDEOS[payee_id])
        ][:limit]

    async def groups(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: Period, by: str
    ) -> Sequence[GroupCount]:
        self._needs_postgres()
        names = ("US", "FR", "IN", "ZZ") if by == "country" else ("phone", "tv", "unknown")
        return [GroupCount(name, 9_000 - 1_000 * index, 7_000 - 900 * index) for index, name in enumerate(names)]

    async def invalid(self, payee_id: str, version: ServedVersion, span: Period) -> Sequence[InvalidSum]:
        self._needs_postgres()
        if self.is_clean:
            return []
        day = span.end_on - timedelta(days=3)
        return [
            InvalidSum(day - timedelta(days=1), InvalidClass.ROBOT, 1_200, (EVENT, "0" * 8 + EVENT[8:])),
            InvalidSum(day, InvalidClass.ROBOT, 34, ()),
            InvalidSum(day, InvalidClass.COORDINATED, 7, ("1" * 8 + EVENT[8:],)),
        ]

    def estimates(self, payee_id: str) -> Sequence[EstimateRow]:
        self._needs(Part.POSTGRES)
        return self.open_periods if payee_id == "ann" else []

    def money(self, payee_id: str) -> PayeeMoney:
        self._needs(Part.POSTGRES)
        return self.paid if payee_id == "ann" else NO_MONEY

    def account(self, payee_id: str) -> OwnAccount:
        self._needs(Part.POSTGRES)
        return OwnAccount(self.accounts.get(payee_id, []), "US" if payee_id == "ann" else None)

    def ask_for_account(self, payee_id: str, holder_name: str, iban: str, email: str | None, actor: str) -> None:
        self._needs(Part.POSTGRES)
        if len(iban) < 15:
            raise RefusedActionError("Not an IBAN: a country, 2 check digits, and letters and digits of the account.")
        masked = f"{iban[:2]}…{iban.replace(' ', '')[-4:]}"
        self.accounts.setdefault(payee_id, []).insert(
            0, AccountRow(masked, holder_name, NOW, "proposed", NOW, "", email)
        )

    def years(self, payee_id: str) -> Sequence[int]:
        self._needs(Part.POSTGRES)
        return sorted(self.years_money) if payee_id == "ann" else []

    def year(self, payee_id: str, year: int) -> Sequence[YearInCurrency]:
        self._needs(Part.POSTGRES)
        return self.years_money.get(year, []) if payee_id == "ann" else []

    def statements(self, payee_id: str | None) -> Sequence[ListedStatement]:
        self._needs(Part.POSTGRES)
        return [_listed(each) for each in self.rows.values() if payee_id in (None, each.detail.payee_id)]

    def statements_in(self, state: str) -> Sequence[ListedStatement]:
        self._needs(Part.POSTGRES)
        before = EarnedBefore(Period.parse("2026-09"), 9_380_000)
        found = [_listed(each) for each in self.rows.values() if each.detail.state == state]
        return [replace(each, before=before) for each in found]

    def statement(self, statement_id: str) -> WholeStatement | None:
        self._needs(Part.POSTGRES)
        return self.rows.get(statement_id)

    def bundle(self, statement_id: str) -> bytes | None:
        self._needs(Part.POSTGRES)
        return self.bundles.get(statement_id, b"{}")

    def steps(self, statement_ids: Sequence[str]) -> Mapping[str, Sequence[Step]]:
        self._needs(Part.POSTGRES)
        return {each: self.rows[each].steps for each in statement_ids}

    def notices(self, payee_id: str) -> Sequence[NoticeRow]:
        self._needs(Part.POSTGRES)
        return [NoticeRow(NOW, "The statement for 2026-10 was corrected by -0.50 USD.", _id(payee_id))]

    def appeals(self, payee_id: str | None) -> Sequence[AppealRow]:
        self._needs(Part.POSTGRES)
        return [each for each in self.opened if payee_id in (None, each.payee_id)]

    def holds(self) -> Sequence[HoldRow]:
        return [HoldRow("h1", "ann", "USD", 2_500_000, "pending", "disputed", NOW + timedelta(days=30))]

    def proposals(self) -> Sequence[ProposalRow]:
        self._needs(Part.POSTGRES)
        sentence = ("video v was of ann and is of <b>bob</b>",)
        return [ProposalRow("catalogue:3", "fay", NOW, sentence, are_all=False)]

    def appeal(self, statement_id: str, text: str, request: RequestKey) -> None:
        inputs_hash = self.requests.setdefault(request.key, request.inputs_hash)
        if inputs_hash != request.inputs_hash:
            raise RefusedActionError("This form was sent before with another text; open the page again.")
        appeal_id = f"appeal-{request.key}"
        if appeal_id not in [each.appeal_id for each in self.opened]:
            if any(each.statement_id == statement_id and each.state == "received" for each in self.opened):
                raise RefusedActionError(f"Statement {statement_id} has an open appeal already.")
            payee_id = self.rows[statement_id].detail.payee_id
            self.opened.append(AppealRow(appeal_id, statement_id, payee_id, "received", text, NOW, ""))

    def decide(self, statement_id: str, decision: str, actor: str, reason: str) -> None:
        if decision == "approve" and self.rows[statement_id].steps[0].actor == actor:
            raise RefusedActionError(f"{actor} ran this period and cannot approve it; somebody else can.")
        state = {"approve": "finalised", "review": "in_review", "void": "voided"}[decision]
        self.rows[statement_id] = _in_state(self.rows[statement_id], state, reason, actor)

    def runs(self) -> Sequence[RunRow]:
        self._needs(Part.POSTGRES)
        detail = {"archived": 200_000, "verdicts": {"counted": 190_000, "duplicate": 10_000}, "notes": ["all well"]}
        failed = {
            "report": f"/var/lib/{'viewledger' * 9}/index.html",
            "failures": ["tally: 3 events too few"],
            "gaps": {},
        }
        return [
            RunRow("run-7", "incremental", "published", 7, NOW - timedelta(minutes=5), NOW, detail),
            RunRow("run-8", "incremental", "gate_failed", None, NOW, NOW, failed),
        ]

    def run(self, run_id: str) -> RunRow | None:
        return next((each for each in self.runs() if each.run_id == run_id), None)

    def versions(self) -> Sequence[VersionRow]:
        self._needs(Part.POSTGRES)
        hashes = {"events": "0f" * 16, "raw_events": "a1" * 16}
        return [
            VersionRow(
                7,
                "run-7",
                NOW,
                SETTLED_UNTIL,
                (100,) * 12,
                {"events": 200_000},
                hashes,
                is_current=True,
                label="October report",
            )
        ]

    def reconciliations(self) -> Sequence[ReconciliationRow]:
        self._needs(Part.POSTGRES)
        differs = "raw and batch differ first in partition 3, hour 2026-11-24 09:00 UTC"
        return [ReconciliationRow(NOW, 7, True, "everything agrees"), ReconciliationRow(NOW, 6, False, differs)]

    def dead_letters(self) -> Sequence[DeadLetter]:
        self._needs(Part.KAFKA)
        return [DeadLetter(3, 17, NOW, EVENT, ("timestamp: has no zone",), '{"event_id": "…"}')]

    def replay(self, partition: int, offset: int, actor: str) -> bool:
        if self.replayed:
            raise RefusedActionError("Message 3:17 was sent again already.")
        self.replayed.append((partition, offset, actor))
        return True

    def partitions(self) -> Sequence[PartitionRow]:
        self._needs(Part.KAFKA)
        counted = [PartitionRow(number, number % 3, 0.4, "counted") for number in range(10)]
        return [*counted, PartitionRow(10, 30_000, 240.0, "behind"), PartitionRow(11, None, None, "behind")]

    def health(self) -> Sequence[PartHealth]:
        return [
            PartHealth("Kafka", "fails", "no broker answers"),
            PartHealth("batch", "warning", "the last run was 3 days ago"),
            PartHealth("PostgreSQL", "well", "version 15.18"),
        ]


class FakeProofs:
    """The results of events; away with the batch tables."""

    def __init__(self, ports: FakePorts) -> None:
        self._ports = ports

    def statement(self, statement_id: str) -> ProvenStatement | None:
        detail = self._ports.rows[statement_id].detail
        return ProvenStatement(detail.payee_id, detail.state)

    def payment(self, event_id: str) -> EventPayment:
        if Part.SQL in self._ports.away:
            raise UnavailableError(Part.SQL, "HDFS")
        if event_id != EVENT:
            return EventPayment(event_id, PaymentStatus.UNKNOWN, 7)
        copies = (EventCopy(3, 1_881, "2026-11-24T09:00:00Z", "counted"),)
        part = EventPart("ann", PaymentStatus.EXCLUDED, "below_minimum")
        return EventPayment(
            event_id, PaymentStatus.EXCLUDED, 7, "-walk_01", "2026-11-24", "below_minimum", copies, (part,)
        )

    def events(self, statement_id: str, after: int) -> Iterator[PaidEvent]:
        if Part.SQL in self._ports.away:
            raise UnavailableError(Part.SQL, "HDFS")
        yield from self._ports.paid_events[after:]


def fake_guard() -> Guard:
    async def identify(_: Request) -> Caller:
        raise AssertionError("the portal has a sign-in of its own")

    limits = RequestLimits(lambda: 0.0, anonymous="1000000/minute", caller="1000000/minute", refused="3/minute")
    return Guard(identify, limits, lambda _: "here")


def fake_portal(
    ports: FakePorts,
    live_seconds: float = 0.0,
    provider: IdentityProvider | None = None,
    credentials: Credentials | None = None,
    now: Callable[[], datetime] = lambda: NOW,
    ended: EndedSessions | None = None,
) -> Portal:
    """`live_seconds`: how long a stream of live counts lasts; it reads again at once."""
    sessions = Sessions(credentials or FakeCredentials(), ended or FakeEnded(), b"k" * 32, secure=False, now=now)
    proofs = Proofs(FakeProofs(ports), FakeProofs(ports), ThreadPoolExecutor(1))
    live = LiveStreams(LiveLimits(poll_seconds=0.01, lifetime_seconds=live_seconds))
    return Portal(
        fake_guard(), sessions, ports, ports, ports, ports, FakeFinance(ports.away), ports.data, proofs,
        ports, live, provider, version=lambda: VERSION,
        missing_part=lambda complete: None if complete else ports.missing,
        reviews=ports.reviews, traffic=ports.reviews, now=now,
    )  # fmt: skip


def _id(who: str) -> str:
    return who.encode().hex().ljust(32, "0")


ANNS, BOBS, WAITING = _id("ann"), _id("bob"), "f" * 32
"""Statements: two that are final, and one of ann's that waits for approval."""
SEPTEMBER, CORRECTED = "5" * 32, "6" * 32


def _statement(payee_id: str, statement_id: str) -> WholeStatement:
    chain = (
        ("received", 12_000), ("duplicate", -900), ("rejected:timestamp_without_zone", -100), ("counted", 11_000),
        ("below_minimum", -2_000), ("billable", 9_000),
    )  # fmt: skip
    ever = (date(1970, 1, 1), date(9999, 12, 31))
    lines = [
        StatementLine(
            index, f"-walk_{index:02d}", *ever, 1_000_000, "views", "*", date(2026, 10, 1), 0, 180, 3_264_444, 587_600,
            220, 1, "ab" * 32, TITLES.get(f"-walk_{index:02d}"),
        )
        for index in range(50)
    ]  # fmt: skip
    detail = StatementDetail(
        statement_id=statement_id,
        payee_id=payee_id,
        period_start_on=date(2026, 10, 1),
        period_end_on=date(2026, 11, 1),
        restatement_number=0,
        supersedes=None,
        state="finalised",
        currency="USD",
        billable_views=9_000,
        earned_micros=29_380_000,
        over_cap_micros=0,
        tax_country="US",
        tax_micros=2_938_000,
        payable_micros=26_442_000,
        carried_nanomicros_before=500,
        carried_nanomicros_after=469,
        line_count=len(lines),
        chain=[ChainLink(*link) for link in chain],
        batch_version=7,
        catalogue_version=2,
        contract_version=1,
        calculated_at=NOW,
        posted_at=NOW,
        lines=lines,
    )
    steps = (Step("calculated", "run", "", NOW), Step("finalised", "run", "", NOW))
    return WholeStatement(detail, {"ann": "Ann Ápple", "bob": DISCLAIMER}[payee_id], steps)


def _two_years() -> dict[int, list[YearInCurrency]]:
    """Return two years of ann's account, with a statement that was replaced and a payment that came back."""

    def row(
        day: date, kind: str, amount: int, balance: int, *, tax: int = 0, of: str | None = None, item: str | None = None
    ) -> YearRow:
        period = Period.parse(f"{day:%Y-%m}") if of else None
        return YearRow(day, NOW, kind, amount, tax, balance, of, period, item, "DE…3000" if item else None)

    december, september, october = date(2025, 12, 31), date(2026, 9, 30), date(2026, 10, 31)
    rows = [
        row(september, "statement", 20_250_000, 21_250_000, tax=2_250_000, of=SEPTEMBER),
        row(date(2026, 10, 5), "payout", -20_250_000, 1_000_000, item="c" * 32),
        row(date(2026, 10, 7), "payout_returned", 20_250_000, 21_250_000, item="c" * 32),
        row(october, "statement", 26_442_000, 47_692_000, tax=2_938_000, of=ANNS),
        row(october, "reversal", -26_442_000, 21_250_000, tax=-2_938_000, of=ANNS),
        row(october, "statement", 34_572_000, 55_822_000, tax=3_841_333, of=CORRECTED),
        row(date(2026, 11, 5), "payout", -26_442_000, 29_380_000, item="d" * 32),
    ]
    return {
        2025: [YearInCurrency("USD", 0, [row(december, "statement", 1_000_000, 1_000_000, of=SEPTEMBER)])],
        2026: [YearInCurrency("USD", 1_000_000, rows)],
    }


def _of_september() -> WholeStatement:
    whole = _statement("ann", SEPTEMBER)
    chain = (("received", 9_000), ("duplicate", -1_000), ("invalid_traffic:robot", -500), ("billable", 7_500))
    lines = [
        msgspec.structs.replace(each, quantity=150, rate_per_thousand_micros=3_000_000, amount_micros=450_000)
        for each in whole.detail.lines
    ]
    detail = msgspec.structs.replace(
        whole.detail,
        period_start_on=date(2026, 9, 1),
        period_end_on=date(2026, 10, 1),
        chain=[ChainLink(*link) for link in chain],
        lines=lines,
        billable_views=7_500,
        earned_micros=22_500_000,
        tax_micros=2_250_000,
        payable_micros=20_250_000,
    )
    return replace(whole, detail=detail)


def _listed(whole: WholeStatement) -> ListedStatement:
    return ListedStatement(whole.detail, whole.payee_name, whole.steps[-1])


def _in_state(whole: WholeStatement, state: str, reason: str, actor: str = "run") -> WholeStatement:
    steps = (*whole.steps, Step(state, actor, reason, NOW))
    return replace(whole, detail=msgspec.structs.replace(whole.detail, state=state), steps=steps)
