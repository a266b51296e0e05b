"""Which versions expire, and that every version that is kept answers as before, on a real PostgreSQL."""

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from attacks.role_matrix import role_logins
from batch_layer.lake.tables import UNIQUE_VIEWERS
from batch_layer.maintaining.postgres_expiry import PostgresExpiry
from batch_layer.published.postgres_published_snapshots import PostgresPublishedSnapshots
from batch_layer.versions.day_changes import CellChange, DayChange, InvalidChange, ViewerChange, viewer_key
from batch_layer.versions.ports import RunEntry, StagedCounts, VideoCount
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import ExpiredVersionError, PublishedVersion
from serving_layer.history.postgres_history import PostgresHistory
from serving_layer.history.series import series_rows, top_rows
from serving_layer.request.parameters import MEASURES, SeriesQuery, TopQuery
from serving_layer.request.windows import WindowKind, boundaries
from tests.billing_postgres import EMPTY, own_database, put_in_force

NOON = datetime.combine(datetime.now(UTC).date(), time(12), UTC)
EVENT_DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(3)]
VIDEOS = ["-a", "_b", "c"]
FIRST_QUARTER = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // 900
MAINTENANCE = "maintenance-1"
TERMS = f"""
INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (1, '{EMPTY}', 'test');
INSERT INTO billing.rate_cards (contract_version, content_hash, document)
VALUES (1, encode(sha256('{{}}'), 'hex'), '{{}}')"""


class Books:
    """One database with versions that were published some days ago."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store, self.staging = PostgresVersionStore(url), PostgresStaging(url)
        self.expiry = PostgresExpiry(url)
        self.history = PostgresHistory(url)
        self.store.begin(RunEntry(MAINTENANCE, "maintenance", "running", None, NOON, None))
        self.count = 0
        self.totals: dict[str, list[int]] = {}
        self.viewers: dict[tuple[str, str], set[str]] = {}

    def publish(self, published_at: datetime, *days: DayChange) -> int:
        """Publish the next version with these changes, and the counts that follow from them."""
        self.count += 1
        for each in days:
            sums = self.totals.setdefault(each.video_id, [0, 0, 0])
            sums[0] += each.views
            sums[1] += each.billable_views
            sums[2] += each.watched_seconds
        changed = sorted({each.video_id for each in days})
        self.store.begin(RunEntry(f"run-{self.count}", "incremental", "running", None, published_at, None))
        version = PublishedVersion(
            version=self.count,
            run_id=f"run-{self.count}",
            offsets=OffsetVector("video-views", (self.count,)),
            watermarks=(published_at,),
            snapshots={"events": self.count, UNIQUE_VIEWERS: self.count},
            row_counts={"events": self.count},
            content_hashes={},
            day_rules={},
            published_at=published_at,
        )
        counts = [VideoCount(video_id, *self.totals[video_id]) for video_id in changed]
        staged = StagedCounts(
            self.staging.store_counts(version.run_id, 0, counts),
            self.staging.store_days(version.run_id, 0, days),
            self.staging.store_invalid(version.run_id, 0, [invalid_of(each, self.count) for each in days]),
            self.staging.store_viewers(version.run_id, 0, [self.viewers_of(each) for each in days]),
        )
        self.store.publish(version, staged, {}, {})
        return self.count

    def viewers_of(self, change: DayChange) -> ViewerChange:
        """Let one of four viewers come who was not there, or go who was, and one of two whose id was removed."""
        there = self.viewers.setdefault((change.video_id, change.event_day), set())
        viewer = viewer_key(str(self.count % 4))
        came, went = ([], [viewer]) if viewer in there else ([viewer], [])
        there ^= {viewer}
        return ViewerChange(change.video_id, change.event_day, 1 + len(came) - len(went), came, went)

    def maintain(self) -> list[int]:
        """Expire what may expire, and join what it held; return what expired."""
        expired = self.expiry.expire(MAINTENANCE)
        while self.expiry.roll_up_next(datetime.now(UTC) + timedelta(minutes=1)) is not None:
            pass
        return list(expired)

    def kept(self) -> list[int]:
        return list(PostgresPublishedSnapshots(self.url).versions())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall()) if cursor.description else []

    def answers(self, version: int) -> str:
        """Return every kind of answer of a version, as text."""
        zone = ZoneInfo("Asia/Kathmandu")
        edges = tuple(boundaries(FIRST_QUARTER, FIRST_QUARTER + 3 * 96, WindowKind.HOUR, ZoneInfo("UTC")))
        found: list[object] = [self.history.counts(VIDEOS, version), self.history.totals(VIDEOS, version)]
        for group_by in ((), ("country",), ("country", "device")):
            query = SeriesQuery(edges, WindowKind.HOUR, zone, group_by)
            rows = [series_rows(query, self.history.series([each], version, query), with_billable=True, measure=measure)
                    for each in VIDEOS for measure in MEASURES]  # fmt: skip
            found.append(rows)
        for whole in (edges[::24], (edges[0], edges[-1])):
            query = SeriesQuery(whole, WindowKind.RANGE, zone, ())
            found += [sorted(self.history.viewers([each], version, query) or [], key=str) for each in VIDEOS]
            found += [sorted(self.history.completion([each], version, query), key=str) for each in VIDEOS]
        for by in ("views", "billable_views"):
            query_top = TopQuery(by, EVENT_DAYS[0], EVENT_DAYS[-1] + timedelta(days=1))
            found.append(top_rows(by, self.history.top(version, query_top, 10), with_billable=True))
        end_on = EVENT_DAYS[-1] + timedelta(days=1)
        for video_ids in (VIDEOS, *([each] for each in VIDEOS)):
            found.append(self.history.invalid(video_ids, version, EVENT_DAYS[0], end_on))
        return repr(found)

    def close(self) -> None:
        for each in (self.store, self.expiry, self.history):
            each.close()


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    with own_database(postgres_url, with_versions=False) as url, closing(Books(url)) as found:
        yield found


def change(rng: random.Random, video_id: str, event_day: date, held: dict[tuple[object, ...], int]) -> DayChange:
    """Add views to a few cells, or remove all that a cell holds; or change how far viewers got, and nothing else."""
    reached = [rng.randint(1, 9) for _ in range(5)]
    if rng.random() < 0.2:  # a catalogue tells the length of the video
        return DayChange(video_id, event_day.isoformat(), 0, 0, 0, [], *reached)
    cells = []
    for quarter, country in {(rng.randrange(96), rng.choice("DI")) for _ in range(rng.randint(1, 3))}:
        cell = (video_id, event_day, quarter, country)
        views = -held[cell] if held.get(cell) and rng.random() < 0.5 else rng.randint(1, 5)
        held[cell] = held.get(cell, 0) + views
        cells.append(CellChange(quarter, country, 'odd "{},\\ device', views, views, views * 60))
    views = sum(each.views for each in cells)
    cells.sort(key=lambda each: each.quarter)
    return DayChange(video_id, event_day.isoformat(), views, views, views * 60, cells, *reached)


def invalid_of(change: DayChange, number: int) -> InvalidChange:
    """As many invalid events as the views that changed, with an id only in every third version."""
    ids = [f"id {number}"] if number % 3 == 0 else []
    return InvalidChange(change.video_id, change.event_day, "robot", change.views or 1, ids)


def random_changes(rng: random.Random, held: dict[tuple[object, ...], int]) -> Sequence[DayChange]:
    chosen = {(rng.choice(VIDEOS), rng.choice(EVENT_DAYS)) for _ in range(rng.randint(0, 4))}
    return [change(rng, video_id, event_day, held) for video_id, event_day in sorted(chosen)]


@pytest.mark.parametrize("seed", range(3))
def test_every_kept_version_answers_as_before_after_any_number_of_maintenances(books: Books, seed: int) -> None:
    rng, held = random.Random(seed), dict[tuple[object, ...], int]()
    answers: dict[int, str] = {}
    for days_ago in (402, 401, 390, 60, 50, 40, 36):
        for hour in range(rng.randint(1, 5)):
            published_at = NOON - timedelta(days=days_ago, hours=-hour)
            number = books.publish(published_at, *random_changes(rng, held))
            answers[number] = books.answers(number)
        if rng.random() < 0.6:
            books.maintain()
        assert {number: books.answers(number) for number in books.kept()} == {
            number: answers[number] for number in books.kept()
        }
    books.publish(NOON)
    books.maintain()
    kept = books.kept()
    assert len(kept) == 5 + 1, "the last of each day of the last 400, and the current one"
    assert {number: books.answers(number) for number in kept[:-1]} == {number: answers[number] for number in kept[:-1]}
    ((most,),) = books.rows(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM published.video_day_changes GROUP BY video_id, event_day) AS c"
    )
    assert isinstance(most, int)
    assert most <= 2 * len(kept)
    assert books.maintain() == []


UNSUM = """
ALTER TABLE published.video_counts DISABLE TRIGGER USER;
ALTER TABLE published.video_day_changes DISABLE TRIGGER USER;
UPDATE published.video_counts SET watched_seconds = NULL;
UPDATE published.video_day_changes SET seconds_change = NULL, cell_seconds = NULL;
ALTER TABLE published.video_counts ENABLE TRIGGER USER;
ALTER TABLE published.video_day_changes ENABLE TRIGGER USER;
"""
"""Makes the rows those of a release that summed no watched seconds."""


def seconds_alone(held: dict[tuple[object, ...], int]) -> list[DayChange]:
    """Return what the upgrade of such a version publishes: the seconds of all its views, and no view."""
    cells: dict[tuple[str, str], list[CellChange]] = {}
    for (video_id, event_day, quarter, country), views in sorted(held.items()):  # type: ignore[misc]
        if views:
            cell = CellChange(quarter, country, 'odd "{},\\ device', 0, 0, views * 60)
            cells.setdefault((video_id, event_day.isoformat()), []).append(cell)
    return [DayChange(*key, 0, 0, sum(each.watched_seconds for each in found), found) for key, found in cells.items()]


@pytest.mark.parametrize("seed", range(3))
def test_seconds_that_a_version_did_not_sum_stay_unknown_and_those_of_later_ones_right(books: Books, seed: int) -> None:
    rng, held = random.Random(seed), dict[tuple[object, ...], int]()
    for days_ago in (60, 50):
        for hour in range(3):
            books.publish(NOON - timedelta(days=days_ago, hours=-hour), *random_changes(rng, held))
    before = books.count
    books.rows(UNSUM)
    for sums in books.totals.values():
        sums[2] = 0
    answers = {number: books.answers(number) for number in range(1, before + 1)}
    books.publish(NOON - timedelta(days=50, hours=-3), *seconds_alone(held))
    for days_ago in (50, 40):
        for hour in range(4, 7):
            books.publish(NOON - timedelta(days=days_ago, hours=-hour), *random_changes(rng, held))
    answers |= {number: books.answers(number) for number in range(before + 1, books.count + 1)}
    assert "watched_seconds=None" in answers[before]
    assert "watched_seconds=None" not in "".join(answers[number] for number in range(before + 1, books.count + 1))
    books.publish(NOON)
    books.maintain()
    kept = books.kept()[:-1]
    assert len(kept) == 3
    assert {number: books.answers(number) for number in kept} == {number: answers[number] for number in kept}
    assert (
        books.rows("SELECT bool_and(watched_seconds = 60 * views) FROM reporting.video_counts WHERE views > 0")
        == books.rows("SELECT bool_and(average_view_duration = 60) FROM reporting.video_days WHERE views > 0")
        == [(True,)]
    )


def test_kept_are_the_last_of_each_day_and_all_of_the_last_35_days(books: Books) -> None:
    ages = [(401, 0), (399, 0), (399, 1), (36, 0), (36, 1), (34, 0), (34, 1), (0, 0), (0, 1)]
    for days, hours in ages:
        books.publish(NOON - timedelta(days=days, hours=-hours))
    assert books.maintain() == [1, 2, 4]
    assert books.kept() == [3, 5, 6, 7, 8, 9]
    upkeep = books.expiry.upkeep()
    assert (upkeep.kept_count, upkeep.expirable_count, upkeep.oldest_expirable_at) == (6, 0, None)


def test_the_current_version_is_kept_however_old_it_is(books: Books) -> None:
    books.publish(NOON - timedelta(days=500))
    assert books.maintain() == []
    books.publish(NOON - timedelta(days=499))
    assert books.expiry.upkeep().expirable_count == 1
    assert books.maintain() == [1]


def test_what_was_billed_from_and_what_an_open_difference_is_about_is_kept(books: Books) -> None:
    for number in range(5):
        books.publish(NOON - timedelta(days=500 - number))
    books.rows(
        "INSERT INTO billing.estimates VALUES ('2025-01-01', '2025-02-01', 'ann', 'EUR', 1, 1, 2, now());"
        "INSERT INTO published.reconciliations (version, kind, differences) VALUES (3, 'run', '[\"one\"]')"
    )
    assert books.maintain() == [1, 4]
    books.rows("INSERT INTO published.reconciliations (version, kind, differences) VALUES (5, 'command', '[]')")
    assert books.maintain() == [3]


def test_a_run_of_billing_keeps_its_version(books: Books) -> None:
    for number in range(3):
        books.publish(NOON - timedelta(days=500 - number))
    books.rows(TERMS)
    put_in_force(books.url)
    books.rows(
        "INSERT INTO billing.runs (run_id, period_start_on, period_end_on, currency, batch_version, catalogue_version, "
        "contract_version, actor, approval_limit_micros, calculated_at) "
        "VALUES ('billed', '2025-01-01', '2025-02-01', 'EUR', 1, 1, 1, 'ann', 0, now())"
    )
    assert books.maintain() == [2]


def test_an_expired_version_is_refused_by_every_reader_with_the_next_one_that_is_kept(books: Books) -> None:
    published_at = [NOON - timedelta(days=50, hours=-hour) for hour in range(3)] + [NOON]
    for instant in published_at:
        books.publish(instant)
    books.maintain()
    snapshots = PostgresPublishedSnapshots(books.url)
    for ask in (
        lambda: books.history.version(1),
        lambda: books.history.version_at(published_at[0]),
        lambda: snapshots.check_kept(1),
    ):
        with pytest.raises(
            ExpiredVersionError, match=r"version 1 is no longer kept.*the next version that is kept is 3"
        ):
            ask()
    snapshots.check_kept(3)
    assert [each.is_kept for each in snapshots.of_table("events", 4)] == [False, False, True, True]
    assert [bool(each["expired_at"]) for each in snapshots.manifests()] == [True, True, False, False]
    assert books.history.version_at(published_at[2]) == books.history.version(3)


def test_an_expired_version_keeps_its_manifest_and_is_in_the_journal(books: Books) -> None:
    books.publish(NOON - timedelta(days=500))
    books.publish(NOON)
    books.maintain()
    found = books.store.version(1)
    assert found is not None
    assert found.offsets == OffsetVector("video-views", (1,))
    assert books.rows("SELECT key FROM billing.journal WHERE kind = 'expired_version'") == [("1",)]


@pytest.mark.parametrize(
    "table",
    [
        "video_counts",
        "video_day_changes",
        "invalid_changes",
        "viewer_changes",
        "expired_versions",
        "rolled_up_versions",
    ],
)
def test_nobody_removes_or_changes_rows_by_hand(books: Books, table: str) -> None:
    rng = random.Random(1)
    books.publish(NOON - timedelta(days=500), change(rng, "-a", EVENT_DAYS[0], {}))
    books.publish(NOON)
    books.maintain()
    for statement in (f"DELETE FROM published.{table}", f"UPDATE published.{table} SET version = version"):
        with pytest.raises(psycopg2.DatabaseError, match=r"append-only|permission denied"):
            books.rows(statement)


def test_what_expired_a_moment_ago_is_joined_only_after_the_grace(books: Books) -> None:
    rng = random.Random(1)
    for hour in range(2):
        books.publish(NOON - timedelta(days=500, hours=-hour), change(rng, "-a", EVENT_DAYS[0], {}))
    books.publish(NOON)
    books.expiry.expire(MAINTENANCE)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert (books.expiry.roll_up_next(an_hour_ago), books.expiry.expired(an_hour_ago)) == (None, [])
    assert books.expiry.roll_up_next(datetime.now(UTC) + timedelta(minutes=1)) == 3
    assert json.dumps(books.rows("SELECT version FROM published.video_counts")) == "[[2]]"


def test_the_login_of_batch_runs_can_do_it_all_and_the_others_nothing_of_it(books: Books) -> None:
    rng = random.Random(1)
    for hour in range(3):
        books.publish(NOON - timedelta(days=500, hours=-hour), change(rng, "-a", EVENT_DAYS[0], {}))
    answer = books.answers(3)
    later = datetime.now(UTC) + timedelta(minutes=1)
    with role_logins(books.url) as logins:
        for role, url in logins.items():
            if role != "viewledger_pipeline":
                with closing(PostgresExpiry(url)) as expiry:
                    for forbidden in (partial(expiry.expire, MAINTENANCE), partial(expiry.roll_up_next, later)):
                        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                            forbidden()
        with closing(PostgresExpiry(logins["viewledger_pipeline"])) as expiry:
            assert list(expiry.expire(MAINTENANCE)) == [1, 2]
            assert expiry.roll_up_next(later) == 3
            assert expiry.roll_up_next(later) is None
            assert expiry.upkeep().kept_count == 1
    assert books.answers(3) == answer


def test_readers_of_kept_versions_get_equal_answers_while_counts_are_joined(books: Books) -> None:
    rng, held = random.Random(5), dict[tuple[object, ...], int]()
    for days_ago in range(60, 40, -1):
        for hour in range(6):
            books.publish(NOON - timedelta(days=days_ago, hours=-hour), *random_changes(rng, held))
    books.publish(NOON)
    last_of_days = range(6, books.count, 6)
    before = {number: books.answers(number) for number in last_of_days}
    books.expiry.expire(MAINTENANCE)
    joined = 0
    with ThreadPoolExecutor(1) as executor:
        joining = executor.submit(books.maintain)
        while not joining.done():
            number = rng.choice(last_of_days)
            assert books.answers(number) == before[number]
            joined += 1
        joining.result()
    assert joined > 0
    assert {number: books.answers(number) for number in last_of_days} == before
