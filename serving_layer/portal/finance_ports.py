"""The port of finance's pages to the books, wired by jobs. Calls are blocking, and raise UnavailableError."""

from typing import Protocol

from ingestion.contract.periods import Period
from serving_layer.portal.finance_records import ClosingMonth, WaitingPage


class FinanceReads(Protocol):
    """What waits, is owed and is paid, of all payees."""

    def closing(self, period: Period | None) -> ClosingMonth:
        """Return a period's checklist and steps; None: the oldest period that is not billed."""

    def waiting(self, kind: str, period: Period | None) -> WaitingPage:
        """Return what waits of a kind (`late_event`, `conflict`, `traffic_group`) in a period, or in all of them."""
