"""A calendar year of a payee's account in the ledger, for the payee: every posting, and the balance before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from billing.postgres_session import Connect, one_transaction
from ingestion.contract.periods import Period

# a statement is effective at the midnight that ends its period, which belongs to that period and not to the next year
_POSTINGS = """
    WITH postings AS (
        SELECT t.transaction_id, t.posted_at, t.payee_sequence, t.kind, t.currency, t.statement_id,
               split_part(t.idempotency_key, ':', 2) AS subject_id,
               (t.effective_at - CASE WHEN t.statement_id IS NULL THEN interval '0' ELSE interval '1 microsecond' END
               )::date AS day,
               -sum(e.amount_micros) FILTER (WHERE e.account = 'payable:' || t.payee_id) AS amount_micros,
               -coalesce(sum(e.amount_micros) FILTER (WHERE e.account LIKE 'withheld-tax:%%'), 0) AS tax_micros
        FROM billing.transactions t JOIN billing.entries e USING (transaction_id)
        WHERE t.payee_id = %(payee)s GROUP BY t.transaction_id
        HAVING bool_or(e.account = 'payable:' || t.payee_id)
    )"""
_BEFORE = f"""{_POSTINGS}
    SELECT currency, sum(amount_micros)::bigint FROM postings WHERE day < %(start)s GROUP BY currency"""
_OF_YEAR = f"""{_POSTINGS}
    SELECT p.day, p.posted_at, p.kind, p.currency, p.amount_micros::bigint, p.tax_micros::bigint, p.statement_id,
           s.period_start_on, s.period_end_on, o.item_id, o.account
    FROM postings p LEFT JOIN billing.statements s USING (statement_id)
    LEFT JOIN billing.shown_payouts o ON o.payee_id = %(payee)s AND o.item_id = p.subject_id
    WHERE p.day >= %(start)s AND p.day < %(end)s
    ORDER BY p.currency, p.day, p.posted_at, p.payee_sequence, p.transaction_id"""
_YEARS = f"{_POSTINGS} SELECT DISTINCT extract(year FROM day)::integer FROM postings ORDER BY 1"


@dataclass(frozen=True)
class YearPosting:
    """One posting on a payee's account."""

    day: date
    """The last day of a statement's period, the day of a payout."""
    posted_at: datetime
    kind: str
    """`statement`, `reversal`, `payout`, `payout_returned`, …"""
    currency: str
    amount_micros: int
    """Owed to the payee: positive."""
    tax_micros: int
    """Withheld with it; the payee earned this in addition."""
    statement_id: str | None
    period: Period | None
    """Of a statement."""
    item_id: str | None
    """Of a payout: the reference on the payee's bank statement."""
    account: str | None
    """Of a payout: the country and the last four characters."""


@dataclass(frozen=True)
class YearOfPayee:
    """A year of one instant."""

    before: Mapping[str, int]
    """Currency → what was owed when the year began."""
    postings: Sequence[YearPosting]
    """By currency, then by day and in the order of posting."""


def years_of_payee(connect: Connect, payee_id: str) -> list[int]:
    """Return the years in which something was posted for a payee, ascending."""
    with one_transaction(connect) as cursor:
        cursor.execute(_YEARS, {"payee": payee_id})
        return [year for (year,) in cursor]


def year_of_payee(connect: Connect, payee_id: str, year: int) -> YearOfPayee:
    """Return a calendar year (UTC) of a payee's account."""
    wanted = {"payee": payee_id, "start": date(year, 1, 1), "end": date(year + 1, 1, 1)}
    with one_transaction(connect) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(_BEFORE, wanted)
        before = dict(cursor.fetchall())
        cursor.execute(_OF_YEAR, wanted)
        postings = [_posting(row) for row in cursor]
    return YearOfPayee(before, postings)


def _posting(row: tuple[Any, ...]) -> YearPosting:
    day, posted_at, kind, currency, amount, tax, statement_id, start_on, end_on, item_id, account = row
    period = None if start_on is None else Period(start_on, end_on)
    return YearPosting(day, posted_at, kind, currency, amount, tax, statement_id, period, item_id, account)
