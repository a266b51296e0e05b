"""Appeals about traffic and the answers to them in PostgreSQL: each written once, and kept."""

import secrets
from datetime import date
from typing import TYPE_CHECKING, Any

from billing.books.traffic_appeals import TrafficAppeal, answer_by
from billing.errors import DatabaseRefusedError, StateError, UnknownNameError
from billing.postgres_answered_requests import answered, remember
from billing.postgres_session import Connect, one_transaction
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.refusals import DatabaseRule
from ingestion.contract.requests import OpenAppealError, RequestKey
from ingestion.contract.traffic import CLASS_OF_CODE
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.traffic_reasons import InvalidClass

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_FILE = """
    INSERT INTO billing.traffic_appeals (appeal_id, payee_id, event_day, invalid_class, objection, actor)
    VALUES (%s, %s, %s, %s, %s, %s)"""
_ANSWER = """
    INSERT INTO billing.traffic_appeal_answers (appeal_id, outcome, answer, actor) VALUES (%s, NULL, %s, %s)
    ON CONFLICT (appeal_id) DO NOTHING"""
_ANSWER_BY_DECISION = """
    INSERT INTO billing.traffic_appeal_answers (appeal_id, outcome, answer, actor)
    SELECT a.appeal_id, %s, %s, %s FROM billing.traffic_appeals a
    WHERE a.payee_id = %s AND a.event_day = %s AND a.invalid_class = %s
    ON CONFLICT (appeal_id) DO NOTHING"""
_APPEALS = """
    SELECT a.appeal_id, a.payee_id, a.event_day, a.invalid_class, a.objection, a.actor, a.received_at,
           w.outcome, w.answer, w.actor, w.answered_at
    FROM billing.traffic_appeals a LEFT JOIN billing.traffic_appeal_answers w USING (appeal_id)
    WHERE (%(payee)s::text IS NULL OR a.payee_id = %(payee)s) AND (%(id)s::text IS NULL OR a.appeal_id = %(id)s)
    ORDER BY a.received_at DESC, a.appeal_id"""


class PostgresTrafficAppeals:
    """Files and answers appeals; every method is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def file(self, payee_id: str, day: date, invalid_class: InvalidClass, objection: str, request: RequestKey) -> str:
        """Record an objection, once per request key; return the appeal's id.

        Raises:
            OpenAppealError: an appeal about the day and class is not answered yet.
            KeyReusedError: the key was used for another request before.
        """
        appeal_id = secrets.token_hex(8)
        try:
            with one_transaction(self._connect) as cursor:
                if (before := answered(cursor, request)) is not None:
                    return str(before["appeal_id"])
                cursor.execute(_FILE, (appeal_id, payee_id, day, invalid_class.value, objection, request.caller))
                remember(cursor, request, {"appeal_id": appeal_id})
        except DatabaseRefusedError as error:
            if not error.is_by(DatabaseRule.ONE_OPEN_TRAFFIC_APPEAL):
                raise
            raise OpenAppealError(error.sentence) from error
        return appeal_id

    def appeals(self, payee_id: str | None = None) -> list[TrafficAppeal]:
        """Return the appeals of a payee, or all, newest first."""
        with one_transaction(self._connect) as cursor:
            return _found(cursor, payee_id=payee_id)

    def answer(self, appeal_id: str, answer: str, actor: str) -> None:
        """Answer an appeal by a text; the same answer again changes nothing.

        Raises:
            UnknownNameError: there is no such appeal.
            StateError: it was answered otherwise.
            DatabaseRefusedError: it is the actor's own.
        """
        with one_transaction(self._connect) as cursor:
            found = _found(cursor, appeal_id=appeal_id)
            if not found:
                raise UnknownNameError(f"there is no appeal {appeal_id}; `traffic appeals list` lists them")
            cursor.execute(_ANSWER, (appeal_id, answer, actor))
            if cursor.rowcount:
                return
            (before,) = _found(cursor, appeal_id=appeal_id)
        if (before.answer, before.answered_by) != (answer, actor):
            raise StateError(f"appeal {appeal_id} was answered before by {before.answered_by}; an answer is final")


def answer_by_decision(cursor: "Cursor", decision: TrafficDecision, actor: str) -> None:
    """Answer the open appeals about a decision's payee, day and class, in the transaction of the decision."""
    group = decision.group
    if (its_class := CLASS_OF_CODE.get(group.reason)) is not None:
        row = (decision.outcome.value, answer_by(decision), actor, group.payee_id, group.day, its_class.value)
        cursor.execute(_ANSWER_BY_DECISION, row)


def _found(cursor: "Cursor", *, payee_id: str | None = None, appeal_id: str | None = None) -> list[TrafficAppeal]:
    cursor.execute(_APPEALS, {"payee": payee_id, "id": appeal_id})
    return [_appeal(row) for row in cursor]


def _appeal(row: tuple[Any, ...]) -> TrafficAppeal:
    appeal_id, payee_id, day, its_class, objection, actor, received_at, outcome, *answer = row
    decided = None if outcome is None else TrafficOutcome(outcome)
    head = (appeal_id, payee_id, day, InvalidClass(its_class), objection, actor, received_at)
    return TrafficAppeal(*head, decided, *answer)
