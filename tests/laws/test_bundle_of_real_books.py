"""From real events through Spark, billing and PostgreSQL to a bundle: the verifier agrees, a superuser is found out."""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from batch_layer.settled.iceberg_settled_events import IcebergSettledEvents, events_at_snapshots
from batch_layer.settled.iceberg_settled_views import IcebergSettledViews
from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.postgres_session import connector
from billing.proof.event_answers import EventAnswers
from billing.proof.file_bundle import BundledBooks, BundleReader, write_bundle
from billing.proof.postgres_bundle import newest_versions, records_of_period
from billing.proof.postgres_proofs import PostgresProofs
from billing.rating.attribution import Attribution
from billing.rating.rating import rate_period
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent
from ingestion.contract.merkle import is_included
from ingestion.contract.periods import Period
from ingestion.intake import AdmittedEvent
from ingestion.jwt_receipts import public_key_set
from jobs.local_stack.stack import LocalStack
from tests.batch_fakes import Message
from tests.billing_fakes import run_of
from tests.billing_postgres import put_in_force
from tests.checkpoint_books import TODAY, Books, books_of, copied
from tests.laws.test_settled_views_laws import CATALOGUE, CONTRACTS
from tests.random_logs import START, random_run
from tests.receipt_makers import KEYS, line_of
from tests.verifier import verifier

PERIOD = Period(START.date() - timedelta(days=3), START.date() + timedelta(days=3))
MADE_AT = datetime(2026, 11, 25, tzinfo=UTC)


@dataclass
class Billed:
    """Books of real events, signed; and the events."""

    books: Books
    events: IcebergSettledEvents
    messages: Sequence[Message]
    """The whole log."""

    def export(self, folder: Path, books: Books | None = None) -> Path:
        chosen = books or self.books
        connect, journal = connector(chosen.url), chosen.journal
        versions = newest_versions(connect, PERIOD)
        assert versions is not None
        end, _ = journal.close()
        bundled = BundledBooks(
            journal.records(1, end),
            records_of_period(connect, PERIOD, BundleReader.PAYEE),
            journal.unnoted(),
            journal.chain(),
            PostgresCatalogueStore(connect).catalogue(versions.catalogue_version),
        )
        write_bundle(
            folder, period=PERIOD, versions=versions, books=bundled, settled=self.events, traffic=None, made_at=MADE_AT
        )
        return folder

    def verify(self, folder: Path, **others: Any) -> dict[str, Any]:
        found: dict[str, Any] = verifier.verify(folder, self.books.key.public_key, [], **others)
        return found

    def answers(self) -> EventAnswers:
        return EventAnswers(
            PostgresProofs(connector(self.books.url)), lambda _: self.events, lambda: 1, lambda _: False
        )


@pytest.fixture(scope="module")
def billed(spark: SparkSession, stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Billed]:
    for row in (
        spark.sql("SHOW TABLES IN ledger.views").collect() if spark.catalog.databaseExists("ledger.views") else []
    ):
        spark.sql(f"DROP TABLE ledger.views.{row.tableName} PURGE")
    done = random_run(spark, random.Random(51), tmp_path_factory.mktemp("run"), count=120)
    version = done.versions.published[-1]
    with books_of(stack, tmp_path_factory.mktemp("books")) as books:
        connect = connector(books.url)
        store = PostgresCatalogueStore(connect)
        catalogue_version = store.import_catalogue(CATALOGUE, "test").version
        contract_version = store.import_contracts(CONTRACTS).version
        put_in_force(books.url)
        attribution = Attribution(PERIOD, CATALOGUE, CONTRACTS)
        run = run_of(PERIOD, batch_version=1, catalogue_version=catalogue_version, contract_version=contract_version)
        pieces = IcebergSettledViews(spark, version, lambda: []).pieces(attribution)
        post_bills(run, rate_period(pieces, attribution), PostgresBooks(connect))
        books.checkpoint(TODAY)
        yield Billed(books, events_at_snapshots(spark, version), done.log.all())


def test_the_verifier_agrees_with_everything_that_was_billed(billed: Billed, tmp_path: Path) -> None:
    found = billed.verify(billed.export(tmp_path / "bundle"))
    assert found["records_not_signed"] == 0
    assert found["statements"] == 3, "of both payees, and of what is nobody's"
    assert found["events"] > 50


def test_the_bundle_has_every_event_that_got_a_receipt_as_it_was_written(billed: Billed, tmp_path: Path) -> None:
    """Judged late, rejected, repeated or counted: each message that a collector admits is there, byte by byte."""
    folder, receipts, keys = billed.export(tmp_path / "bundle"), tmp_path / "receipts", tmp_path / "keys"
    keys.write_bytes(public_key_set(KEYS))
    admitted = [(message, decode_view_event(message.value)) for message in billed.messages]
    lines = [
        line_of([AdmittedEvent(str(event.event_id), event.video_id.encode(), message.value, event.timestamp)], at=at)
        for message, event in admitted
        if not isinstance(event, RejectedEvent) and (at := message.appended_at)
    ]
    receipts.write_bytes(b"".join(lines))
    found = billed.verify(folder, receipts=[receipts], receipt_keys=keys)
    assert found["receipted_events"] + found["receipted_events_elsewhere"] == len(lines)
    assert found["receipted_events"] > 50
    assert found["receipted_events_without_content"] == found["receipted_events_not_settled"] == 0


SECRET_CHANGES = {
    "an amount, with the sums put right": (
        "UPDATE billing.payment_audit SET amount_micros = amount_micros + 1",
        "UPDATE billing.statements SET payable_micros = payable_micros + line_count",
    ),
    "a deleted line": ("DELETE FROM billing.payment_audit WHERE line_index = 0",),
    "a deleted transaction": (
        "DELETE FROM billing.transactions",
        "DELETE FROM billing.journal WHERE kind = 'transaction'",
    ),
    "an owner": ("UPDATE billing.owners SET payee_id = 'ben' WHERE video_id = 'c'",),
    "a contract": ("UPDATE billing.rate_cards SET document = '{}'",),
    "a back-dated posting": ("UPDATE billing.transactions SET posted_at = posted_at - interval '1 year'",),
    "a back-dated journal": ("UPDATE billing.journal SET recorded_at = recorded_at - interval '1 year'",),
    "re-ordered statements": (
        "CREATE TEMPORARY TABLE t AS SELECT min(position) AS a, max(position) AS b FROM billing.journal "
        "WHERE kind = 'statement'",
        "UPDATE billing.journal j SET key = o.key FROM billing.journal o, t "
        "WHERE j.position IN (a, b) AND o.position = a + b - j.position",
    ),
    "a checkpoint made again": (
        "UPDATE billing.checkpoints SET body = replace(body, '\"record_count\":', '\"record_count\":1')",
    ),
}


@pytest.mark.parametrize("what", SECRET_CHANGES)
def test_what_a_superuser_changed_is_found_in_the_bundle(what: str, billed: Billed, tmp_path: Path) -> None:
    with copied(billed.books) as spoilt:
        spoilt.tamper(*SECRET_CHANGES[what])
        folder = billed.export(tmp_path / "bundle", spoilt)
    with pytest.raises(verifier.WrongError) as wrong:
        billed.verify(folder)
    assert wrong.value.file.endswith((".jsonl", ".csv", ".gz"))


def test_every_billable_event_is_answered_with_a_path_to_its_line(billed: Billed) -> None:
    answers, statuses = billed.answers(), set[str]()
    ids = {event.event_id for event in billed.events.events(PERIOD) if event.event_id}
    for event_id in sorted(ids)[:25]:
        answer = answers.payment(event_id)
        statuses.add(answer.status)
        assert answer.copies
        for part in answer.parts:
            if part.line is not None and part.proof is not None:
                assert part.status == "paid"
                assert is_included(event_id.encode(), part.proof, bytes.fromhex(part.line.evidence_root))
    assert {"paid", "excluded"} <= statuses
    assert answers.payment(str(uuid.UUID(int=1))).status == "unknown"


def test_the_stream_of_a_statement_is_what_its_lines_pay_and_goes_on_anywhere(billed: Billed) -> None:
    answers = billed.answers()
    for (statement_id,) in billed.books.rows("SELECT statement_id FROM billing.statements"):
        head = answers.books.statement(str(statement_id))
        assert head is not None
        found = list(answers.statement_events(head, 0))
        lines = answers.books.lines(head.statement_id)
        assert [number for number, _ in found] == list(range(1, len(found) + 1))
        for line in lines:
            paid = sum(line in each.lines for _, each in found)
            assert paid == line.event_end - line.event_start
        for after in (1, len(found) // 2, len(found) - 1, len(found)):
            assert list(answers.statement_events(head, after)) == found[after:]
