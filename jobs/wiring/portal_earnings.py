"""Wire the page of a payee's earnings to the books, with the rights of the API's role."""

from billing.books.postgres_estimates import PostgresEstimates
from billing.payouts.postgres_payee_money import money_of_payee
from billing.postgres_session import connector
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.portal.earnings_records import BalanceRow, EstimateRow, PayeeMoney, PayoutRow


class PayeeEarnings:
    """Implements `EarningsReads` of `serving_layer.portal.ports`."""

    def __init__(self, url: str) -> None:
        self._connect = connector(url, API_ROLE)
        self._estimates = PostgresEstimates(self._connect)

    def estimates(self, payee_id: str) -> list[EstimateRow]:
        """See the port."""
        return [
            EstimateRow(
                period.start_on, period.end_on, each.currency, each.earned_micros, each.billable_views, estimated_at
            )
            for period, each, estimated_at in self._estimates.of_payee(payee_id)
        ]

    def money(self, payee_id: str) -> PayeeMoney:
        """See the port."""
        found = money_of_payee(self._connect, payee_id)
        currencies = sorted({each.currency for each in found.parts})
        return PayeeMoney(
            tuple(
                BalanceRow(
                    currency,
                    tuple((each.kind, each.amount_micros) for each in found.parts if each.currency == currency),
                    found.held.get(currency, 0),
                )
                for currency in currencies
            ),
            tuple(
                PayoutRow(
                    each.item_id,
                    each.batch_id,
                    each.currency,
                    each.amount_micros,
                    each.execution_on,
                    each.account,
                    each.state,
                    each.batch_state,
                    each.booked_on,
                )
                for each in found.payments
            ),
            found.account,
        )
