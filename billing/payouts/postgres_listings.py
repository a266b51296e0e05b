"""Statements, payments and payees in PostgreSQL, a page at a time, with the sums of the whole list."""

from typing import TYPE_CHECKING, Any

from billing.books.months import StateSum
from billing.books.postgres_statement_rows import STATE_OF_S
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

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_PAYEES_IN_FORCE = """
    SELECT payee_id, name, country FROM billing.payees
    WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)"""
_FOUND_BY = """
    (%(payee)s = '' OR x.payee_id = %(payee)s)
    AND (%(search)s = '' OR position(lower(%(search)s) IN lower(x.payee_id)) > 0
     OR position(lower(%(search)s) IN lower(coalesce(p.name, ''))) > 0)"""
_STATEMENTS = f"""
    WITH p AS ({_PAYEES_IN_FORCE}), found AS MATERIALIZED (
        SELECT s.*, coalesce(s.name, '') AS payee_name, {STATE_OF_S} AS state
        FROM (SELECT x.*, p.name FROM billing.statements x LEFT JOIN p USING (payee_id)
              WHERE (%(start)s::date IS NULL OR (x.period_start_on = %(start)s AND x.period_end_on = %(end)s))
                AND {_FOUND_BY}) AS s
    ), listed AS (SELECT * FROM found WHERE %(state)s = '' OR state = %(state)s)"""
_STATEMENT_SUMS = f"""{_STATEMENTS}
    SELECT state, currency, count(*), sum(payable_micros)::bigint FROM listed GROUP BY 1, 2 ORDER BY 2, 1"""
_STATEMENT_ORDER = {
    StatementOrder.PERIOD: 'period_start_on DESC, payee_id COLLATE "C", restatement_number DESC',
    StatementOrder.PAYABLE: (
        'currency, payable_micros DESC, period_start_on DESC, payee_id COLLATE "C", restatement_number DESC'
    ),
    StatementOrder.PAYEE: 'payee_id COLLATE "C", period_start_on DESC, restatement_number DESC',
}
_STATEMENT_ROWS = f"""{_STATEMENTS}
    SELECT statement_id, payee_id, payee_name, period_start_on, period_end_on, restatement_number, state, currency,
           billable_views, payable_micros + tax_micros, payable_micros
    FROM listed ORDER BY {{order}} OFFSET %(offset)s LIMIT %(most)s"""
_PAYMENTS = f"""
    WITH p AS ({_PAYEES_IN_FORCE}), listed AS MATERIALIZED (
        SELECT x.item_id, x.batch_id, x.payee_id, coalesce(p.name, '') AS payee_name, b.currency, x.amount_micros,
               b.execution_on, b.created_at, of_batch.state AS batch_state, c.state, c.reason, c.moved_at
        FROM billing.payout_items x JOIN billing.payout_batches b USING (batch_id)
        JOIN billing.current_states c ON c.subject_kind = 'payout' AND c.subject_id = x.item_id
        JOIN billing.current_states of_batch
             ON of_batch.subject_kind = 'payout_batch' AND of_batch.subject_id = x.batch_id
        LEFT JOIN p USING (payee_id)
        WHERE (%(batch)s = '' OR x.batch_id = %(batch)s) AND (%(state)s = '' OR c.state = %(state)s)
          AND {_FOUND_BY})"""
_PAYMENT_SUMS = f"""{_PAYMENTS}
    SELECT state, currency, count(*), sum(amount_micros)::bigint FROM listed GROUP BY 1, 2 ORDER BY 2, 1"""
_PAYMENT_ROWS = f"""{_PAYMENTS}
    SELECT item_id, batch_id, payee_id, payee_name, currency, amount_micros, execution_on, batch_state, state, reason,
           moved_at
    FROM listed ORDER BY created_at DESC, batch_id, payee_id COLLATE "C" OFFSET %(offset)s LIMIT %(most)s"""
_PAYEES = f"""
    WITH p AS ({_PAYEES_IN_FORCE}), owed AS (
        SELECT t.payee_id, t.currency, -sum(e.amount_micros)::bigint AS balance
        FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
        WHERE e.account = 'payable:' || t.payee_id GROUP BY 1, 2
    ), held AS (
        SELECT h.payee_id, h.currency, sum(h.amount_micros)::bigint AS amount FROM billing.holds h
        JOIN billing.current_states c ON c.subject_kind = 'hold' AND c.subject_id = h.hold_id
        WHERE c.state = 'pending' AND h.expires_at > now() GROUP BY 1, 2
    ), listed AS MATERIALIZED (
        SELECT x.payee_id, coalesce(p.name, '') AS payee_name, coalesce(p.country, '') AS country,
               coalesce(owed.currency, '') AS currency, coalesce(owed.balance, 0) AS balance,
               coalesce(held.amount, 0) AS held
        FROM (SELECT payee_id FROM p UNION SELECT payee_id FROM owed) AS x
        LEFT JOIN p USING (payee_id) LEFT JOIN owed USING (payee_id)
        LEFT JOIN held ON held.payee_id = x.payee_id AND held.currency = owed.currency
        WHERE {_FOUND_BY})"""
_PAYEE_SUMS = f"""{_PAYEES}
    SELECT CASE WHEN currency = '' THEN 'never_owed' WHEN balance > 0 THEN 'owed'
                WHEN balance < 0 THEN 'owes' ELSE 'nothing_due' END,
           currency, count(*), sum(balance)::bigint FROM listed GROUP BY 1, 2 ORDER BY 2, 1"""
_PAYEE_ROWS = f"""{_PAYEES}
    SELECT payee_id, payee_name, country, currency, balance, held FROM listed
    ORDER BY payee_id COLLATE "C", currency OFFSET %(offset)s LIMIT %(most)s"""


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
        rows, sums = self._read(_STATEMENT_ROWS.format(order=_STATEMENT_ORDER[order]), _STATEMENT_SUMS, given)
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
        rows, sums = self._read(_PAYMENT_ROWS, _PAYMENT_SUMS, given)
        return Listing([FoundPayment(*row) for row in rows], sums)

    def payees(self, search: str, part: RowRange) -> Listing[FoundPayee]:
        """Return a part of the payees of the catalogue in force, and of others who are owed something, by id."""
        rows, sums = self._read(_PAYEE_ROWS, _PAYEE_SUMS, {"search": search, "payee": "", **_parameters(part)})
        return Listing([FoundPayee(*row) for row in rows], sums)

    def _read(self, rows: str, sums: str, given: dict[str, Any]) -> tuple[list[tuple[Any, ...]], list[StateSum]]:
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            found = _rows(cursor, rows, given)
            return found, [StateSum(*row) for row in _rows(cursor, sums, given)]


def _parameters(part: RowRange) -> dict[str, Any]:
    """Return the parameters of a part."""
    return {"offset": part.offset, "most": part.count_max}


def _rows(cursor: "Cursor", query: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    cursor.execute(query, given)
    return cursor.fetchall()
