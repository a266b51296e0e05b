"""Read statements back from PostgreSQL, with their lines and states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from billing.books.postgres_statement_rows import STATE_OF_S, STATEMENT_OF_S, state_of, statement_of
from billing.books.statements import HeldStatement, PostedStatement, Statement
from billing.books.states import Transition
from billing.postgres_session import Connect, one_transaction
from billing.rating.rated_lines import RatedLine, SettledLine
from ingestion.contract.periods import Period

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_FULL = f"""
    SELECT {STATEMENT_OF_S}, {STATE_OF_S}, r.batch_version, r.catalogue_version, r.contract_version, r.calculated_at,
           (SELECT posted_at FROM billing.transactions t
            WHERE t.statement_id = s.statement_id AND t.kind IN ('statement', 'suspense'))
    FROM billing.statements s JOIN billing.runs r USING (run_id)"""
_OF_PERIOD = f"""{_FULL}
    WHERE s.payee_id = %(payee)s AND s.period_start_on = %(start)s AND s.period_end_on = %(end)s
      AND (%(number)s IS NULL OR s.restatement_number = %(number)s)
    ORDER BY {STATE_OF_S} = 'voided', s.restatement_number DESC LIMIT 1"""
_OF_PAYEE = f"""
    SELECT {STATEMENT_OF_S}, {STATE_OF_S} FROM billing.statements s WHERE s.payee_id = %s
    ORDER BY s.period_start_on DESC, s.restatement_number DESC LIMIT %s"""
_IN_STATE = f"""
    SELECT {STATEMENT_OF_S}, {STATE_OF_S} FROM billing.statements s
    WHERE {STATE_OF_S} = %(state)s
      AND (%(start)s IS NULL OR (s.period_start_on = %(start)s AND s.period_end_on = %(end)s))
    ORDER BY s.period_start_on, s.payee_id COLLATE "C" LIMIT %(most)s"""
_HELD = """
    SELECT s.statement_id, s.payee_id, s.period_start_on, s.period_end_on, c.moved_at, c.reason
    FROM billing.current_states c JOIN billing.statements s ON s.statement_id = c.subject_id
    WHERE c.subject_kind = 'statement' AND c.state = 'held' AND c.moved_at <= %s
    ORDER BY c.moved_at, s.payee_id COLLATE "C" """
_NEWEST = f"""
    SELECT {STATEMENT_OF_S}, {STATE_OF_S} FROM billing.statements s
    ORDER BY s.period_start_on DESC, s.payee_id COLLATE "C", s.restatement_number DESC LIMIT %s"""
_LINES = """
    SELECT video_id, owned_from_on, owned_to_on, share_ppm, effective_from_on, country, policy_version, kind,
           tier_index, event_start, event_end, quantity, rate_per_thousand_micros, settled_views, evidence_root,
           amount_micros, carried_nanomicros
    FROM billing.payment_audit WHERE statement_id = %s ORDER BY line_index"""
_OF_SAME_DAYS = """
    SELECT o.statement_id FROM billing.statements o
    WHERE o.payee_id = s.payee_id AND o.period_start_on = s.period_start_on AND o.period_end_on = s.period_end_on"""
# what the ledger held before it, and what it holds in its place: the numbers in between may never have been posted
_NEIGHBOURS = f"""
    SELECT ({_OF_SAME_DAYS} AND o.restatement_number < s.restatement_number AND EXISTS (
                SELECT FROM billing.transitions t WHERE t.subject_kind = 'statement'
                AND t.subject_id = o.statement_id AND t.to_state = 'finalised')
            ORDER BY o.restatement_number DESC LIMIT 1),
           ({_OF_SAME_DAYS} AND o.restatement_number > s.restatement_number
                AND {state_of("statement", "o.statement_id")} IN ('finalised', 'paid')
            ORDER BY o.restatement_number DESC LIMIT 1)
    FROM billing.statements s WHERE s.statement_id = %s"""
_NOTICES = """
    SELECT n.payee_id, n.statement_id, s.period_start_on, s.period_end_on, s.currency, n.delta_micros, r.cause,
           n.noticed_at, s.causes
    FROM billing.notices n JOIN billing.statements s USING (statement_id) JOIN billing.runs r USING (run_id)
    WHERE %(payee)s IS NULL OR n.payee_id = %(payee)s ORDER BY n.notice_id DESC"""
# the statement in the ledger that comes before: of the same period, else of the newest one before it
_BEFORE = f"""
    SELECT w.statement_id, b.period_start_on, b.period_end_on, b.earned
    FROM billing.statements w CROSS JOIN LATERAL (
        SELECT s.period_start_on, s.period_end_on, s.payable_micros + s.tax_micros AS earned FROM billing.statements s
        WHERE s.payee_id COLLATE "C" = w.payee_id COLLATE "C" AND s.currency = w.currency
          AND s.statement_id <> w.statement_id AND s.period_end_on <= w.period_end_on
          AND {STATE_OF_S} IN ('finalised', 'paid')
        ORDER BY s.period_end_on DESC, s.restatement_number DESC LIMIT 1) AS b
    WHERE w.statement_id = ANY(%s)"""
_NEWEST_STEPS = """
    SELECT DISTINCT ON (subject_id) subject_id, from_state, to_state, actor, reason, moved_at
    FROM billing.transitions WHERE subject_kind = 'statement' AND subject_id = ANY(%s)
    ORDER BY subject_id, transition_index DESC"""
_STEPS = """
    SELECT subject_id, from_state, to_state, actor, reason, moved_at FROM billing.transitions
    WHERE subject_kind = 'statement' AND subject_id = ANY(%s) ORDER BY subject_id, transition_index"""
_TRANSITIONS = """
    SELECT from_state, to_state, actor, reason, moved_at FROM billing.transitions
    WHERE subject_kind = %s AND subject_id = %s ORDER BY transition_index"""


@dataclass(frozen=True)
class Notice:
    """A payee's notice of a restatement."""

    payee_id: str
    statement_id: str
    """The new statement."""
    period: Period
    currency: str
    delta_micros: int
    """Earned now minus earned before."""
    cause: str
    """Why the period was restated, in words."""
    noticed_at: datetime
    causes: Mapping[str, int] | None = None
    """Cause → its part of the difference; None for restatements from before causes were stored."""


class PostgresStatements:
    """Implements `billing.books.book_ports.StatementReader`."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def statement(self, payee_id: str, period: Period, restatement_number: int | None = None) -> PostedStatement | None:
        """Return a statement with its lines; without a number, the newest that is not voided."""
        wanted = {"payee": payee_id, "start": period.start_on, "end": period.end_on, "number": restatement_number}
        return self._one(_OF_PERIOD, wanted)

    def statement_by_id(self, statement_id: str) -> PostedStatement | None:
        """Return a statement with its lines; None if there is no such statement."""
        return self._one(_FULL + " WHERE s.statement_id = %(id)s", {"id": statement_id})

    def neighbours(self, statement_id: str) -> tuple[str | None, str | None]:
        """Return the last statement of the same payee and days in the ledger before it, and the one in its place now.

        None where there is none: statements that were never posted are left out.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute(_NEIGHBOURS, (statement_id,))
            before, after = cursor.fetchone() or (None, None)
            return before, after

    def of_payee(self, payee_id: str, count_max: int = 1000) -> list[tuple[Statement, str]]:
        """Return a payee's statements with their states, newest period and restatement first."""
        return self._listed(_OF_PAYEE, (payee_id, count_max))

    def newest(self, count_max: int) -> list[tuple[Statement, str]]:
        """Return statements of all payees with their states, newest period first."""
        return self._listed(_NEWEST, (count_max,))

    def newest_steps(self, statement_ids: Sequence[str]) -> dict[str, Transition]:
        """Return the newest step of each statement."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_NEWEST_STEPS, (list(statement_ids),))
            return {statement_id: Transition(*step) for statement_id, *step in cursor}

    def steps(self, statement_ids: Sequence[str]) -> dict[str, list[Transition]]:
        """Return the steps of each statement, oldest first."""
        found: dict[str, list[Transition]] = {}
        with one_transaction(self._connect) as cursor:
            cursor.execute(_STEPS, (list(statement_ids),))
            for statement_id, *step in cursor:
                found.setdefault(statement_id, []).append(Transition(*step))
        return found

    def before(self, statement_ids: Sequence[str]) -> dict[str, tuple[Period, int]]:
        """Return statement → period and earned micros of the posted statement before it, where there is one.

        That is the one of the same payee, currency and period; else of the newest period before.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute(_BEFORE, (list(statement_ids),))
            return {statement_id: (Period(start, end), earned) for statement_id, start, end, earned in cursor}

    def in_state(
        self, state: str, period: Period | None = None, *, count_max: int | None = None
    ) -> list[tuple[Statement, str]]:
        """Return the statements in a state, of one period or of all: every one, or the first `count_max`."""
        start, end = (period.start_on, period.end_on) if period else (None, None)
        return self._listed(_IN_STATE, {"state": state, "start": start, "end": end, "most": count_max})

    def held_since(self, instant: datetime) -> list[HeldStatement]:
        """Return the statements that have been held since an instant or longer, the longest held first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_HELD, (instant,))
            rows: list[list[Any]] = [[*row[:2], Period(*row[2:4]), *row[4:]] for row in cursor]
            return [HeldStatement(*row) for row in rows]

    def notices(self, payee_id: str | None = None) -> list[Notice]:
        """Return the notices of a payee (or of all), newest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_NOTICES, {"payee": payee_id})
            rows: list[list[Any]] = [[*row[:2], Period(*row[2:4]), *row[4:]] for row in cursor]
            return [Notice(*row) for row in rows]

    def transitions(self, kind: str, subject_id: str) -> list[Transition]:
        """Return the steps of a subject, oldest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_TRANSITIONS, (kind, subject_id))
            return [Transition(*row) for row in cursor]

    def _listed(self, query: str, wanted: Any) -> list[tuple[Statement, str]]:
        with one_transaction(self._connect) as cursor:
            cursor.execute(query, wanted)
            return [(statement, str(rest[0])) for statement, rest in map(statement_of, cursor)]

    def _one(self, query: str, wanted: dict[str, Any]) -> PostedStatement | None:
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(query, wanted)
            row = cursor.fetchone()
            if row is None:
                return None
            statement, rest = statement_of(row)
            return PostedStatement(statement, _lines(cursor, statement.statement_id), *rest)


def _lines(cursor: "Cursor", statement_id: str) -> tuple[SettledLine, ...]:
    cursor.execute(_LINES, (statement_id,))
    return tuple(SettledLine(RatedLine(*row[:15]), *row[15:]) for row in cursor)
