"""Wire the pages of a payee's earnings and years to the books, with the rights of the API's role."""

from collections.abc import Sequence
from itertools import accumulate

from billing.books.postgres_estimates import PostgresEstimates
from billing.payouts.postgres_own_account import on_file
from billing.payouts.postgres_payee_money import money_of_payee
from billing.payouts.postgres_payee_year import YearPosting, year_of_payee, years_of_payee
from billing.postgres_session import connector
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.portal.account_records import AccountRow, OwnAccount
from serving_layer.portal.earnings_records import BalanceRow, EstimateRow, PayeeMoney, PayoutRow
from serving_layer.portal.year_records import YearInCurrency, YearRow


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

    def account(self, payee_id: str) -> OwnAccount:
        """See the port."""
        found = on_file(self._connect, payee_id)
        rows = [
            AccountRow(
                each.account, each.holder_name, each.asked_at, each.state, each.moved_at, each.reason, each.address
            )
            for each in found.changes
        ]
        return OwnAccount(rows, found.tax_country)

    def years(self, payee_id: str) -> list[int]:
        """See the port."""
        return years_of_payee(self._connect, payee_id)

    def year(self, payee_id: str, year: int) -> list[YearInCurrency]:
        """See the port."""
        found = year_of_payee(self._connect, payee_id, year)
        return [
            _in_currency(currency, found.before.get(currency, 0), [p for p in found.postings if p.currency == currency])
            for currency in sorted({*found.before, *(each.currency for each in found.postings)})
        ]


def _in_currency(currency: str, start_micros: int, postings: Sequence[YearPosting]) -> YearInCurrency:
    after = accumulate((each.amount_micros for each in postings), initial=start_micros)
    next(after)
    rows = [
        YearRow(
            each.day,
            each.posted_at,
            each.kind,
            each.amount_micros,
            each.tax_micros,
            balance_micros,
            each.statement_id,
            each.period,
            each.item_id,
            each.account,
        )
        for each, balance_micros in zip(postings, after, strict=True)
    ]
    return YearInCurrency(currency, start_micros, rows)
