"""The port of finance's pages in memory: a month that ended, in which something waits of each kind."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime

from ingestion.contract.periods import Period
from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.portal.finance_records import (
    ClosingMonth,
    ClosingRow,
    PayeeRow,
    PaymentRow,
    PeriodRow,
    RowPage,
    StatementRow,
    SumRow,
    WaitingPage,
    WaitingRow,
)
from serving_layer.portal.funnel_records import ChangeRow, MoneyRow, MonthFunnel, StageRow

SEPTEMBER, OCTOBER, NOVEMBER = (Period.parse(f"2026-{month:02d}") for month in (9, 10, 11))
COUNTED_AT = datetime(2026, 11, 25, 3, tzinfo=UTC)
_MONTHS = (NOVEMBER, OCTOBER, SEPTEMBER)
_NOT_COUNTED = dict.fromkeys(("conflict", "late_event", "traffic_group"))
CLEAN = ("suspense", "settled", "judged", "terms", "overlaps", "holds", "appeals")


class FakeFinance:
    """Implements `serving_layer.portal.finance_ports.FinanceReads`. `away`: the parts that do not answer."""

    def __init__(self, away: Collection[str]) -> None:
        self.away = away

    def closing(self, period: Period | None) -> ClosingMonth:
        self._needs_postgres()
        if period not in (None, OCTOBER):
            return self._quiet(period)
        checks = [ClosingRow(name, "ready", "As it should be.", None, ()) for name in CLEAN]
        checks += [
            ClosingRow("conflicts", "waits", "575 events came with the id of another one.", 575, ()),
            ClosingRow("late_events", "unknown", "Not counted yet: `billing nightly` counts them.", None, ()),
            ClosingRow("reconciled", "blocks", "<b>raw</b> and batch differ.", None, ()),
            ClosingRow("bank_suspense", "waits", "The bank booked it.", None, ((-12_500_000, "EUR"), (3, "USD"))),
            ClosingRow("proposals", "waits", "Imports that wait.", 1, ()),
            ClosingRow("traffic_groups", "ready", "None.", 0, ()),
        ]
        steps = [
            ClosingRow("run", "ready", "The period is billed.", 1_054, ((9_876_543_210_000, "USD"),)),
            ClosingRow("approve", "waits", "2 statements wait for a second person.", 2, ((26_442_000, "USD"),)),
            ClosingRow("post", "ready", "Every statement is posted.", 0, ()),
            ClosingRow("pay", "later", "After the step before.", None, ()),
            ClosingRow("reconcile", "ready", "No payment waits for the bank.", 0, ()),
        ]
        return ClosingMonth(
            period=OCTOBER,
            is_billed=True,
            checks=tuple(checks),
            steps=tuple(steps),
            forecast=(),
            estimated_at=None,
            estimated_version=None,
            statements=(
                SumRow("finalised, due", "USD", 1_052, 9_850_101_210_000),
                SumRow("in_review", "USD", 2, 26_442_000),
            ),
            payments=(SumRow("settled", "EUR", 12, 5_000_000),),
            periods=_PERIODS,
        )

    def funnel(self, period: Period | None) -> MonthFunnel:
        self._needs_postgres()
        if period == NOVEMBER:
            return MonthFunnel(
                NOVEMBER, 7, COUNTED_AT, False, (), {}, (), OCTOBER, (), _NOT_COUNTED, (), (), (), _MONTHS
            )
        if period not in (None, OCTOBER):
            return MonthFunnel(period, None, None, False, (), {}, (), None, (), _NOT_COUNTED, (), (), (), _MONTHS)
        events = (
            StageRow("received", 1_250_000, {}),
            StageRow("accepted", 1_246_000, {"rejected": 4_000}),
            StageRow("counted", 1_199_042, {"duplicate": 46_000, "conflict": 575, "late_review": 383}),
            StageRow("valid", 1_150_042, {"invalid_traffic": 49_000}),
            StageRow("billable", 980_000, {"not_billable": 170_042}),
        )
        usd = MoneyRow(
            currency="USD",
            statement_count=1_054,
            billable_views=990_000,
            earned_micros=9_876_543_210_000,
            tax_micros=876_543_210_000,
            payable_micros=9_000_000_000_000,
            waiting_micros=26_442_000,
            held_micros=73_558_000,
            suspense_micros=900_000_000,
            due_micros=1_999_000_000_000,
            paid_micros=7_000_000_000_000,
            restated_count=2,
            restated_micros=-1_250_000,
        )
        changes = (
            ChangeRow("ann", "Ann's <b>walks</b>", "USD", "s-ann-09", "s-ann-10", 5_000_000, 34_572_000, 2_000, 13_800),
            ChangeRow("bob", "", "USD", "s-bob-09", None, 12_000_000, 0, 4_800, 0),
        )
        return MonthFunnel(
            period=OCTOBER,
            version=7,
            settled_until=COUNTED_AT,
            is_tallied=True,
            events=events,
            not_billable={"not_eligible": 60_000, "below_minimum": 90_000, "traffic_pending": 20_042},
            money=(usd,),
            before=SEPTEMBER,
            changes=changes,
            waiting={"conflict": 575, "late_event": None, "traffic_group": 1},
            holds=(SumRow("pending", "USD", 1, 500_000),),
            suspense=(SumRow("suspense:unattributed", "USD", 0, 900_000_000),),
            payments=(SumRow("settled", "EUR", 12, 5_000_000), SumRow("returned", "EUR", 1, 400_000)),
            periods=_MONTHS,
        )

    def _quiet(self, period: Period) -> ClosingMonth:
        later = tuple(
            ClosingRow(name, "later", "Its turn comes.", None, ()) for name in ("run", "approve", "post", "pay")
        )
        is_open = period == NOVEMBER
        return ClosingMonth(
            period=period,
            is_billed=False,
            checks=tuple(ClosingRow(name, "ready", "As it should be.", None, ()) for name in CLEAN),
            steps=later,
            forecast=((1_234_500_000, "USD"), (7_000_000, "EUR")) if is_open else (),
            estimated_at=COUNTED_AT if is_open else None,
            estimated_version=7 if is_open else None,
            statements=(),
            payments=(),
            periods=_PERIODS,
        )

    def waiting(self, kind: str, period: Period | None) -> WaitingPage:
        self._needs_postgres()
        if kind == "late_event":
            return WaitingPage((), 0, 0, None, None)
        if kind == "conflict" and period == NOVEMBER:
            return WaitingPage((), 0, 12, 7, COUNTED_AT)
        if kind == "traffic_group":
            name = "2026-10-03/crowd/ann/40-0123456789ab"
            row = WaitingRow(name, COUNTED_AT, None, 40, "ann", "", "", "one_place")
            return WaitingPage((row,), 1, 0, 7, COUNTED_AT)
        if period == SEPTEMBER:
            return WaitingPage((), 0, 0, 7, COUNTED_AT)
        remark = "first 3:17; differs in view_duration"
        event_id = "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"
        row = WaitingRow("3:1721", COUNTED_AT, COUNTED_AT, 1, "", "-walk_01", event_id, remark)
        return WaitingPage((row,), 575, 12, 7, COUNTED_AT)

    def billed_periods(self) -> Sequence[Period]:
        self._needs_postgres()
        return [SEPTEMBER, OCTOBER]

    def statements(
        self,
        *,
        search: str,
        payee_id: str,
        state: str,
        period: Period | None,
        order: str,
        offset: int,
        count_max: int,
    ) -> RowPage[StatementRow]:
        self._needs_postgres()
        found = [
            each
            for each in STATEMENTS
            if search in f"{each.payee_id} {each.payee_name}"
            and payee_id in ("", each.payee_id)
            and state in ("", each.state)
            and period in (None, each.period)
        ]
        if order == "payable":
            found.sort(key=lambda each: -each.payable_micros)
        sums = [(each.state, each.currency, each.payable_micros) for each in found]
        return RowPage(tuple(found[offset : offset + count_max]), _sums(sums))

    def payments(
        self, *, search: str, payee_id: str, state: str, batch_id: str, offset: int, count_max: int
    ) -> RowPage[PaymentRow]:
        self._needs_postgres()
        found = [
            each
            for each in PAYMENTS
            if search in f"{each.payee_id} {each.payee_name}"
            and payee_id in ("", each.payee_id)
            and state in ("", each.state)
            and batch_id in ("", each.batch_id)
        ]
        sums = [(each.state, each.currency, each.amount_micros) for each in found]
        return RowPage(tuple(found[offset : offset + count_max]), _sums(sums))

    def payees(self, *, search: str, offset: int, count_max: int) -> RowPage[PayeeRow]:
        self._needs_postgres()
        found = [each for each in PAYEES if search in each.payee_id]
        sums = [("owed" if each.currency else "never_owed", each.currency, each.balance_micros) for each in found]
        return RowPage(tuple(found[offset : offset + count_max]), _sums(sums))

    def _needs_postgres(self) -> None:
        if Part.POSTGRES in self.away:
            raise UnavailableError(Part.POSTGRES, "gone")


_PERIODS = (
    PeriodRow(NOVEMBER, False, 0, None, 0, 0),
    PeriodRow(OCTOBER, True, 2, None, 575, 0),
    PeriodRow(SEPTEMBER, False, 0, None, 0, 0),
    PeriodRow(None, False, 0, None, 383, 0, "other days"),
)
STATEMENTS = [
    StatementRow(
        f"{index:032x}",
        f"p{index:03d}",
        "=Ann & <b>" if index == 7 else f"Channel {index}",
        OCTOBER,
        int(index == 3),
        "in_review" if index % 50 == 3 else "finalised",
        "USD",
        1_000 + index,
        2_500_000 + index,
        2_250_000 + index,
    )
    for index in range(250)
]
PAYMENTS = [
    PaymentRow(
        "i1", "VL-EUR-20261201-1", "ann", "Ann", "EUR", 5_000_000, date(2026, 12, 1), "written", "returned",
        "AC04 closed account", COUNTED_AT,
    ),
    PaymentRow(
        "i2", "VL-EUR-20261201-1", "bob", "Bob", "EUR", 7_000_000, date(2026, 12, 1), "written", "settled", "",
        COUNTED_AT,
    ),
    PaymentRow(
        "i3", "VL-EUR-20261201-2", "joanne", "Joanne", "EUR", 3_000_000, date(2026, 12, 1), "made", "instructed", "",
        COUNTED_AT,
    ),
]  # fmt: skip
PAYEES = [PayeeRow("ann", "Ann", "DE", "EUR", 5_000_000, 1_000_000), PayeeRow("bob", "Bob", "", "", 0, 0)]


def _sums(rows: Sequence[tuple[str, str, int]]) -> tuple[SumRow, ...]:
    keys = sorted({row[:2] for row in rows})
    return tuple(
        SumRow(*key, len(amounts), sum(amounts))
        for key in keys
        for amounts in [[row[2] for row in rows if row[:2] == key]]
    )
