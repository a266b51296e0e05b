"""Read from PostgreSQL what the books hold of a period, for the person who closes it."""

from typing import TYPE_CHECKING, Any

from billing.books.months import DUE, IN_SUSPENSE, NOTHING_DUE, ClosingFigures, PeriodWaits, StateSum
from billing.books.postgres_statement_rows import IS_PENDING_HOLD, STATE_OF_S
from billing.payouts.account_entries import SUSPENSE_OF_BANK
from billing.postgres_session import Connect, one_transaction
from billing.rating.preconditions import unjudged_days
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period
from ingestion.contract.version import rules_of

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_VERSION = """
    SELECT version, (SELECT min(value::timestamptz) FROM jsonb_array_elements_text(watermarks)),
           coalesce(offsets ->> 'topic', ''), day_rules
    FROM published.versions JOIN published.pointer USING (version)"""
_DIFFERENCE = "SELECT differences ->> 0 FROM published.open_differences ORDER BY reconciliation_id LIMIT 1"
# as a billing run asks: which versions no comparison of everything has reached
_RECONCILED = """
    SELECT max(reconciled_at),
           (SELECT min(v.version) FROM published.versions v WHERE v.version > coalesce(max(r.version), 0))
    FROM published.reconciliations r WHERE kind = 'run' OR received_day IS NULL"""
_TERMS = """
    SELECT (SELECT max(catalogue_version) FROM billing.catalogues_in_force),
           (SELECT max(contract_version) FROM billing.contracts_in_force),
           (SELECT count(*) FROM billing.proposals)"""
_OVERLAPPING = """
    SELECT DISTINCT period_start_on, period_end_on FROM billing.runs
    WHERE period_start_on < %(end)s AND %(start)s < period_end_on
      AND (period_start_on, period_end_on) <> (%(start)s, %(end)s) ORDER BY period_start_on"""
# not all finalised statements are due
_STATEMENTS = f"""
    SELECT CASE WHEN state <> 'finalised' THEN state WHEN payee_id = '{SUSPENSE}' THEN '{IN_SUSPENSE}'
                WHEN payable_micros <= 0 THEN '{NOTHING_DUE}' ELSE '{DUE}' END AS shown,
           currency, count(*), sum(earned)::bigint
    FROM (SELECT {STATE_OF_S} AS state, currency, payee_id, payable_micros,
                 payable_micros::numeric + tax_micros AS earned
          FROM billing.statements s WHERE period_start_on = %(start)s AND period_end_on = %(end)s) AS found
    GROUP BY shown, currency ORDER BY currency, shown"""
_PAYMENTS = """
    SELECT c.state, b.currency, count(*), sum(i.amount_micros)::bigint
    FROM billing.payout_items i JOIN billing.payout_batches b USING (batch_id)
    JOIN billing.current_states c ON c.subject_kind = 'payout' AND c.subject_id = i.item_id
    GROUP BY c.state, b.currency ORDER BY b.currency, c.state"""
_SUSPENSE = """
    SELECT e.account, t.currency, 0, -sum(e.amount_micros)::bigint
    FROM billing.entries e JOIN billing.transactions t USING (transaction_id)
    WHERE e.account IN (%(unattributed)s, %(bank)s)
    GROUP BY e.account, t.currency HAVING sum(e.amount_micros) <> 0 ORDER BY t.currency, e.account"""
_HOLDS = f"""
    SELECT 'pending', h.currency, count(*), sum(h.amount_micros)::bigint
    FROM billing.holds h WHERE {IS_PENDING_HOLD} GROUP BY h.currency ORDER BY h.currency"""
_APPEALS = """
    SELECT count(*) FROM billing.appeals a
    JOIN billing.current_states c ON c.subject_kind = 'appeal' AND c.subject_id = a.appeal_id
    WHERE c.state = 'received'"""
_ESTIMATES = """
    SELECT 'estimated', currency, sum(billable_views)::bigint, sum(earned_micros)::bigint,
           max(estimated_at), max(batch_version)
    FROM billing.estimates WHERE period_start_on = %(start)s AND period_end_on = %(end)s
    GROUP BY currency ORDER BY currency"""
# from the few steps into these states, not from all statements
_WAITING = f"""
    SELECT s.period_start_on, s.period_end_on, count(*) FILTER (WHERE w.to_state = 'in_review'),
           count(*) FILTER (WHERE w.to_state = 'held'), count(*) FILTER (WHERE w.to_state = 'approved')
    FROM billing.transitions w
    JOIN billing.statements s ON w.subject_kind = 'statement' AND s.statement_id = w.subject_id
    WHERE w.to_state IN ('in_review', 'held', 'approved') AND w.to_state = {STATE_OF_S}
      AND NOT EXISTS (SELECT FROM billing.transitions n WHERE n.subject_kind = 'statement'
                      AND n.subject_id = w.subject_id AND n.transition_index > w.transition_index)
    GROUP BY 1, 2 ORDER BY 1, 2"""


class PostgresMonths:
    """Reads the figures; every call is one read-only database transaction on one snapshot."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def figures(self, period: Period) -> ClosingFigures:
        """Return what the books hold of a period."""
        wanted = {
            "start": period.start_on,
            "end": period.end_on,
            "unattributed": SUSPENSE,
            "bank": SUSPENSE_OF_BANK,
        }
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            batch_version, settled_until, topic, day_rules = _row(cursor, _VERSION) or (None, None, "", {})
            (difference,) = _row(cursor, _DIFFERENCE) or ("",)
            reconciled_at, unreconciled_from = _row(cursor, _RECONCILED) or (None, None)
            catalogue_version, contract_version, proposal_count = _row(cursor, _TERMS) or (None, None, 0)
            cursor.execute(_OVERLAPPING, wanted)
            overlapping = tuple(Period(*row) for row in cursor)
            (open_appeals,) = _row(cursor, _APPEALS) or (0,)
            statements, payments, suspense, holds = (
                _sums(cursor, query, wanted) for query in (_STATEMENTS, _PAYMENTS, _SUSPENSE, _HOLDS)
            )
            cursor.execute(_ESTIMATES, wanted)
            estimates = cursor.fetchall()
        return ClosingFigures(
            period=period,
            batch_version=batch_version,
            settled_until=settled_until,
            unjudged_days=tuple(unjudged_days(period, rules_of(day_rules, topic))),
            difference=difference or "",
            reconciled_at=reconciled_at,
            unreconciled_from=unreconciled_from,
            catalogue_version=catalogue_version,
            contract_version=contract_version,
            proposal_count=proposal_count,
            overlapping=overlapping,
            statements=statements,
            payments=payments,
            suspense=suspense,
            holds=holds,
            open_appeals=open_appeals,
            estimates=tuple(StateSum(*row[:4]) for row in estimates),
            estimated_at=max((row[4] for row in estimates), default=None),
            estimated_version=max((row[5] for row in estimates), default=None),
        )

    def waiting(self) -> list[PeriodWaits]:
        """Return the periods with statements that wait for a person, by their first day."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_WAITING)
            return [PeriodWaits(Period(*row[:2]), *row[2:]) for row in cursor]


def _row(cursor: "Cursor", query: str) -> tuple[Any, ...] | None:
    cursor.execute(query)
    return cursor.fetchone()


def _sums(cursor: "Cursor", query: str, wanted: dict[str, Any]) -> tuple[StateSum, ...]:
    cursor.execute(query, wanted)
    return tuple(StateSum(*row) for row in cursor)
