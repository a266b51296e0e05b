"""The record of removed raw events in PostgreSQL: what it demands, who may write it, and what money still needs."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime

import psycopg2
import pytest

from attacks.role_matrix import role_logins
from batch_layer.archive.archive_files import ArchivedFile, FileStatus
from batch_layer.archive.removals import Removal, RemovedRows
from batch_layer.lake.content import Content, Place
from batch_layer.maintaining.postgres_expiry import PostgresExpiry
from batch_layer.versions.day_changes import ViewerChange, viewer_key
from batch_layer.versions.ports import RunEntry, StagedCounts
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import PublishedVersion
from tests.billing_postgres import own_database

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALL = Content(3, (5, 5))
ONE = ArchivedFile(FileStatus(10, NOON), {Place(0, NOON): ALL})
GONE = Removal("ann", "request 7", None, {"raw_events": {Place(0, NOON): RemovedRows(ALL, ALL)}})
OF_NOTHING = Removal("ann", "request 8", None, {})
ROW = ["raw_events", 0, "2026-11-20T12:00:00+00:00", 1, "0" * 32, "1" * 32]


def publish(store: PostgresVersionStore, number: int, **more: object) -> None:
    store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
    version = PublishedVersion(
        version=number, run_id=f"run-{number}", offsets=OffsetVector("video-views", (number,)), watermarks=(NOON,),
        snapshots={}, row_counts={}, content_hashes={}, day_rules={}, published_at=NOON,
    )  # fmt: skip
    given = {"staged": StagedCounts(), "detail": {}, **more}
    store.publish(version, **given)  # type: ignore[arg-type]


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """Version 1 archived a file, and version 2 removed its rows."""
    with own_database(postgres_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as store:
        publish(store, 1, archived={"/one": ONE})
        publish(store, 2, archived={}, replaced=["/one"], removal=GONE)
        yield url


def rows(url: str, query: str, *values: object) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query, values[0] if values and isinstance(values[0], dict) else values)
        return list(cursor.fetchall()) if cursor.description else []


INSERT = (
    "INSERT INTO published.removals (version, kind, actor, reason, removed) VALUES (%s, 'viewer', 'ann', 'why', %s)"
)


def test_a_removal_is_in_the_journal_with_the_login_and_nobody_changes_it(url: str) -> None:
    assert rows(url, "SELECT version, kind, actor, reason, login = session_user FROM published.removals") == [
        (2, "viewer", "ann", "request 7", True)
    ]
    assert rows(url, "SELECT key FROM billing.journal WHERE kind = 'removal'") == [("2",)]
    for statement in ("DELETE FROM published.removals", "UPDATE published.removals SET reason = 'x'"):
        with pytest.raises(psycopg2.DatabaseError, match=r"append-only|permission denied"):
            rows(url, statement)


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_version_removed_is_not_recorded_later(url: str, version: int) -> None:
    rows(url, "ALTER TABLE published.removals DROP CONSTRAINT removals_pkey")
    with pytest.raises(psycopg2.DatabaseError, match="must be recorded with the version, before the files") as refused:
        rows(url, INSERT, version, json.dumps([ROW]))
    assert refused.value.pgcode == "VL008"


@pytest.mark.parametrize(
    "change",
    [
        {0: "events"}, {0: None}, {1: -1}, {1: None}, {2: "2026-11-20T12:30:00+00:00"}, {2: None}, {3: 0}, {3: None},
        {4: "0"}, {4: None}, {5: "Z" * 32}, {5: None},
    ],
)  # fmt: skip
def test_a_row_without_table_partition_hour_rows_or_hashes_is_refused(url: str, change: dict[int, object]) -> None:
    row = [change.get(index, value) for index, value in enumerate(ROW)]
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO published.runs (run_id, kind, state, started_at) VALUES ('r', 'maintenance', "
                       "'running', now())")  # fmt: skip
        cursor.execute("INSERT INTO published.versions SELECT 3, 'r', offsets, watermarks, snapshots, row_counts, "
                       "content_hashes, day_rules, published_at FROM published.versions WHERE version = 2")  # fmt: skip
        with pytest.raises(psycopg2.DatabaseError, match="must be given in rows of table, partition") as refused:
            cursor.execute(INSERT, (3, json.dumps([row])))
        assert refused.value.pgcode == "VL008"
        connection.rollback()


def test_only_the_login_of_batch_runs_records_a_removal(url: str) -> None:
    with role_logins(url) as logins:
        for role, login in logins.items():
            if role != "viewledger_pipeline":
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    rows(login, INSERT, 2, "[]")
        with closing(PostgresExpiry(logins["viewledger_pipeline"])) as expiry:
            assert expiry.needed_from() == (date(1, 1, 2), "no period is billed yet")
            assert expiry.current_at(NOON) == 0
            assert expiry.current_at(datetime.now(UTC)) == 2


def with_viewers(url: str) -> None:
    """Publish a third version: two viewers of one day, and one of the next."""
    anna, bert = viewer_key("anna"), viewer_key("bert")
    changes = [
        ViewerChange("-a", "2026-11-19", 2, [anna, bert], []),
        ViewerChange("-a", "2026-11-20", 1, [anna], []),
    ]
    with closing(PostgresVersionStore(url)) as store:
        staged = StagedCounts(viewer_count=PostgresStaging(url).store_viewers("run-3", 0, changes))
        publish(store, 3, staged=staged, archived={})


def known_viewers(url: str) -> list[tuple[object, ...]]:
    query = "SELECT event_day, viewers_change, came::text[] FROM published.viewer_changes ORDER BY event_day"
    return rows(url, query)


@pytest.mark.parametrize(
    ("order", "known"),
    [
        ({"removal": OF_NOTHING, "forgotten": "anna"}, [{"bert"}, set()]),
        ({"removal": replace(OF_NOTHING, before=date(2026, 11, 20))}, [set(), {"anna"}]),
    ],
)
def test_viewers_leave_with_their_personal_columns_and_their_number_stays(
    url: str, order: dict[str, object], known: list[set[str]]
) -> None:
    with_viewers(url)
    with closing(PostgresVersionStore(url)) as store:
        publish(store, 4, archived={}, **order)
    found = known_viewers(url)
    assert [row[:2] for row in found] == [(date(2026, 11, 19), 2), (date(2026, 11, 20), 1)]
    assert [{each.replace("-", "") for each in row[2]} for row in found] == [  # type: ignore[attr-defined]
        {viewer_key(each) for each in names} for names in known
    ]


def test_nobody_changes_the_number_of_viewers_or_adds_one_to_a_list(url: str, superuser_url: str) -> None:
    with_viewers(url)
    changes = ("SET viewers_change = 9", "SET came = came || gen_random_uuid()", "SET event_day = event_day + 1")
    statements = [
        *(f"UPDATE published.viewer_changes {each}" for each in changes),
        "DELETE FROM published.viewer_changes",
    ]
    with role_logins(url) as logins:
        for login in logins.values():
            for statement in statements:
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    rows(login, statement)
        for role, login in logins.items():
            if role not in ("viewledger_api", "viewledger_owner"):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    rows(login, "SELECT came FROM published.viewer_changes")
            if role != "viewledger_pipeline":
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    rows(login, "SELECT published.forget_viewers(NULL, gen_random_uuid())")
    before = known_viewers(url)
    own = f"{superuser_url}/{url.rpartition('/')[2]}"
    for statement in statements:
        for role in ("", "SET ROLE viewledger_owner; "):
            with pytest.raises(psycopg2.DatabaseError, match=r"append-only|permission denied"):
                rows(own, role + statement)
    assert known_viewers(url) == before


def billed(url: str, *periods: tuple[str, str]) -> None:
    for number, (start, end) in enumerate(periods):
        rows(
            url,
            "SET session_replication_role = replica; INSERT INTO billing.runs (run_id, period_start_on, period_end_on, "
            "currency, batch_version, catalogue_version, contract_version, actor, approval_limit_micros, "
            "calculated_at) VALUES (%s, %s, %s, 'EUR', 1, 1, 1, 'ann', 0, now())",
            f"b{number}", start, end,
        )  # fmt: skip


def statement(url: str, name: str, start: str, state: str, *, objection: str = "") -> None:
    rows(
        url,
        """SET session_replication_role = replica;
        INSERT INTO billing.statements (statement_id, run_id, payee_id, period_start_on, period_end_on,
            restatement_number, currency, inputs_hash, carried_nanomicros_before, carried_nanomicros_after,
            over_cap_micros, tax_country, tax_micros, payable_micros, billable_views, line_count)
        VALUES (%(name)s, 'b0', %(name)s, %(start)s, %(start)s::date + 28, 0, 'EUR', '', 0, 0, 0, 'DE', 0, 0, 0, 0);
        INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
        VALUES ('statement', %(name)s, 0, 'open', %(state)s, 'ann');
        INSERT INTO billing.appeals (appeal_id, payee_id, statement_id, objection)
        SELECT 'a' || %(name)s, %(name)s, %(name)s, 'why' WHERE %(objection)s <> '';
        INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor)
        SELECT 'appeal', 'a' || %(name)s, 0, 'open', %(objection)s, 'ann' WHERE %(objection)s <> ''""",
        {"name": name, "start": start, "state": state, "objection": objection},
    )


def needed(url: str) -> tuple[date, str] | None:
    with closing(PostgresExpiry(url)) as expiry:
        return expiry.needed_from()


def test_raw_events_are_needed_of_days_that_are_not_billed_or_whose_money_is_not_final(
    url: str, superuser_url: str
) -> None:
    own = f"{superuser_url}/{url.rpartition('/')[2]}"
    unbilled, not_final = "no billing run covers this day", "a statement of its period is not final"
    billed(own, ("2026-08-01", "2026-09-01"), ("2026-09-01", "2026-10-01"))
    assert needed(url) == (date(2026, 10, 1), unbilled)
    statement(own, "s1", "2026-09-01", "paid")
    assert needed(url) == (date(2026, 10, 1), unbilled)
    statement(own, "s2", "2026-09-01", "held")
    assert needed(url) == (date(2026, 9, 1), not_final)
    statement(own, "s3", "2026-08-01", "paid", objection="rejected")
    assert needed(url) == (date(2026, 9, 1), not_final)
    statement(own, "s4", "2026-08-01", "paid", objection="received")
    assert needed(url) == (date(2026, 8, 1), "an objection to a statement of its period is open")


def test_days_before_the_first_billed_period_wait_for_no_billing(url: str, superuser_url: str) -> None:
    own = f"{superuser_url}/{url.rpartition('/')[2]}"
    billed(own, ("2026-08-01", "2026-09-01"))
    assert needed(url) == (date(2026, 9, 1), "no billing run covers this day"), "and not a day of July"


def test_a_month_that_was_left_out_is_not_billed(url: str, superuser_url: str) -> None:
    own = f"{superuser_url}/{url.rpartition('/')[2]}"
    billed(own, ("2026-08-01", "2026-09-01"), ("2026-10-01", "2026-11-01"), ("2026-07-01", "2026-09-15"))
    assert needed(url) == (date(2026, 9, 15), "no billing run covers this day")
