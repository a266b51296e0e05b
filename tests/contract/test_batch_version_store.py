"""What every version store guarantees, on the fake and on PostgreSQL."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime

import psycopg2
import pytest

from batch_layer.errors import RefusedError
from batch_layer.versions.day_changes import CellChange, DayChange
from batch_layer.versions.ports import RunEntry, VersionStore, VideoCount
from batch_layer.versions.postgres_versions import PostgresVersionStore
from faults.waiting import until
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import DayRules, PublishedVersion
from tests.batch_fakes import MemoryVersions
from tests.billing_postgres import own_database

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[VersionStore]:
    if request.param == "memory":
        yield MemoryVersions()
        return
    server_url = request.getfixturevalue("postgres_url")
    with own_database(server_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as postgres:
        yield postgres


def version(number: int) -> PublishedVersion:
    return PublishedVersion(
        version=number,
        run_id=f"run-{number}",
        offsets=OffsetVector("video-views", (number, 5)),
        watermarks=(NOON, NOON),
        snapshots={"events": 2**62 + number},
        row_counts={"events": 5},
        content_hashes={"events": "0" * 32},
        day_rules={date(2026, 11, 20): DayRules(1, 0)},
        published_at=NOON,
    )


def publish(
    store: VersionStore, number: int, counts: Mapping[str, tuple[int, int]], days: Iterable[DayChange] = ()
) -> None:
    store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
    changed = [VideoCount(key, *value) for key, value in counts.items()]
    store.publish(version(number), changed, {"archived": 5}, days, {})


def test_before_the_first_publication_there_is_no_version(store: VersionStore) -> None:
    assert store.current() is None
    assert store.version(1) is None


def test_what_was_published_is_read_back_exactly(store: VersionStore) -> None:
    publish(store, 1, {"-a": (3, 2)})
    publish(store, 2, {})
    assert store.current() == version(2)
    assert store.version(1) == version(1)


def test_a_version_says_by_which_event_contracts_it_was_read_and_no_later_one_forgets_them(
    store: VersionStore,
) -> None:
    publish(store, 1, {})
    boundary = EventContracts().followed_by_newest(version(1).offsets)
    for number, contracts in ((2, boundary), (3, boundary)):
        store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
        store.publish(replace(version(number), event_contracts=contracts), [], {}, (), {})
    found = [store.version(number) for number in (1, 2, 3)]
    assert [each and each.event_contracts for each in found] == [EventContracts(), boundary, boundary]
    store.begin(RunEntry("run-4", "incremental", "running", None, NOON, None))
    other = EventContracts().followed_by_newest(version(3).offsets)
    for forgetful in (EventContracts(), other):
        with pytest.raises(RefusedError, match="use the program that published"):
            store.publish(replace(version(4), event_contracts=forgetful), [], {}, (), {})


def test_what_was_accepted_stays_so_in_all_later_versions(store: VersionStore) -> None:
    accepted = {1: ((0, 7), (3, 2**40)), 2: (), 3: ((0, 1),)}
    for number, places in accepted.items():
        store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
        store.publish(replace(version(number), accepted_late=places), [], {}, [], {})
    assert store.current() == replace(version(3), accepted_late=((0, 1),))
    assert store.accepted_until(1) == store.accepted_until(2) == {(0, 7), (3, 2**40)}
    assert store.accepted_until(3) == {(0, 1), (0, 7), (3, 2**40)}


def test_a_version_that_does_not_follow_is_refused_as_a_whole(store: VersionStore) -> None:
    publish(store, 1, {"-a": (3, 2)})
    for number in (1, 3):
        with pytest.raises(RefusedError, match=f"version {number}"):
            store.publish(replace(version(number), run_id="other"), [VideoCount("b", 1, 0)], {}, [], {})
    assert store.current() == version(1)


def test_runs_that_never_ended_are_known_and_published_ones_stay_published(store: VersionStore) -> None:
    publish(store, 1, {})
    store.begin(RunEntry("lost", "incremental", "running", None, NOON, None))
    assert store.runs_in("running") == ["lost"]
    store.end("lost", "failed", {"error": "the process ended before the run did"})
    store.end("run-1", "failed", {})
    assert store.runs_in("running") == []
    assert store.runs_in("failed") == ["lost"]


def test_only_one_connection_at_a_time_holds_the_lock(postgres_url: str) -> None:
    with (
        own_database(postgres_url, with_versions=False) as url,
        closing(PostgresVersionStore(url)) as first,
        closing(PostgresVersionStore(url)) as second,
    ):
        assert first.lock()
        assert not second.lock()
        first.close()
        until(second.lock, 20, "PostgreSQL has noticed that the connection ended, and freed its lock")


def test_the_counts_in_force_are_the_newest_row_of_each_video(postgres_url: str) -> None:
    with own_database(postgres_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as store:
        publish(store, 1, {"-a": (3, 2), "_b": (1, 0)})
        publish(store, 2, {"-a": (4, 2)})
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (video_id) video_id, views, billable_views FROM published.video_counts "
                "ORDER BY video_id, version DESC"
            )
            assert sorted(cursor.fetchall()) == [("-a", 4, 2), ("_b", 1, 0)]


def test_day_changes_are_stored_as_they_are_whatever_a_device_calls_itself(postgres_url: str) -> None:
    named = ["tv", 'q"uote', "back\\slash", "tab\there", "line\nbreak", "brace}{,", "NULL", "ä😀", "", "nul\0"]
    cells = [CellChange(number, "DE", name, number - 3, 0) for number, name in enumerate(named)]
    days = [DayChange(f"v{n}", "2026-11-20", 15, 0, cells) for n in range(3_000)]
    with own_database(postgres_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as store:
        publish(store, 1, {}, days)
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(views_change) FROM published.video_day_changes")
            assert cursor.fetchone() == (3_000, 45_000)
            cursor.execute("SELECT quarters, devices, cell_views FROM published.video_day_changes LIMIT 1")
            quarters, devices, views = cursor.fetchone()
            assert (quarters, views) == (list(range(10)), list(range(-3, 7)))
            assert devices == [name.replace("\0", "\ufffd") for name in named]
            with pytest.raises(psycopg2.DatabaseError, match="append-only"):
                cursor.execute("DELETE FROM published.video_day_changes")
