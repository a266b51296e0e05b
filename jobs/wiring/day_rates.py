"""Wire the rates of a day into the estimate of today: billing's terms behind serving's port."""

from collections.abc import Sequence
from datetime import date

from billing.rating import day_bounds
from billing.terms.postgres_channels import ContractQueries
from serving_layer.access.postgres_reads import PostgresReads
from serving_layer.money.todays_estimate import EarnedBounds, SharedViews


class ContractDayRates:
    """See the port `DayRates`. Its connection stays open, and is its own; see `PostgresReads`."""

    def __init__(self, url: str) -> None:
        self._reads = PostgresReads(url)
        self._contracts = ContractQueries(self._reads.query)

    def earned(
        self,
        payee_id: str,
        day: date,
        settled: Sequence[SharedViews],
        live: Sequence[SharedViews] | None,
        at_least: int,
    ) -> EarnedBounds | None:
        """See the port."""
        contracts = self._contracts.newest()
        contract = None if contracts is None else contracts.contract_for(payee_id)
        if contracts is None or contract is None:
            return None
        bounds = day_bounds.earned_bounds(contract, day, settled, live or (), at_least)
        if bounds is None:
            return None
        return EarnedBounds(contracts.currency, bounds[0], None if live is None else bounds[1])

    def close(self) -> None:
        """Disconnect."""
        self._reads.close()
