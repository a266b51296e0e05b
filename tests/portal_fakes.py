"""The portal's ports in memory, with a creator whose numbers add up; parts can be taken away."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request

from serving_layer.access import GRANTS, Caller, Role, unauthorized
from serving_layer.http_access import Guard
from serving_layer.limits_requests import RequestLimits
from serving_layer.merge import ServedCount, ServedVersion
from serving_layer.portal.http_session import Sessions
from serving_layer.portal.http_visit import Portal
from serving_layer.portal.ports import PartUnavailableError, RefusedActionError
from serving_layer.portal.records import (
    Appeal,
    ChainStep,
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
    StatementLine,
    StatementPage,
    StatementRow,
    Transition,
    VersionRow,
    VideoOrder,
    VideoRow,
)
from serving_layer.problems import refused

NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
SETTLED_UNTIL = datetime(2026, 11, 25, 9, tzinfo=UTC)
VERSION = ServedVersion(7, (100,) * 12, SETTLED_UNTIL)


def _caller(name: str, role: Role, payee_id: str | None = None) -> Caller:
    return Caller(f"{name}@example.org", role, GRANTS[role], payee_id)


CALLERS = {
    "ann": _caller("ann", Role.CREATOR, "ann"),
    "bob": _caller("bob", Role.CREATOR, "bob"),
    "fay": _caller("fay", Role.FINANCE),
    "aud": _caller("aud", Role.AUDITOR),
    "olga": _caller("olga", Role.OPERATOR),
}
"""Credential → caller: here a name is its own credential."""
VIDEOS = {"ann": [f"-walk_{index:02d}" for index in range(60)], "bob": ["_bobs"]}
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


class FakeBehind:
    """Everything behind the pages. `away` names the parts that do not answer."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.rows = {each.row.statement_id: each for each in (_statement("ann", "s-ann"), _statement("bob", "s-bob"))}
        self.rows["s-wait"] = _in_state(_statement("ann", "s-wait"), "in_review", "above the limit")
        self.opened: list[Appeal] = []
        self.replayed: list[tuple[int, int, str]] = []

    def _needs(self, part: str) -> None:
        if part in self.away:
            raise PartUnavailableError(part)

    async def video(self, video_id: str) -> ServedCount:
        self._needs("Redis")
        return ServedCount(video_id, 1_240, 1_200, 40, 900, 7, SETTLED_UNTIL, NOW, complete=True, known=True)

    async def channel(self, payee_id: str) -> ServedTotal:
        self._needs("Redis")
        return ServedTotal(72_400, 72_000, 400, 54_000, complete="speed" not in self.away)

    def name(self, payee_id: str) -> str | None:
        self._needs("PostgreSQL")
        return {"ann": "Ann Ápple", "bob": DISCLAIMER}.get(payee_id)

    def owns(self, payee_id: str, video_id: str) -> bool:
        self._needs("PostgreSQL")
        return video_id in VIDEOS[payee_id]

    def videos(
        self, payee_id: str, version: ServedVersion, *, search: str, order: VideoOrder, cursor: str | None, limit: int
    ) -> Page:
        self._needs("PostgreSQL")
        start = int(cursor or 0)
        found = [each for each in VIDEOS[payee_id] if search in each]
        rows = tuple(VideoRow(each, 1_200 - index, 900 - index) for index, each in enumerate(found))
        return Page(rows[start : start + limit], str(start + limit) if len(rows) > start + limit else None)

    def days(self, payee_id: str, version: ServedVersion, video_id: str | None, span: DaySpan) -> Sequence[DayCount]:
        self._needs("PostgreSQL")
        number = (span.end_on - span.start_on).days
        return [
            DayCount(span.start_on + timedelta(days=each), 2_000 + (each * 7_919) % 900, 1_500 + (each * 7_919) % 400)
            for each in range(number)
        ]

    def groups(
        self, payee_id: str, version: ServedVersion, video_id: str | None, span: DaySpan, by: str
    ) -> Sequence[GroupCount]:
        self._needs("PostgreSQL")
        names = ("US", "FR", "IN", "ZZ") if by == "country" else ("phone", "tv", "unknown")
        return [GroupCount(name, 9_000 - 1_000 * index, 7_000 - 900 * index) for index, name in enumerate(names)]

    def statements(self, payee_id: str | None, states: Sequence[str] = ()) -> Sequence[StatementRow]:
        self._needs("PostgreSQL")
        rows = [each.row for each in self.rows.values()]
        return [row for row in rows if payee_id in (None, row.payee_id) and (not states or row.state in states)]

    def statement(self, statement_id: str) -> StatementPage | None:
        self._needs("PostgreSQL")
        return self.rows.get(statement_id)

    def notices(self, payee_id: str) -> Sequence[Notice]:
        self._needs("PostgreSQL")
        return [Notice(NOW, "Your statement for 2026-10 is final.", f"s-{payee_id}")]

    def appeals(self, payee_id: str | None) -> Sequence[Appeal]:
        return [each for each in self.opened if payee_id in (None, each.payee_id)]

    def appeal(self, statement_id: str, payee_id: str, text: str) -> None:
        if self.opened:
            raise RefusedActionError("An appeal to this statement is open already.")
        self.opened.append(Appeal("a1", statement_id, payee_id, "2026-10", "open", text, NOW))

    def approve(self, statement_id: str, actor: str) -> None:
        if self.rows[statement_id].transitions[0].actor == actor:
            raise RefusedActionError(f"{actor} ran this period and cannot approve it; somebody else can.")
        self._move(statement_id, "approved", actor, "")

    def release(self, statement_id: str, actor: str, reason: str) -> None:
        self._move(statement_id, "approved", actor, reason)

    def void(self, statement_id: str, actor: str, reason: str) -> None:
        self._move(statement_id, "voided", actor, reason)

    def _move(self, statement_id: str, state: str, actor: str, reason: str) -> None:
        self.rows[statement_id] = _in_state(self.rows[statement_id], state, reason, actor)

    def answer(self, event_id: str, payee_id: str | None) -> EventAnswer:
        self._needs("The batch tables")
        if event_id != EVENT or payee_id == "bob":
            return EventAnswer(event_id, "unknown", "No event of this id was received for your videos.")
        sentence = "It was counted, and is not billable: it was shorter than 30 seconds."
        details = {"received": "2026-11-24 09:00 UTC", "reason": "below_minimum", "partition and offset": "3:1881"}
        return EventAnswer(event_id, "excluded", sentence, "-walk_01", None, details)

    def of_statement(self, statement_id: str) -> Iterator[bytes]:
        self._needs("The batch tables")
        return iter([b'{"event_id":"%s"}\n' % EVENT.encode()])

    def runs(self) -> Sequence[RunRow]:
        self._needs("PostgreSQL")
        detail = {"archived": 200_000, "verdicts": {"counted": 190_000, "duplicate": 10_000}, "notes": ["all well"]}
        return [
            RunRow("run-7", "incremental", "published", 7, NOW - timedelta(minutes=5), NOW, detail),
            RunRow("run-8", "incremental", "gate_failed", None, NOW, NOW, {"failures": ["tally: 3 events too few"]}),
        ]

    def run(self, run_id: str) -> RunRow | None:
        return next((each for each in self.runs() if each.run_id == run_id), None)

    def versions(self) -> Sequence[VersionRow]:
        self._needs("PostgreSQL")
        hashes = {"events": "0f" * 16, "raw_events": "a1" * 16}
        return [VersionRow(7, "run-7", NOW, SETTLED_UNTIL, (100,) * 12, {"events": 200_000}, hashes, is_current=True)]

    def reconciliations(self) -> Sequence[ReconciliationRow]:
        self._needs("PostgreSQL")
        differs = "raw and batch differ first in partition 3, hour 2026-11-24 09:00 UTC"
        return [ReconciliationRow(NOW, 7, True, "everything agrees"), ReconciliationRow(NOW, 6, False, differs)]

    def dead_letters(self) -> Sequence[DeadLetter]:
        self._needs("Kafka")
        return [DeadLetter(3, 17, NOW, EVENT, ("timestamp: has no zone",), '{"event_id": "…"}')]

    def replay(self, partition: int, offset: int, actor: str) -> bool:
        if self.replayed:
            raise RefusedActionError("Message 3:17 was sent again already.")
        self.replayed.append((partition, offset, actor))
        return True

    def health(self) -> Sequence[PartHealth]:
        return [PartHealth("PostgreSQL", True, "version 15.18"), PartHealth("Kafka", False, "no broker answers")]


def fake_guard() -> Guard:
    async def identify(_: Request) -> Caller:
        raise AssertionError("the portal has a sign-in of its own")

    limits = RequestLimits(lambda: 0.0, anonymous="9/minute", caller="9/minute", refused="3/minute")
    return Guard(identify, limits, lambda _: "here")


def fake_portal(behind: FakeBehind) -> Portal:
    sessions = Sessions(FakeCredentials(), b"k" * 32, secure=False)
    return Portal(fake_guard(), sessions, behind, behind, behind, behind, behind, behind, lambda: VERSION, lambda: NOW)


def _statement(payee_id: str, statement_id: str) -> StatementPage:
    name = {"ann": "Ann Ápple", "bob": DISCLAIMER}[payee_id]
    row = StatementRow(statement_id, payee_id, name, "2026-10", 0, "finalised", "USD", 26_442_000, 9_000, "", NOW)
    chain = (
        ChainStep("Events received", 12_000, "views", 0),
        ChainStep("Duplicates", 900, "views", -1),
        ChainStep("Rejected: no zone", 100, "views", -1),
        ChainStep("Views", 11_000, "views", 0),
        ChainStep("Below 30 seconds", 2_000, "views", -1),
        ChainStep("Billable views", 9_000, "views", 0),
        ChainStep("Amount", 29_380_000, "micros", 0),
        ChainStep("Tax withheld (US, 10 %)", 2_938_000, "micros", -1),
        ChainStep("Payable", 26_442_000, "micros", 0),
    )
    lines = tuple(
        StatementLine(
            f"-walk_{index:02d}", "views", "*", date(2026, 10, 1), None, 1_000_000, 180, 3_264_444, 587_600, "ab" * 32
        )
        for index in range(50)
    )
    moves = (Transition("calculated", "run", "", NOW), Transition("finalised", "run", "", NOW))
    return StatementPage(row, chain, lines, moves, {"batch": 7, "catalogue": 2, "contract": 1}, (500, 469))


def _in_state(statement: StatementPage, state: str, reason: str, actor: str = "run") -> StatementPage:
    moves = (*statement.transitions, Transition(state, actor, reason, NOW))
    return replace(statement, row=replace(statement.row, state=state, reason=reason), transitions=moves)
