"""Read from PostgreSQL how a period comes from the events received to what is paid out."""

from typing import TYPE_CHECKING, Any

from billing.books.funnel import Funnel, MoneyStages, PayeeChange, event_stages
from billing.books.postgres_statement_rows import STATE_OF_S
from billing.postgres_session import Connect, one_transaction
from billing.rating.view_chain import NOT_BILLABLE
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

CHANGES_MAX = 10
"""Of each currency."""
_VERSION = """
    SELECT version, (SELECT min(value::timestamptz) FROM jsonb_array_elements_text(watermarks)),
           EXISTS (SELECT FROM published.tally_changes)
    FROM published.versions JOIN published.pointer USING (version)"""
_TALLY = """
    SELECT verdict, sum(events_change)::bigint FROM published.tally_changes
    WHERE event_day >= %(start)s AND event_day < %(end)s GROUP BY verdict"""
_BILLABLE = """
    SELECT coalesce(sum(billable_views), 0)::bigint FROM published.day_totals
    WHERE payee_id = '' AND event_day >= %(start)s AND event_day < %(end)s"""
_BEFORE = """
    SELECT period_start_on, period_end_on FROM billing.runs WHERE period_end_on <= %(start)s
    ORDER BY period_end_on DESC, period_start_on LIMIT 1"""
# of each payee the statement in the ledger, else the newest that is not gone
_IN_FORCE = f"""
    SELECT DISTINCT ON (payee_id) * FROM (
        SELECT s.statement_id, s.payee_id, s.currency, s.billable_views, s.restatement_number, s.tax_micros,
               s.payable_micros, s.outcomes, s.payable_micros::numeric + s.tax_micros AS earned, {STATE_OF_S} AS state
        FROM billing.statements s WHERE s.period_start_on = %({{start}})s AND s.period_end_on = %({{end}})s) AS found
    WHERE state NOT IN ('superseded', 'voided')
    ORDER BY payee_id, state IN ('finalised', 'paid') DESC, restatement_number DESC"""
_NOW, _THEN = _IN_FORCE.format(start="start", end="end"), _IN_FORCE.format(start="before_start", end="before_end")
_MONEY = f"""
    SELECT currency, count(*), sum(billable_views)::bigint, sum(earned)::bigint, sum(tax_micros)::bigint,
           sum(payable_micros)::bigint,
           sum(CASE WHEN state IN ('calculated', 'in_review', 'approved') THEN payable_micros ELSE 0 END)::bigint,
           sum(CASE WHEN state = 'held' THEN payable_micros ELSE 0 END)::bigint,
           sum(CASE WHEN state IN ('finalised', 'paid') AND payee_id = '{SUSPENSE}' THEN payable_micros
                    ELSE 0 END)::bigint,
           sum(CASE WHEN state = 'finalised' AND payee_id <> '{SUSPENSE}' THEN payable_micros ELSE 0 END)::bigint,
           sum(CASE WHEN state = 'paid' AND payee_id <> '{SUSPENSE}' THEN payable_micros ELSE 0 END)::bigint,
           count(*) FILTER (WHERE restatement_number > 0),
           coalesce((SELECT sum(n.delta_micros) FROM billing.notices n JOIN billing.statements x USING (statement_id)
                     WHERE x.period_start_on = %(start)s AND x.period_end_on = %(end)s
                       AND x.currency = in_force.currency), 0)::bigint
    FROM ({_NOW}) AS in_force GROUP BY currency ORDER BY currency"""
_OUTCOMES = f"""
    SELECT key, sum(value::bigint)::bigint FROM ({_NOW}) AS in_force, jsonb_each_text(outcomes)
    WHERE key = ANY(%(not_billable)s) GROUP BY key"""
_CHANGES = f"""
    WITH p AS (SELECT payee_id, name FROM billing.payees
               WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)),
    changes AS (
        SELECT payee_id, currency, b.statement_id AS before_id, n.statement_id AS now_id,
               coalesce(b.earned, 0) AS before_micros, coalesce(n.earned, 0) AS now_micros,
               coalesce(b.billable_views, 0) AS before_views, coalesce(n.billable_views, 0) AS now_views
        FROM ({_NOW}) AS n FULL JOIN ({_THEN}) AS b USING (payee_id, currency)),
    placed AS (
        SELECT *, row_number() OVER (
            PARTITION BY currency ORDER BY abs(now_micros - before_micros) DESC, payee_id COLLATE "C") AS place
        FROM changes WHERE now_micros <> before_micros)
    SELECT payee_id, coalesce(p.name, ''), currency, before_id, now_id, before_micros::bigint, now_micros::bigint,
           before_views, now_views
    FROM placed LEFT JOIN p USING (payee_id) WHERE place <= %(most)s ORDER BY currency, place"""


class PostgresFunnel:
    """Reads a period; every call is one read-only database transaction on one snapshot."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def funnel(self, period: Period) -> Funnel:
        """Return a period in the current version and in the books."""
        wanted: dict[str, object] = {"start": period.start_on, "end": period.end_on, "most": CHANGES_MAX}
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            version, settled_until, is_tallied = _first(cursor, _VERSION, wanted) or (None, None, False)
            cursor.execute(_TALLY, wanted)
            tally = dict(cursor.fetchall())
            (billable_views,) = _first(cursor, _BILLABLE, wanted) or (0,)
            cursor.execute(_MONEY, wanted)
            money = tuple(MoneyStages(*row) for row in cursor)
            cursor.execute(_OUTCOMES, wanted | {"not_billable": list(NOT_BILLABLE)})
            outcomes = dict(cursor.fetchall())
            before = _first(cursor, _BEFORE, wanted)
            changes: tuple[PayeeChange, ...] = ()
            if before is not None:
                cursor.execute(_CHANGES, wanted | {"before_start": before[0], "before_end": before[1]})
                changes = tuple(PayeeChange(*row) for row in cursor)
        return Funnel(
            period,
            version,
            settled_until,
            is_tallied,
            event_stages(tally, billable_views) if is_tallied else (),
            {each: outcomes[each] for each in NOT_BILLABLE if each in outcomes},
            money,
            None if before is None else Period(*before),
            changes,
        )


def _first(cursor: "Cursor", query: str, wanted: dict[str, object]) -> tuple[Any, ...] | None:
    cursor.execute(query, wanted)
    return cursor.fetchone()
