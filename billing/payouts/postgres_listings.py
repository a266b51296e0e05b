"""Statements, payments and payees in PostgreSQL, a page at a time, with the sums of the whole list."""

from typing import Any

from billing.books.months import StateSum
from billing.books.postgres_statement_rows import IS_PENDING_HOLD, STATE_OF_S, state_of
from billing.payouts.listings import (
    FoundPayee,
    FoundPayment,
    FoundStatement,
    Listing,
    PaymentFilter,
    RowRange,
    StatementFilter,
    StatementOrder,
)
from billing.postgres_session import Connect, one_transaction
from ingestion.contract.periods import Period

_PAYEES_IN_FORCE = """
    SELECT payee_id, name, country FROM billing.payees
    WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)"""
_FOUND_BY = """
    (%(payee)s = '' OR x.payee_id = %(payee)s)
    AND (%(search)s = '' OR position(lower(%(search)s) IN lower(x.payee_id)) > 0
     OR position(lower(%(search)s) IN lower(coalesce(p.name, ''))) > 0)"""
_PAGE = """{listed}, part AS (
        SELECT row_number() OVER (ORDER BY {order}) AS place, of_page.*
        FROM (SELECT * FROM listed ORDER BY {order} OFFSET %(offset)s LIMIT %(most)s) AS of_page
    ), sums AS (
        SELECT 1 AS place, json_agg(json_build_array(state, currency, number, amount) ORDER BY currency, state) AS found
        FROM (SELECT {state} AS state, currency, count(*) AS number, sum({amount})::bigint AS amount
              FROM listed GROUP BY 1, 2) AS each
    )
    SELECT sums.found, part.place, {columns} FROM part FULL JOIN sums USING (place) ORDER BY part.place"""
"""Rows and sums from one list that is read once: the sums are beside the first row, or alone."""
_STATEMENTS = f"""
    WITH p AS ({_PAYEES_IN_FORCE}), found AS MATERIALIZED (
        SELECT s.*, {STATE_OF_S} AS state
        FROM (SELECT x.statement_id, x.payee_id, coalesce(p.name, '') AS payee_name, x.period_start_on, x.period_end_on,
                     x.restatement_number, x.currency, x.billable_views, x.payable_micros, x.tax_micros
              FROM billing.statements x LEFT JOIN p USING (payee_id)
              WHERE (%(start)s::date IS NULL OR (x.period_start_on = %(start)s AND x.period_end_on = %(end)s))
                AND {_FOUND_BY}) AS s
    ), listed AS (SELECT * FROM found WHERE %(state)s = '' OR state = %(state)s)"""
_STATEMENT_ORDER = {
    StatementOrder.PERIOD: 'period_start_on DESC, payee_id COLLATE "C", restatement_number DESC',
    StatementOrder.PAYABLE: (
        'currency, payable_micros DESC, period_start_on DESC, payee_id COLLATE "C", restatement_number DESC'
    ),
    StatementOrder.PAYEE: 'payee_id COLLATE "C", period_start_on DESC, restatement_number DESC',
}
_STATEMENT_PAGES = {
    order: _PAGE.format(
        listed=_STATEMENTS,
        order=by,
        state="state",
        amount="payable_micros",
        columns="statement_id, payee_id, payee_name, period_start_on, period_end_on, restatement_number, state, "
        "currency, billable_views, payable_micros + tax_micros, payable_micros",
    )
    for order, by in _STATEMENT_ORDER.items()
}
_PAYMENTS = f"""
    WITH p AS ({_PAYEES_IN_FORCE}), listed AS MATERIALIZED (
        SELECT x.item_id, x.batch_id, x.payee_id, coalesce(p.name, '') AS payee_name, b.currency, x.amount_micros,
               b.execution_on, b.created_at, c.state, c.reason, c.moved_at
        FROM billing.payout_items x JOIN billing.payout_batches b USING (batch_id)
        CROSS JOIN LATERAL (
            SELECT to_state AS state, reason, moved_at FROM billing.transitions
            WHERE subject_kind = 'payout' AND subject_id = x.item_id ORDER BY transition_index DESC LIMIT 1) AS c
        LEFT JOIN p USING (payee_id)
        WHERE (%(batch)s = '' OR x.batch_id = %(batch)s) AND (%(state)s = '' OR c.state = %(state)s)
          AND {_FOUND_BY})"""
_PAYMENT_PAGE = _PAGE.format(
    listed=_PAYMENTS,
    order='created_at DESC, batch_id, payee_id COLLATE "C"',
    state="state",
    amount="amount_micros",
    columns="item_id, batch_id, payee_id, payee_name, currency, amount_micros, execution_on, "
    f"{state_of('payout_batch', 'part.batch_id')}, "
    "state, reason, moved_at",
)
_PAYEES = f"""
    WITH p AS ({_PAYEES_IN_FORCE}), owed AS (
        SELECT x.payee_id, x.currency, -sum(e.amount_micros)::bigint AS balance
        FROM billing.transactions x JOIN billing.entries e USING (transaction_id) LEFT JOIN p USING (payee_id)
        WHERE e.account = 'payable:' || x.payee_id AND {_FOUND_BY} GROUP BY 1, 2
    ), held AS (
        SELECT h.payee_id, h.currency, sum(h.amount_micros)::bigint AS amount FROM billing.holds h
        WHERE {IS_PENDING_HOLD} GROUP BY 1, 2
    ), listed AS MATERIALIZED (
        SELECT x.payee_id, coalesce(p.name, '') AS payee_name, coalesce(p.country, '') AS country,
               coalesce(owed.currency, '') AS currency, coalesce(owed.balance, 0) AS balance,
               coalesce(held.amount, 0) AS held
        FROM (SELECT payee_id FROM p UNION SELECT payee_id FROM owed) AS x
        LEFT JOIN p USING (payee_id) LEFT JOIN owed USING (payee_id)
        LEFT JOIN held ON held.payee_id = x.payee_id AND held.currency = owed.currency
        WHERE {_FOUND_BY})"""
_PAYEE_PAGE = _PAGE.format(
    listed=_PAYEES,
    order='payee_id COLLATE "C", currency',
    state="CASE WHEN currency = '' THEN 'never_owed' WHEN balance > 0 THEN 'owed' "
    "WHEN balance < 0 THEN 'owes' ELSE 'nothing_due' END",
    amount="balance",
    columns="payee_id, payee_name, country, currency, balance, held",
)


class PostgresListings:
    """Reads the lists; every call is one read-only database transaction on one snapshot."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def statements(self, wanted: StatementFilter, order: StatementOrder, part: RowRange) -> Listing[FoundStatement]:
        """Return a part of the statements that a filter lets through; the sums are payable."""
        start, end = (wanted.period.start_on, wanted.period.end_on) if wanted.period else (None, None)
        given = {
            "search": wanted.search,
            "payee": wanted.payee_id,
            "state": wanted.state,
            "start": start,
            "end": end,
            **_parameters(part),
        }
        rows, sums = self._read(_STATEMENT_PAGES[order], given)
        values: list[list[Any]] = [[*row[:3], Period(*row[3:5]), *row[5:]] for row in rows]
        return Listing([FoundStatement(*each) for each in values], sums)

    def payments(self, wanted: PaymentFilter, part: RowRange) -> Listing[FoundPayment]:
        """Return a part of the payments that a filter lets through, the newest batch first."""
        given = {
            "search": wanted.search,
            "payee": wanted.payee_id,
            "state": wanted.state,
            "batch": wanted.batch_id,
            **_parameters(part),
        }
        rows, sums = self._read(_PAYMENT_PAGE, given)
        return Listing([FoundPayment(*row) for row in rows], sums)

    def payees(self, search: str, part: RowRange) -> Listing[FoundPayee]:
        """Return a part of the payees of the catalogue in force, and of others who are owed something, by id."""
        rows, sums = self._read(_PAYEE_PAGE, {"search": search, "payee": "", **_parameters(part)})
        return Listing([FoundPayee(*row) for row in rows], sums)

    def _read(self, page: str, given: dict[str, Any]) -> tuple[list[tuple[Any, ...]], list[StateSum]]:
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(page, given)
            found = cursor.fetchall()
        (sums, *_), *_ = found
        return [row[2:] for row in found if row[1] is not None], [StateSum(*each) for each in sums or ()]


def _parameters(part: RowRange) -> dict[str, Any]:
    """Return the parameters of a part."""
    return {"offset": part.offset, "most": part.count_max}
