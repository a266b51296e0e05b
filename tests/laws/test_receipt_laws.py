"""Every admitted event of a random log is found as it was receipted, and what an insider changes is named."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

import pytest
from pyspark.sql import SparkSession

from batch_layer.lake.content import Place
from batch_layer.lake.tables import EVENTS, RAW_EVENTS
from batch_layer.settled.spark_receipts import Receipted, ReceiptLookup, Wrong
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent, ViewEvent
from ingestion.contract.version import PublishedVersion
from ingestion.intake import AdmittedEvent
from ingestion.receipts import ReceiptError, read_receipt
from tests.batch_fakes import Message
from tests.laws.test_change_laws import drop_tables
from tests.random_logs import random_run
from tests.receipt_makers import READ_SIGNED, line_of
from tests.spark_fixtures import MemoryRun

SEED = 86


@dataclass
class Archive:
    """A published version of a random log, and the receipts of all that the collector would have admitted."""

    spark: SparkSession
    run: MemoryRun

    @property
    def version(self) -> PublishedVersion:
        return self.run.versions.published[-1]

    def messages(self) -> list[tuple[Message, ViewEvent]]:
        decoded = [(message, decode_view_event(message.value)) for message in self.run.log.all()]
        return [(message, event) for message, event in decoded if not isinstance(event, RejectedEvent)]

    def receipted(self) -> list[Receipted]:
        return [receipted(message.value, event) for message, event in self.messages()]

    def received(self) -> set[date]:
        return {message.appended_at.astimezone(UTC).date() for message, _ in self.messages()}

    def lookup(
        self, table: str = EVENTS, snapshot: int | None = None, *, removed: Collection[Place] = ()
    ) -> ReceiptLookup:
        snapshots = self.version.snapshots
        changed = {**snapshots, table: snapshots[table] if snapshot is None else snapshot}
        return ReceiptLookup(self.spark, replace(self.version, snapshots=changed), removed)


def receipted(value: bytes, event: ViewEvent) -> Receipted:
    return Receipted(str(event.event_id), event.video_id, event.timestamp.date(), hashlib.sha256(value).hexdigest())


@pytest.fixture(scope="module")
def archive(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    drop_tables(spark)
    yield Archive(spark, random_run(spark, random.Random(SEED), tmp_path_factory.mktemp("run"), count=150))
    drop_tables(spark)


def test_every_receipted_event_of_an_honest_log_is_found(archive: Archive) -> None:
    wanted = archive.receipted()
    assert len(wanted) > 50
    assert archive.lookup().wrong(wanted, archive.received()) == []


def test_an_event_that_was_never_written_and_one_with_other_content_are_named(archive: Archive) -> None:
    (first, *_) = archive.receipted()
    wanted = [
        first,
        first._replace(event_id="00000000-0000-4000-8000-000000000000"),
        first._replace(sha256="0" * 64),
        first._replace(video_id="another"),
    ]
    assert archive.lookup().wrong(wanted, archive.received()) == [
        (1, Wrong.NO_VERDICT), (2, Wrong.OTHER_CONTENT), (3, Wrong.MISFILED),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "statement", "problem"),
    [
        (EVENTS, "DELETE FROM {table} WHERE {one}", Wrong.NO_VERDICT),
        (RAW_EVENTS, "DELETE FROM {table} WHERE {one}", Wrong.NO_MESSAGE),
        (RAW_EVENTS, "UPDATE {table} SET value = concat(value, X'20') WHERE {one}", Wrong.OTHER_CONTENT),
        (EVENTS, "INSERT INTO {table} SELECT * FROM {table} WHERE {one}", Wrong.SEVERAL_VERDICTS),
        (EVENTS, "UPDATE {table} SET video_id = 'another' WHERE {one}", Wrong.MISFILED),
        (EVENTS, "UPDATE {table} SET happened_at = happened_at - INTERVAL 1 DAY WHERE {one}", Wrong.MISFILED),
    ],
)
def test_what_an_insider_changes_of_one_event_is_named(
    archive: Archive, table: str, statement: str, problem: Wrong
) -> None:
    messages = archive.messages()
    times = Counter(event.event_id for _, event in messages)
    index, (message, _) = next((at, each) for at, each in enumerate(messages) if times[each[1].event_id] == 1)
    name = f"ledger.views.{table}"
    one = f"partition = {message.partition} AND offset = {message.offset}"
    archive.spark.sql(statement.format(table=name, one=one))
    rows = archive.spark.sql(f"SELECT snapshot_id FROM {name}.snapshots ORDER BY committed_at DESC LIMIT 1").collect()
    asked = (archive.receipted(), archive.received())
    found = archive.lookup(table, rows[0].snapshot_id).wrong(*asked)
    hour = message.appended_at.replace(minute=0, second=0, microsecond=0)
    here, elsewhere = Place(message.partition, hour), Place(message.partition, hour - timedelta(hours=1))
    on_record = archive.lookup(table, rows[0].snapshot_id, removed=[here, elsewhere]).wrong(*asked)
    otherwise = archive.lookup(table, rows[0].snapshot_id, removed=[elsewhere]).wrong(*asked)
    archive.spark.sql(f"CALL ledger.system.rollback_to_snapshot('views.{table}', {archive.version.snapshots[table]})")
    assert found == otherwise == [(index, problem)]
    assert on_record == [(index, Wrong.REMOVED if problem is Wrong.NO_MESSAGE else problem)]


def test_any_changed_byte_of_a_receipt_is_noticed() -> None:
    chance = random.Random(SEED)
    made = [admitted_of(chance) for _ in range(5)]
    for with_paths in (False, True):
        line = line_of(made, with_paths=with_paths).strip()
        _, expected = read_receipt(line, READ_SIGNED)
        for at in range(len(line)):
            other = line[:at] + bytes([line[at] ^ chance.randrange(1, 256)]) + line[at + 1 :]
            try:
                _, found = read_receipt(other, READ_SIGNED)
            except ReceiptError:
                continue
            assert found == expected, f"seed {SEED}, byte {at} of {line!r}"
            assert json.loads(other) == json.loads(line), "another spelling of the same JSON"


def admitted_of(chance: random.Random) -> AdmittedEvent:
    event = json.dumps(
        {
            "event_id": f"{chance.getrandbits(32):08x}-0000-4000-8000-000000000000",
            "video_id": "v",
            "user_id": "u",
            "session_id": "s",
            "timestamp": "2026-11-20T10:00:00Z",
            "view_duration": chance.randrange(100),
            "revenue_eligible": True,
        }
    ).encode()
    decoded = decode_view_event(event)
    assert not isinstance(decoded, RejectedEvent)
    return AdmittedEvent(str(decoded.event_id), b"v", event, decoded.timestamp)
