"""Wire the answers about single events: the books in PostgreSQL, the events through the SQL server."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from uuid import UUID

from batch_layer.errors import BatchError
from batch_layer.published.published_names import QueryError
from billing.errors import BillingError
from billing.postgres_session import one_transaction
from billing.proof.event_answers import EventAnswer, EventAnswers, PartAnswer
from billing.proof.postgres_proofs import PostgresProofs
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.settings.declared.servers import PARTITIONS, REDIS_URL, SPEED_NAMESPACE, SQL_URL
from jobs.wiring.billing_settings import billing_connector
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.money.proofs import EventCopy, EventPart, EventPayment, PaidEvent, PaymentStatus, ProvenStatement
from speed_layer.redis_segment_store import RedisSegmentStore

logger = logging.getLogger(__name__)


@contextmanager
def open_event_answers(environ: Mapping[str, str], role: str = API_ROLE) -> Iterator[EventAnswers]:
    """Yield the answers wired by the settings VIEWLEDGER_{POSTGRES,SQL,REDIS}_URL. Connects on demand."""
    connect = billing_connector(environ, role)
    redis_url, namespace = REDIS_URL.read(environ), SPEED_NAMESPACE.read(environ)
    partition_count = PARTITIONS.read(environ)
    # imported here: Spark's client takes a second to load, which a refusal need not wait for
    from batch_layer.published.spark_connect import PublishedTables
    from batch_layer.settled.iceberg_settled_events import IcebergSettledEvents, events_by_sql_server

    def current_version() -> int | None:
        with one_transaction(connect) as cursor:
            cursor.execute("SELECT version FROM published.pointer")
            row = cursor.fetchone()
        return row[0] if row else None

    with (
        closing(PublishedTables(SQL_URL.read(environ))) as tables,
        closing(RedisSegmentStore.connect(redis_url, namespace=namespace)) as speed,
    ):

        def is_counted_since(event_id: str) -> bool | None:
            try:
                return speed.knows(UUID(event_id).bytes, partition_count)
            except UnavailableError:
                return None

        def events_of(version: int) -> IcebergSettledEvents:
            return events_by_sql_server(tables, version)

        yield EventAnswers(PostgresProofs(connect), events_of, current_version, is_counted_since)


class ServedProofs:
    """Serving's ports on billing's answers; if the tables contradict each other, they count as not answering."""

    def __init__(self, answers: EventAnswers) -> None:
        self._answers = answers

    def statement(self, statement_id: str) -> ProvenStatement | None:
        """Return a statement; None if there is none."""
        with _noted():
            head = self._answers.books.statement(statement_id)
        return ProvenStatement(head.payee_id, head.state) if head else None

    def events(self, statement_id: str, after: int) -> Iterator[PaidEvent]:
        """Yield the statement's events from number after + 1 on."""
        with _noted():
            head = self._answers.books.statement(statement_id)
            if head is None:
                return
            for number, paid in self._answers.statement_events(head, after):
                lines = tuple(line.line_index for line in paid.lines)
                yield PaidEvent(number, paid.event.video_id, paid.event.event_id, lines)

    def payment(self, event_id: str) -> EventPayment:
        """Return the result of an event."""
        with _noted():
            return payment_of(self._answers.payment(event_id))


def payment_of(answer: EventAnswer) -> EventPayment:
    """Return an answer in serving's form."""
    first = answer.copies[0] if answer.copies else None
    return EventPayment(
        event_id=answer.event_id,
        status=PaymentStatus(answer.status),
        version=answer.version,
        video_id=first.video_id if first else None,
        event_day=first.event_day.isoformat() if first else None,
        reason=answer.reason,
        copies=tuple(EventCopy(each.partition, each.offset, each.received_at, each.verdict) for each in answer.copies),
        parts=tuple(map(_part, answer.parts)),
    )


def _part(part: PartAnswer) -> EventPart:
    head, line, proof = part.statement, part.line, part.proof
    return EventPart(
        payee_id=part.payee_id,
        status=PaymentStatus(part.status),
        reason=part.reason,
        statement_id=head.statement_id if head else None,
        period=str(head.period) if head else None,
        line_index=line.line_index if line else None,
        evidence_root=line.evidence_root if line else None,
        leaf_index=proof.leaf_index if proof else None,
        leaf_count=proof.leaf_count if proof else None,
        audit_path=tuple(each.hex() for each in proof.path) if proof else (),
    )


@contextmanager
def _noted() -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        logger.warning("proofs unavailable", extra={"fields": {"part": error.part, "reason": str(error)}})
        raise
    except (BillingError, BatchError, QueryError) as error:
        logger.warning("proofs unavailable", extra={"fields": {"part": Part.SQL, "reason": str(error)}})
        raise UnavailableError(Part.SQL, str(error)) from error
