"""The port of finance's pages to the books, wired by jobs. Calls are blocking, and raise UnavailableError."""

from collections.abc import Sequence
from typing import Protocol

from ingestion.contract.periods import Period
from serving_layer.portal.finance_records import (
    ClosingMonth,
    PayeeRow,
    PaymentRow,
    RowPage,
    StatementRow,
    WaitingPage,
)
from serving_layer.portal.funnel_records import MonthFunnel


class FinanceReads(Protocol):
    """What waits, is owed and is paid, of all payees."""

    def closing(self, period: Period | None) -> ClosingMonth:
        """Return a period's checklist and steps; None: the oldest period that is not billed."""

    def funnel(self, period: Period | None) -> MonthFunnel:
        """Return a period from the events received to what is paid out; None: the newest one billed."""

    def waiting(self, kind: str, period: Period | None) -> WaitingPage:
        """Return what waits of a kind (`late_event`, `conflict`, `traffic_group`) in a period, or in all of them."""

    def billed_periods(self) -> Sequence[Period]:
        """Return every period that was ever billed, the oldest first."""

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
        """Return statements whose payee's id or name contains `search`; an empty value sets no condition.

        `payee_id`: those of this payee alone.
        `order`: `period` (the newest first), `payable` (the largest first, currency by currency) or `payee`.
        """

    def payments(
        self, *, search: str, payee_id: str, state: str, batch_id: str, offset: int, count_max: int
    ) -> RowPage[PaymentRow]:
        """Return payments, the newest batch first."""

    def payees(self, *, search: str, offset: int, count_max: int) -> RowPage[PayeeRow]:
        """Return the payees of the catalogue in force, and others who are owed something, by id and currency."""
