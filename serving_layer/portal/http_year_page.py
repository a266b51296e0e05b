"""A calendar year of a payee's account: a page that can be printed, and a file."""

from collections.abc import Iterable, Iterator, Sequence

from starlette.responses import Response

from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.portal.formatting import machine
from serving_layer.portal.http_files import csv_of, download
from serving_layer.portal.http_visit import Portal, Visit, page_route
from serving_layer.portal.statement_chain import period_text
from serving_layer.portal.year_records import YearInCurrency
from serving_layer.request.parameters import is_number

KINDS = {
    "statement": "Statement",
    "reversal": "Statement that was replaced",
    "payout": "Payout",
    "payout_rejected": "Payout that the bank did not carry out",
    "payout_returned": "Payout that came back",
    "payout_voided": "Payout that was taken back",
    "hold_voided": "Amount on hold that was declared void",
}
"""Kind of transaction → its text."""
_COLUMNS = (
    "day", "kind", "period", "reference", "account", "currency", "earned_micros", "tax_micros", "amount_micros",
    "balance_micros", "posted_at",
)  # fmt: skip


def year_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; a payee sees their own money alone."""
    return [
        page_route(portal, "/portal/years/{year}.csv", _year_csv, needs=Scope.STATEMENTS, is_own=True),
        page_route(portal, "/portal/years/{year}", _year, needs=Scope.STATEMENTS, is_own=True),
    ]


async def _year(visit: Visit) -> Response:
    found = await _found(visit)
    if isinstance(found, Response):
        return found
    year, years, money = found
    return visit.page("year.html", year=year, years=years, money=money, kinds=KINDS, as_of=visit.portal.now())


async def _year_csv(visit: Visit) -> Response:
    found = await _found(visit)
    if isinstance(found, Response):
        return found
    year, _, money = found
    return download(f"year-{year}.csv", csv_of(_COLUMNS, _rows(year, money)))


async def _found(visit: Visit) -> tuple[int, Sequence[int], Sequence[YearInCurrency]] | Response:
    """Return the year in the address, all years there are, and the year's money; or the page that refuses it."""
    text, this_year = visit.request.path_params["year"], visit.portal.now().year
    posted = await visit.ask(None, visit.portal.earnings.years, visit.payee_id)
    if posted is None:
        return visit.not_now("The year")
    years = range(min([*posted, this_year]), max([*posted, this_year]) + 1)
    if not is_number(text) or int(text) not in years:
        span = f"{years[0]} to {years[-1]}" if len(years) > 1 else f"{years[0]} only"
        return visit.problem(422, "Not a year", f"There are year statements of {span}; {text[:20]} is none of them.")
    money = await visit.ask(None, visit.portal.earnings.year, visit.payee_id, int(text))
    return visit.not_now("The year") if money is None else (int(text), years, money)


def _rows(year: int, money: Iterable[YearInCurrency]) -> Iterator[tuple[object, ...]]:
    for each in money:
        of_nothing = ("", "", "", each.currency, None, None, None)
        yield (f"{year}-01-01", "balance_at_start", *of_nothing, each.start_micros, None)
        for row in each.rows:
            period = period_text(row.period.start_on, row.period.end_on) if row.period else None
            yield (
                row.day, row.kind, period, row.item_id, row.account, each.currency, row.earned_micros,
                row.tax_micros, row.amount_micros, row.balance_micros, machine(row.posted_at),
            )  # fmt: skip
        yield (f"{year}-12-31", "balance_at_end", *of_nothing, each.end_micros, None)
