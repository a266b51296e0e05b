"""What every version store guarantees, on the fake and on PostgreSQL."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import psycopg2
import pytest

from batch_layer.errors import RefusedError
from batch_layer.versions.day_changes import CellChange, DayChange, TallyRow
from batch_layer.versions.ports import RunEntry, StagedCounts, Staging, VersionStore, VideoCount
from batch_layer.versions.postgres_labels import label_version, labels
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.books.postgres_traffic_findings import PostgresTrafficFindings
from billing.postgres_session import connector
from faults.waiting import until
from ingestion.contract.attesting_keys import AttestingKeys, Revocation
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.traffic_findings import FoundSet, TrafficFinding, findings_hash
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import DayRules, PublishedVersion, SeenPeriod, SeenTraffic
from serving_layer.portal.postgres_operations import PostgresOperations
from tests.batch_fakes import MemoryVersions
from tests.billing_postgres import own_database

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Stores:
    """The store of versions, and where executors store the counts of a run."""

    versions: VersionStore
    staging: Staging
    url: str = ""
    """Of the database, if there is one."""

    def publish(
        self, number: int, counts: Mapping[str, tuple[int, int]] | None = None, days: Iterable[DayChange] = ()
    ) -> None:
        self.begin(number)
        self.versions.publish(version(number), self.stage(number, counts or {}, days), {"archived": 5}, {})

    def findings(self) -> list[tuple[int, Period, TrafficFinding]]:
        if isinstance(self.versions, MemoryVersions):
            return self.versions.findings
        return [
            (each.version, each.period, each.finding) for each in PostgresTrafficFindings(connector(self.url)).all()
        ]

    def tally(self, number: int) -> list[TallyRow]:
        """The tally as of a version."""
        if isinstance(self.versions, MemoryVersions):
            return self.versions.tallies[number]
        query = (
            "SELECT event_day, verdict, reason, sum(events_change)::bigint FROM published.tally_changes "
            "WHERE version <= %s GROUP BY 1, 2, 3 HAVING sum(events_change) <> 0 ORDER BY 1, 2, 3"
        )
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(query, (number,))
            return [TallyRow(*row) for row in cursor]

    def begin(self, number: int) -> None:
        self.versions.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))

    def stage(
        self, number: int, counts: Mapping[str, tuple[int, int]], days: Iterable[DayChange] = (), *, piece: int = 0
    ) -> StagedCounts:
        changed, run_id = [VideoCount(key, *value, value[0] * 60) for key, value in counts.items()], f"run-{number}"
        return StagedCounts(
            self.staging.store_counts(run_id, piece, changed), self.staging.store_days(run_id, piece, days)
        )


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        memory = MemoryVersions()
        yield Stores(memory, memory.staging)
        return
    server_url = request.getfixturevalue("postgres_url")
    with own_database(server_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as postgres:
        yield Stores(postgres, PostgresStaging(url), url)


@pytest.fixture
def store(stores: Stores) -> VersionStore:
    return stores.versions


def version(number: int) -> PublishedVersion:
    return PublishedVersion(
        version=number,
        run_id=f"run-{number}",
        offsets=OffsetVector("video-views", (number, 5)),
        watermarks=(NOON, NOON),
        snapshots={"events": 2**62 + number},
        row_counts={"events": 5},
        content_hashes={"events": "0" * 32},
        day_rules={
            date(2026, 11, 20): DayRules(1, 0),
            date(2026, 11, 21): DayRules(1, 0, 2),
            date(2026, 11, 22): DayRules(1, 0, 2, SeenTraffic(OffsetVector("video-views", (number, 4)), 3, NOON)),
        },
        published_at=NOON,
    )


def day(video_id: str) -> DayChange:
    return DayChange(video_id, "2026-11-20", 1, 1, 60, [CellChange(5, "DE", "tv", 1, 1, 60)])


def test_before_the_first_publication_there_is_no_version(store: VersionStore) -> None:
    assert store.current() is None
    assert store.version(1) is None


def test_what_was_published_is_read_back_exactly(stores: Stores) -> None:
    store = stores.versions
    stores.publish(1, {"-a": (3, 2)})
    stores.publish(2)
    assert store.current() == version(2)
    assert store.version(1) == version(1)


def test_a_version_says_by_which_event_contracts_it_was_read_and_no_later_one_forgets_them(
    stores: Stores,
) -> None:
    store = stores.versions
    stores.publish(1)
    boundary = EventContracts().followed_by_newest(version(1).offsets)
    for number, contracts in ((2, boundary), (3, boundary)):
        store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
        store.publish(replace(version(number), event_contracts=contracts), StagedCounts(), {}, {})
    found = [store.version(number) for number in (1, 2, 3)]
    assert [each and each.event_contracts for each in found] == [EventContracts(), boundary, boundary]
    store.begin(RunEntry("run-4", "incremental", "running", None, NOON, None))
    other = EventContracts().followed_by_newest(version(3).offsets)
    for forgetful in (EventContracts(), other):
        with pytest.raises(RefusedError, match="use the program that published"):
            store.publish(replace(version(4), event_contracts=forgetful), StagedCounts(), {}, {})


def test_a_version_says_by_which_keys_it_was_checked_and_no_later_one_forgets_them(stores: Stores) -> None:
    store = stores.versions
    stores.publish(1)
    first = AttestingKeys().followed_by({"first": b"1" * 32}, {}, (0, 2**40))
    both = first.followed_by({"first": b"1" * 32, "second": b"2" * 32}, {}, (7, 2**40 + 1))
    revocation = Revocation(NOON, (3, 2**40))
    ended = both.followed_by({"second": b"2" * 32}, {"first": b"1" * 32}, (9, 2**40), {"first": revocation})
    for number, keys in ((2, first), (3, first), (4, both), (5, ended)):
        store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
        store.publish(replace(version(number), attesting_keys=keys), StagedCounts(), {}, {})
    found = [store.version(number) for number in (1, 2, 3, 4, 5)]
    assert [each and each.attesting_keys for each in found] == [None, first, first, both, ended]
    store.begin(RunEntry("run-6", "incremental", "running", None, NOON, None))
    for forgetful in (None, AttestingKeys(), first, both, AttestingKeys(tuple(reversed(ended.keys)))):
        with pytest.raises(RefusedError, match="use the program that published"):
            store.publish(replace(version(6), attesting_keys=forgetful), StagedCounts(), {}, {})


def test_what_was_accepted_stays_so_in_all_later_versions(store: VersionStore) -> None:
    accepted = {1: ((0, 7), (3, 2**40)), 2: (), 3: ((0, 1),)}
    for number, places in accepted.items():
        store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
        store.publish(replace(version(number), accepted_late=places), StagedCounts(), {}, {})
    assert store.current() == replace(version(3), accepted_late=((0, 1),))
    assert store.accepted_until(1) == store.accepted_until(2) == {(0, 7), (3, 2**40)}
    assert store.accepted_until(3) == {(0, 1), (0, 7), (3, 2**40)}


def test_a_version_that_does_not_follow_is_refused_as_a_whole(stores: Stores) -> None:
    store = stores.versions
    stores.publish(1, {"-a": (3, 2)})
    for number in (1, 3):
        with pytest.raises(RefusedError, match=f"version {number}"):
            store.publish(replace(version(number), run_id="other"), StagedCounts(), {}, {})
    assert store.current() == version(1)


def test_runs_that_never_ended_are_known_and_published_ones_stay_published(stores: Stores) -> None:
    store = stores.versions
    stores.publish(1)
    store.begin(RunEntry("lost", "incremental", "running", None, NOON, None))
    assert store.runs_in("running") == ["lost"]
    store.end("lost", "failed", {"error": "the process ended before the run did"})
    store.end("run-1", "failed", {})
    assert store.runs_in("running") == []
    assert store.runs_in("failed") == ["lost"]


def test_the_journal_lists_the_newest_runs_first_and_keeps_the_order_of_their_stages(postgres_url: str) -> None:
    stages = [["record", 0.5], ["cut", 1.0], ["archive", 2.0]]
    with (
        own_database(postgres_url, with_versions=False) as url,
        closing(PostgresVersionStore(url)) as store,
    ):
        for number in range(3):
            store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON + timedelta(hours=number), None))
        store.end("run-2", "nothing_new", {"stage_seconds": stages})
        newest, other = store.runs(2)
    assert (newest.run_id, newest.state, newest.version) == ("run-2", "nothing_new", None)
    assert newest.ended_at is not None
    assert newest.detail["stage_seconds"] == stages
    assert (other.run_id, other.state, other.ended_at) == ("run-1", "running", None)


def test_only_one_connection_at_a_time_holds_the_lock(postgres_url: str) -> None:
    with (
        own_database(postgres_url, with_versions=False) as url,
        closing(PostgresVersionStore(url)) as first,
        closing(PostgresVersionStore(url)) as second,
    ):
        assert first.lock()
        assert not second.lock()
        first.close()
        until(second.lock, 60, "PostgreSQL has noticed that the connection ended, and freed its lock")


def test_a_piece_that_is_stored_again_is_stored_once(stores: Stores) -> None:
    stores.begin(1)
    stores.stage(1, {"-a": (1, 1), "lost": (1, 0)}, [day("-a"), day("lost")])
    first = stores.stage(1, {"-a": (3, 2)}, [day("-a")])
    second = stores.stage(1, {"_b": (1, 0), "c": (5, 5)}, [day("_b")], piece=1)
    assert (first, second) == (StagedCounts(1, 1), StagedCounts(2, 1))
    stores.versions.publish(version(1), StagedCounts(3, 2), {}, {})
    assert stores.versions.current() == version(1)


@pytest.mark.parametrize("stored", [StagedCounts(2, 1), StagedCounts(0, 1), StagedCounts(1, 0), StagedCounts(1, 2)])
def test_a_run_of_which_rows_were_lost_is_not_published_and_may_store_them_again(
    stores: Stores, stored: StagedCounts
) -> None:
    stores.begin(1)
    staged = stores.stage(1, {"-a": (3, 2)}, [day("-a")])
    with pytest.raises(UnavailableError):
        stores.versions.publish(version(1), stored, {}, {})
    assert stores.versions.current() is None
    stores.versions.publish(version(1), staged, {}, {})
    assert stores.versions.current() == version(1)


def test_what_other_runs_have_left_is_never_published_and_can_be_removed(stores: Stores) -> None:
    stores.begin(1)
    left = stores.stage(7, {"-a": (9, 9)}, [day("-a")])
    stores.versions.drop_staged()
    with pytest.raises(UnavailableError):
        stores.versions.publish(replace(version(1), run_id="run-7"), left, {}, {})
    stores.stage(8, {"-a": (9, 9)}, [day("-a")])
    stores.versions.publish(version(1), stores.stage(1, {"-a": (3, 2)}, [day("-a")]), {}, {})


def test_two_attempts_at_one_piece_store_it_once(postgres_url: str) -> None:
    with own_database(postgres_url, with_versions=False) as url:
        staging, rows = PostgresStaging(url), [VideoCount("-a", 1, 1, 60)]

        def with_another_attempt_in_between() -> Iterator[VideoCount]:
            staging.store_counts("run-1", 0, rows)
            yield from rows

        with pytest.raises(psycopg2.errors.UniqueViolation):
            staging.store_counts("run-1", 0, with_another_attempt_in_between())
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT video_id FROM staging.video_counts")
            assert cursor.fetchall() == [("-a",)]


def test_a_staging_place_shows_nobody_its_password() -> None:
    assert "secret" not in repr(PostgresStaging("postgresql://a:secret@127.0.0.1:9/b"))
    with pytest.raises(UnavailableError) as caught:
        PostgresStaging("postgresql://a:secret@127.0.0.1:9/b").store_counts("run-1", 0, [])
    assert "secret" not in str(caught.value)


def test_the_counts_in_force_are_the_newest_row_of_each_video(postgres_url: str) -> None:
    with own_database(postgres_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as store:
        stores = Stores(store, PostgresStaging(url))
        stores.publish(1, {"-a": (3, 2), "_b": (1, 0)})
        stores.publish(2, {"-a": (4, 2)})
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (video_id) video_id, views, billable_views, watched_seconds "
                "FROM published.video_counts ORDER BY video_id, version DESC"
            )
            assert sorted(cursor.fetchall()) == [("-a", 4, 2, 240), ("_b", 1, 0, 60)]


def test_day_changes_are_stored_as_they_are_whatever_a_device_calls_itself(postgres_url: str) -> None:
    named = ["tv", 'q"uote', "back\\slash", "tab\there", "line\nbreak", "brace}{,", "NULL", "ä😀", "", "nul\0"]
    cells = [CellChange(number, "DE", name, number - 3, 0, 10 * number) for number, name in enumerate(named)]
    days = [DayChange(f"v{n}", "2026-11-20", 15, 0, 450, cells) for n in range(3_000)]
    with own_database(postgres_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as store:
        Stores(store, PostgresStaging(url)).publish(1, {}, days)
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(views_change), sum(seconds_change) FROM published.video_day_changes")
            assert cursor.fetchone() == (3_000, 45_000, 1_350_000)
            cursor.execute(
                "SELECT quarters, devices, cell_views, cell_seconds FROM published.video_day_changes LIMIT 1"
            )
            quarters, devices, views, seconds = cursor.fetchone()
            assert (quarters, views, seconds) == (list(range(10)), list(range(-3, 7)), list(range(0, 100, 10)))
            assert devices == [name.replace("\0", "\ufffd") for name in named]
            with pytest.raises(psycopg2.DatabaseError, match="append-only"):
                cursor.execute("DELETE FROM published.video_day_changes")


@pytest.fixture
def published(postgres_url: str) -> Iterator[str]:
    """A database with versions 1 and 2."""
    with own_database(postgres_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as postgres:
        stores = Stores(postgres, PostgresStaging(url))
        for number in (1, 2):
            stores.publish(number)
        yield url


def asked(url: str, query: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_the_newest_name_of_a_version_counts_and_is_shown_wherever_versions_are(published: str) -> None:
    for name in ("Octobre", "October report"):
        label_version(published, 1, name, actor="ann")
    assert labels(published) == {1: "October report"}
    with closing(PostgresOperations(published)) as operations:
        assert [(each.version, each.label) for each in operations.versions()] == [(2, None), (1, "October report")]
    shown = asked(published, "SELECT version, label FROM reporting.versions ORDER BY version")
    assert shown == [(1, "October report"), (2, None)]
    kept = asked(published, "SELECT label, actor FROM published.version_labels ORDER BY label_id")
    assert kept == [("Octobre", "ann"), ("October report", "ann")]


def test_a_version_that_is_not_published_gets_no_name_and_one_that_was_given_stays_on_record(published: str) -> None:
    with pytest.raises(RefusedError, match=r"version 999 is not published; ./viewledger batch versions"):
        label_version(published, 999, "never", actor="ann")
    label_version(published, 2, "kept", actor="ann")
    for change in ("UPDATE published.version_labels SET label = 'mine'", "DELETE FROM published.version_labels"):
        with pytest.raises(psycopg2.DatabaseError, match=r"version_labels is append-only"):
            asked(published, change)
    assert labels(published) == {2: "kept"}


def test_what_was_found_is_stored_with_the_version_that_pins_it_or_not_at_all(stores: Stores) -> None:
    period = Period(date(2026, 11, 1), date(2026, 12, 1))
    found = FoundSet("crowd_of_weeks", "ann", TrafficOutcome.REVIEW, 3, "1f" * 16)
    finding = TrafficFinding(found, 60, date(2026, 11, 3), date(2026, 11, 20), {"days": 2, "viewers": 3})
    pinned = SeenPeriod(period, OffsetVector("video-views", (1, 2)), 4, 1, findings_hash([found]))
    stores.publish(1)
    rules = {NOON.date(): DayRules(1, 4, 2, SeenTraffic(OffsetVector("video-views", (1, 2)), 4, NOON), pinned)}
    stores.begin(2)
    staged = stores.stage(2, {})
    with pytest.raises(RefusedError):
        stores.versions.publish(replace(version(2), version=7), staged, {}, {}, findings=[(period, finding)])
    assert stores.findings() == []
    stores.versions.publish(replace(version(2), day_rules=rules), staged, {}, {}, findings=[(period, finding)])
    current = stores.versions.current()
    assert current is not None
    assert current.day_rules == rules
    assert stores.findings() == [(2, period, finding)]


def test_the_tally_of_a_version_is_the_sum_of_the_changes_up_to_it(stores: Stores) -> None:
    friday, saturday = date(2026, 11, 20), date(2026, 11, 21)
    first = [TallyRow(friday, "counted", "", 5), TallyRow(friday, "rejected", "country", 2)]
    second = [TallyRow(friday, "counted", "", 4), TallyRow(saturday, "counted", "", 1)]
    tallies: list[list[TallyRow] | None] = [first, second, None, []]
    for number, tally in enumerate(tallies, 1):
        stores.begin(number)
        stores.versions.publish(version(number), stores.stage(number, {}), {}, {}, tally=tally)
    assert [stores.tally(number) for number in (1, 2, 3, 4)] == [sorted(first), sorted(second), sorted(second), []]
