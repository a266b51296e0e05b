"""Finance's lists: statements of all payees, payments, payees with their balances; as pages and as CSV."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from ingestion.contract.periods import Period
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.portal.finance_records import PayeeRow, PaymentRow, RowPage, StatementRow
from serving_layer.portal.formatting import machine
from serving_layer.portal.http_files import csv_of, download
from serving_layer.portal.http_visit import Handler, Portal, Visit, page_route
from serving_layer.portal.statement_chain import period_text
from serving_layer.request.parameters import is_number

ROWS_SHOWN = 100
FILE_ROWS_MAX = 50_000
PAGES_MAX = 1_000_000
TEXTS = {"search": "A search", "payee": "A payee's id", "batch": "The id of a batch"}
"""Parameter of any text → its name for people."""
STATES = ("calculated", "in_review", "held", "approved", "finalised", "paid", "voided", "superseded")
PAYMENT_STATES = ("instructed", "settled", "rejected", "returned", "voided")
ORDERS = {"period": "newest period first", "payable": "largest first, by currency", "payee": "by payee"}
ALL = "all"
"""The period of a list without a condition on it."""


@dataclass(frozen=True)
class Asked:
    """A list as a visitor asked for it."""

    read: Callable[[int, int], RowPage[Any]]
    """Offset and most rows → a part of the list."""
    query: Mapping[str, str]
    """The conditions, as the address has them."""
    choices: Mapping[str, object]
    """What can be chosen on the page."""


Ask = Callable[[Visit], Awaitable[Asked | Response]]


def finance_list_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; none is for callers bound to a payee. `/portal/statements` shows finance its list."""
    read = partial(page_route, portal, needs=Scope.STATEMENTS, is_own=False)
    return [
        read("/portal/finance/statements.csv", _file_of(_statements, "statements", StatementRow)),
        read("/portal/finance/payments", _page_of(_payments, "finance_payments.html")),
        read("/portal/finance/payments.csv", _file_of(_payments, "payments", PaymentRow)),
        read("/portal/finance/payees", _page_of(_payees, "finance_payees.html")),
        read("/portal/finance/payees.csv", _file_of(_payees, "payees", PayeeRow)),
    ]


async def finance_statements(visit: Visit) -> Response:
    """Return the page with the statements of all payees: by default those of the newest billed period."""
    return await _page_of(_statements, "finance_statements.html")(visit)


async def _statements(visit: Visit) -> Asked | Response:
    search, payee, state, order, text = _texts(visit, "search", "payee", "state", "order", "period")
    if state and state not in STATES:
        return visit.problem(422, "No such state", f"`state` is one of {', '.join(STATES)}.")
    if order and order not in ORDERS:
        return visit.problem(422, "No such order", f"`order` is one of {', '.join(ORDERS)}.")
    finance = visit.portal.finance
    periods = list(reversed(await visit.ask((), finance.billed_periods)))
    try:
        period = None if text == ALL else Period.parse(text) if text else next(iter(periods), None)
    except ValueError as error:
        return visit.problem(422, "No such period", f"{error}, or `{ALL}`.")

    def read(offset: int, count_max: int) -> RowPage[StatementRow]:
        return finance.statements(
            search=search,
            payee_id=payee,
            state=state,
            period=period,
            order=order or "period",
            offset=offset,
            count_max=count_max,
        )

    shown = period_text(period.start_on, period.end_on) if period else ALL
    query = {"search": search, "payee": payee, "state": state, "period": shown, "order": order or "period"}
    return Asked(read, query, {"periods": periods, "period": period, "states": STATES, "orders": ORDERS})


async def _payments(visit: Visit) -> Asked | Response:
    search, payee, state, batch = _texts(visit, "search", "payee", "state", "batch")
    if state and state not in PAYMENT_STATES:
        return visit.problem(422, "No such state", f"`state` is one of {', '.join(PAYMENT_STATES)}.")

    def read(offset: int, count_max: int) -> RowPage[PaymentRow]:
        return visit.portal.finance.payments(
            search=search, payee_id=payee, state=state, batch_id=batch, offset=offset, count_max=count_max
        )

    query = {"search": search, "payee": payee, "state": state, "batch": batch}
    return Asked(read, query, {"states": PAYMENT_STATES})


async def _payees(visit: Visit) -> Asked | Response:
    (search,) = _texts(visit, "search")

    def read(offset: int, count_max: int) -> RowPage[PayeeRow]:
        return visit.portal.finance.payees(search=search, offset=offset, count_max=count_max)

    return Asked(read, {"search": search}, {})


async def _asked(visit: Visit, ask: Ask) -> Asked | Response:
    """Return the list that the address names, or the page that says what is wrong with it."""
    for name, label in TEXTS.items():
        (text,) = _texts(visit, name)
        if (refused := visit.refused_search(text, label)) is not None:
            return refused
    return await ask(visit)


def _page_of(ask: Ask, template: str) -> Handler:
    """Return the handler of a page: 100 rows, the sums of the whole list, and the way to the other pages."""

    async def handler(visit: Visit) -> Response:
        number = visit.request.query_params.get("page", "1")
        if not is_number(number) or not 1 <= int(number) <= PAGES_MAX:
            return visit.problem(422, "No such page", f"`page` is a whole number from 1 to {PAGES_MAX:,}.")
        asked = await _asked(visit, ask)
        if isinstance(asked, Response):
            return asked
        offset = (int(number) - 1) * ROWS_SHOWN
        page = await visit.ask(None, asked.read, offset, ROWS_SHOWN)
        if page is None:
            return visit.not_now("The books")
        query = {name: value for name, value in asked.query.items() if value}
        number_before = min(int(number) - 1, max(1, -(-page.count // ROWS_SHOWN)))
        return visit.page(
            template,
            found=page,
            query=asked.query,
            first=offset + 1,
            last=offset + len(page.rows),
            as_file=urlencode(query),
            before=urlencode(query | {"page": str(number_before)}) if int(number) > 1 else None,
            after=urlencode(query | {"page": str(int(number) + 1)}) if offset + ROWS_SHOWN < page.count else None,
            choices=asked.choices,
        )

    return handler


def _file_of(ask: Ask, name: str, row: type) -> Handler:
    """Return the handler of a list as CSV: all rows that the conditions let through, at most 50,000."""

    async def handler(visit: Visit) -> Response:
        asked = await _asked(visit, ask)
        if isinstance(asked, Response):
            return asked
        page = await visit.ask(None, asked.read, 0, FILE_ROWS_MAX)
        if page is None:
            return visit.not_now("The books")
        if page.count > FILE_ROWS_MAX:
            sentence = f"The file would have {page.count:,} rows, and {FILE_ROWS_MAX:,} are allowed; narrow the list."
            return visit.problem(422, "Too many rows", sentence)
        return download(f"{name}.csv", rows_csv([field.name for field in fields(row)], page.rows))

    return handler


def rows_csv(columns: Sequence[str], rows: Sequence[Any]) -> bytes:
    """Return rows as CSV with a header line. Amounts are whole micros."""
    return csv_of(columns, ([_cell(getattr(row, column)) for column in columns] for row in rows))


def _cell(value: object) -> object:
    if isinstance(value, Period):
        return period_text(value.start_on, value.end_on)
    return machine(value) if isinstance(value, datetime) else value


def _texts(visit: Visit, *names: str) -> list[str]:
    """Return parameters of the address that `_asked` let through; empty without one."""
    return [visit.request.query_params.get(name, "").strip() for name in names]
