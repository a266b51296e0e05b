"""The rows of all periods: what was not counted is not nothing, and what is beyond the list has a row of its own."""

from datetime import UTC, date, datetime

from billing.books.months import PeriodWaits, WaitingCount
from billing.waiting import CONFLICT, LATE_EVENT
from ingestion.contract.periods import Period
from jobs.wiring.portal_finance import period_rows
from serving_layer.portal.finance_records import PeriodRow

SEPTEMBER, OCTOBER = Period.parse("2026-09"), Period.parse("2026-10")
NOW = datetime(2026, 11, 5, tzinfo=UTC)


def test_a_kind_that_was_never_counted_is_unknown_in_every_row() -> None:
    waiting = {LATE_EVENT: WaitingCount({date(2026, 10, 3): (2, 2), date(2026, 7, 1): (5, 5)}, 0, 7, NOW)}
    rows = period_rows([SEPTEMBER], [OCTOBER], [PeriodWaits(SEPTEMBER, 1, 2, 3)], waiting)
    assert rows == (
        PeriodRow(OCTOBER, False, 0, 2, None, None),
        PeriodRow(SEPTEMBER, True, 6, 0, None, None),
        PeriodRow(None, False, 0, 5, None, None, "other days"),
    )
    assert [row.waits for row in rows] == [2, 6, 5]


def test_what_is_beyond_the_list_may_be_of_any_day_and_is_not_of_other_days() -> None:
    waiting = {CONFLICT: WaitingCount({date(2026, 10, 3): (10_000, 10_000)}, 400, 7, NOW)}
    rows = period_rows([], [OCTOBER], [], waiting)
    assert rows == (
        PeriodRow(OCTOBER, False, 0, None, 10_000, None),
        PeriodRow(None, False, 0, None, 400, None, "beyond the list"),
    )


def test_periods_alone_have_rows_if_nothing_waits_elsewhere() -> None:
    assert period_rows([], [OCTOBER], [], {}) == (PeriodRow(OCTOBER, False, 0, None, None, None),)
