"""What the store of the past guarantees: random events in random versions, added up by the fake and by PostgreSQL."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from batch_layer.lake.tables import UNIQUE_VIEWERS
from batch_layer.versions.day_changes import CellChange, DayChange, InvalidChange, ViewerChange, viewer_key
from batch_layer.versions.ports import RunEntry, StagedCounts, VideoCount
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.postgres_session import connector
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_channels import ChannelQueries
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.traffic_reasons import InvalidClass
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import DayRules, PublishedVersion, SeenTraffic
from serving_layer.access.postgres_reads import PooledReads
from serving_layer.history.ports import QueryTooSlowError
from serving_layer.history.postgres_history import PostgresHistory
from serving_layer.history.series import COMPLETION, CompletionSum, series_rows, top_rows
from serving_layer.request.parameters import MEASURES, SeriesQuery, TopQuery
from serving_layer.request.windows import WindowKind, boundaries
from tests.billing_postgres import own_database, put_in_force
from tests.serving_fakes import PARTITIONS, SETTLED_UNTIL, FakeHistory, reached_by, version

START = datetime(2026, 10, 20, tzinfo=UTC)
VIDEOS = ["-a", "_b", "c", "quiet"]
VERSIONS = 4
LENGTHS = {"-a": 61, "_b": 120}
REACHED = [name.replace("_views", "") + "_change" for name in COMPLETION]
UPGRADED = f"""
ALTER TABLE published.video_day_changes DISABLE TRIGGER USER;
CREATE TEMPORARY TABLE former AS SELECT * FROM published.video_day_changes WHERE version = 1;
UPDATE former SET version = 2, views_change = 0, billable_change = 0, seconds_change = 0, quarters = '{{}}',
    countries = '{{}}', devices = '{{}}', cell_views = '{{}}', cell_billable = '{{}}', cell_seconds = '{{}}';
UPDATE published.video_day_changes SET {", ".join(f"{name} = NULL" for name in REACHED)} WHERE version = 1;
INSERT INTO published.video_day_changes AS d SELECT * FROM former
ON CONFLICT (video_id, event_day, version)
DO UPDATE SET {", ".join(f"{name} = d.{name} + excluded.{name}" for name in REACHED)};
ALTER TABLE published.video_day_changes ENABLE TRIGGER USER;
"""
"""Makes version 1 one of a release that did not say how far viewers got, and version 2 say it of its views, too."""
JUDGED, UNJUDGED = date(2026, 11, 18), date(2026, 11, 19)
INVALID_DAYS = [JUDGED, UNJUDGED, SETTLED_UNTIL.date() - timedelta(days=2), SETTLED_UNTIL.date() - timedelta(days=1)]
PEOPLE = [viewer_key(str(number)) for number in range(7)]
DAY_RULES = {
    JUDGED: DayRules(1, 1, 1, SeenTraffic(OffsetVector("video-views", (1,) * PARTITIONS), 1, SETTLED_UNTIL)),
    UNJUDGED: DayRules(1, 1, 1),
    INVALID_DAYS[2]: DayRules(1, 1),
}
Event = tuple[str, datetime, str, str, bool, int]


def random_events(rng: random.Random, count: int) -> list[Event]:
    return [
        (
            rng.choice(VIDEOS[:3]),
            START + timedelta(minutes=rng.randrange(60 * 24 * 12)),
            rng.choice(["DE", "IN", "ZZ"]),
            rng.choice(["tv", 'odd "{},\\ device']),
            rng.random() < 0.7,
            rng.choice([0, 30, 61, 86_400]),
        )
        for _ in range(count)
    ]


def published_at(number: int) -> datetime:
    return datetime(2026, 11, 20 + number, 12, tzinfo=UTC)


def day_changes(events: Sequence[Event]) -> list[DayChange]:
    cells: dict[tuple[str, str], Counter[tuple[int, str, str]]] = {}
    billable: Counter[tuple[str, str, int, str, str]] = Counter()
    watched: Counter[tuple[str, str, int, str, str]] = Counter()
    reached: dict[tuple[str, str], list[int]] = {}
    for video_id, instant, country, device, is_billable, seconds in events:
        place = (instant.hour * 4 + instant.minute // 15, country, device)
        key = (video_id, instant.date().isoformat())
        cells.setdefault(key, Counter())[place] += 1
        billable[(*key, *place)] += is_billable
        watched[(*key, *place)] += seconds
        before = reached.get(key, [0] * len(COMPLETION))
        reached[key] = list(map(sum, zip(before, reached_by(LENGTHS.get(video_id), seconds), strict=True)))
    return [
        DayChange(*key, places.total(), sum(billable[(*key, *place)] for place in places),
                  sum(watched[(*key, *place)] for place in places),
                  [CellChange(*place, count, billable[(*key, *place)], watched[(*key, *place)])
                   for place, count in places.items()], *reached[key])
        for key, places in cells.items()
    ]  # fmt: skip


def random_invalid(rng: random.Random) -> list[InvalidChange]:
    cells = {(rng.choice(VIDEOS), rng.choice(INVALID_DAYS), rng.choice(list(InvalidClass))) for _ in range(40)}
    return [
        InvalidChange(
            video_id, day.isoformat(), name, rng.choice([-1, 1, 2]), [f"id {n}" for n in range(rng.randrange(4))]
        )
        for video_id, day, name in sorted(cells)
    ]


def random_viewers(rng: random.Random, there: dict[tuple[str, str], set[str]]) -> list[ViewerChange]:
    """Let viewers come and go; `there` is who watched which video on which day."""
    changes = []
    for video_id in VIDEOS:
        for day in INVALID_DAYS:
            before = there.setdefault((video_id, day.isoformat()), set())
            now = {viewer for viewer in PEOPLE if rng.random() < 0.4}
            came, went = sorted(now - before), sorted(before - now)
            there[video_id, day.isoformat()] = now
            if came or went:
                changes.append(ViewerChange(video_id, day.isoformat(), len(came) - len(went), came, went))
    return changes


@pytest.fixture(scope="module")
def stores(postgres_url: str) -> Iterator[tuple[FakeHistory, PostgresHistory]]:
    """The same four versions in both, published by the batch layer's own store."""
    rng, fake, there = random.Random(7), FakeHistory(), dict[tuple[str, str], set[str]]()
    fake.uncounted_until, fake.lengths, fake.unreached_until = 1, LENGTHS, 1
    totals: dict[str, list[int]] = {}
    with own_database(postgres_url, with_versions=False) as url:
        with closing(PostgresVersionStore(url)) as store:
            for number in range(1, VERSIONS + 1):
                events = random_events(rng, 80)
                fake.publish(number, published_at(number), *events)
                for video_id, *_, is_billable, seconds in events:
                    sums = totals.setdefault(video_id, [0, 0, 0])
                    sums[0] += 1
                    sums[1] += is_billable
                    sums[2] += seconds
                store.begin(RunEntry(f"run-{number}", "incremental", "running", None, published_at(number), None))
                counts = [VideoCount(video_id, *sums) for video_id, sums in totals.items()]
                staging, days, run_id = PostgresStaging(url), day_changes(events), f"run-{number}"
                invalid = random_invalid(rng)
                fake.invalid_changes += [
                    (number, each.video_id, date.fromisoformat(each.event_day), each.invalid_class, each.events,
                     tuple(each.sample_event_ids))
                    for each in invalid
                ]  # fmt: skip
                viewers = random_viewers(rng, there)
                fake.viewer_changes += [
                    (number, each.video_id, date.fromisoformat(each.event_day), viewer, sign)
                    for each in viewers
                    for side, sign in ((each.came, 1), (each.went, -1))
                    for viewer in side
                ]
                staged = StagedCounts(
                    staging.store_counts(run_id, 0, counts),
                    staging.store_days(run_id, 0, days),
                    staging.store_invalid(run_id, 0, invalid),
                    staging.store_viewers(run_id, 0, viewers),
                )
                publish(store, number, staged, published_at=published_at(number))
        fake.forgotten = {PEOPLE[0]}
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT published.forget_viewers(NULL, %s)", (PEOPLE[0],))
            cursor.execute(UPGRADED)
        with closing(PostgresHistory(url)) as history:
            yield fake, history


def publish(store: PostgresVersionStore, number: int, staged: StagedCounts, *, published_at: datetime) -> None:
    found = PublishedVersion(
        version=number,
        run_id=f"run-{number}",
        offsets=OffsetVector("video-views", (100 * number,) * PARTITIONS),
        watermarks=(SETTLED_UNTIL,) * PARTITIONS,
        snapshots={UNIQUE_VIEWERS: number} if number > 1 else {},
        row_counts={},
        content_hashes={},
        day_rules=DAY_RULES,
        published_at=published_at,
    )
    store.publish(found, staged, {}, {})


def test_a_version_is_found_by_number_and_by_instant(stores: tuple[FakeHistory, PostgresHistory]) -> None:
    for store in stores:
        assert store.version(2) == version(2)
        assert store.version(VERSIONS + 1) is None
        assert store.version_at(published_at(1) - timedelta(seconds=1)) is None
        assert store.version_at(published_at(1)) == version(1)
        assert store.version_at(published_at(3) - timedelta(seconds=1)) == version(2)
        assert store.version_at(published_at(VERSIONS) + timedelta(days=9)) == version(VERSIONS)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"])
@pytest.mark.parametrize("group_by", [(), ("country",), ("device",), ("country", "device")])
def test_series_add_up_the_same_in_every_zone_at_every_version(
    stores: tuple[FakeHistory, PostgresHistory], zone: str, group_by: tuple[str, ...]
) -> None:
    rng, there = random.Random(zone), ZoneInfo(zone)
    for _ in range(6):
        start = int(START.timestamp()) // 900 + rng.randrange(96 * 6) // rng.choice([1, 96]) * rng.choice([1, 96])
        end = start + rng.choice([1, 96, 96 * 5, 500])
        kind = rng.choice(list(WindowKind))
        query = SeriesQuery(tuple(boundaries(start, end, kind, there)), kind, there, group_by)
        chosen, number = rng.sample(VIDEOS, rng.randint(1, 4)), rng.randint(1, VERSIONS)
        measure = rng.choice(MEASURES)
        fake, real = (
            series_rows(query, store.series(chosen, number, query), with_billable=True, measure=measure)
            for store in stores
        )
        assert real == fake, (query, chosen, number, measure)


def test_whole_utc_days_need_no_cells_and_give_the_same_sums(stores: tuple[FakeHistory, PostgresHistory]) -> None:
    zone = ZoneInfo("UTC")
    start = int(START.timestamp()) // 900
    edges = tuple(boundaries(start, start + 96 * 12, WindowKind.DAY, zone))
    query = SeriesQuery(edges, WindowKind.DAY, zone, ())
    by_country = replace(query, group_by=("country",))
    fake, real = stores
    found = series_rows(query, real.series(VIDEOS, VERSIONS, query), with_billable=True)
    assert found == series_rows(query, fake.series(VIDEOS, VERSIONS, query), with_billable=True)
    grouped: Counter[datetime] = Counter()
    for row in series_rows(by_country, real.series(VIDEOS, VERSIONS, by_country), with_billable=True):
        grouped[row.start] += row.views
    assert {row.start: row.views for row in found if row.views} == dict(grouped)
    assert sum(row.views for row in found) == 80 * VERSIONS
    sums = [{each.window: each.watched_seconds for each in store.series(VIDEOS, VERSIONS, query)} for store in stores]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("kind", [WindowKind.DAY, WindowKind.MONTH, WindowKind.RANGE])
def test_viewers_are_counted_once_in_any_range_at_every_version(
    stores: tuple[FakeHistory, PostgresHistory], kind: WindowKind
) -> None:
    rng, zone = random.Random(kind), ZoneInfo("UTC")
    first = (min(INVALID_DAYS) - date(1970, 1, 1)).days
    found = []
    for _ in range(20):
        start = first + rng.randrange(-2, 4)
        edges = tuple(boundaries(start * 96, (start + rng.randint(1, 9)) * 96, kind, zone))
        query = SeriesQuery(edges, kind, zone, ())
        chosen, number = rng.sample(VIDEOS, rng.randint(1, 4)), rng.randint(1, VERSIONS)
        fake, real = (store.viewers(chosen, number, query) for store in stores)
        if number == 1:
            assert fake is real is None, "a release that counted no viewers"
            continue
        assert fake is not None
        assert real is not None
        there = [each for each in real if each.unique_viewers]
        assert sorted(there, key=lambda each: each.window) == fake, (query, chosen, number)
        found += fake
    assert any(each.unknown_viewers for each in found)
    assert any(each.unique_viewers > each.unknown_viewers for each in found)


def test_how_far_viewers_got_adds_up_the_same_at_every_version(stores: tuple[FakeHistory, PostgresHistory]) -> None:
    rng, zone, first, seen = random.Random(9), ZoneInfo("UTC"), int(START.timestamp()) // 900, Counter[str]()
    for _ in range(20):
        start, kind = first + 96 * rng.randrange(12), rng.choice([WindowKind.DAY, WindowKind.RANGE])
        query = SeriesQuery(tuple(boundaries(start, start + 96 * rng.randint(1, 9), kind, zone)), kind, zone, ())
        chosen, number = rng.sample(VIDEOS, rng.randint(1, 4)), rng.randint(1, VERSIONS)
        fake, real = (sorted(store.completion(chosen, number, query), key=lambda each: each.window) for store in stores)
        assert real == fake, (query, chosen, number)
        seen += Counter({name: sum(getattr(each, name) or 0 for each in real) for name in COMPLETION})
        if number == 1:
            assert all(each == CompletionSum(each.window, *[None] * 5) for each in real)
    assert set(seen) == set(COMPLETION)
    assert seen["reached_100"] < seen["length_known_views"]


@pytest.mark.parametrize("by", ["views", "billable_views"])
def test_rankings_are_the_same_at_every_version(stores: tuple[FakeHistory, PostgresHistory], by: str) -> None:
    for number in range(1, VERSIONS + 1):
        for days in (1, 3, 12):
            query = TopQuery(by, date(2026, 10, 22), date(2026, 10, 22) + timedelta(days=days))
            fake, real = (top_rows(by, store.top(number, query, 10), with_billable=True) for store in stores)
            assert real == fake
            assert top_rows(by, stores[1].top(number, query, 1), with_billable=True) == fake[:1]
            some = replace(query, among=tuple(VIDEOS[:2]))
            fake, real = (top_rows(by, store.top(number, some, 10), with_billable=True) for store in stores)
            assert real == fake
            assert {each.video_id for each in real} <= set(VIDEOS[:2])
            assert stores[1].top(number, replace(query, among=()), 10) == []


def test_invalid_traffic_adds_up_on_settled_days_alone(stores: tuple[FakeHistory, PostgresHistory]) -> None:
    fake, real = stores
    fake.unsettled_days = {UNJUDGED, SETTLED_UNTIL.date() - timedelta(days=1)}
    first, end = INVALID_DAYS[0], INVALID_DAYS[-1] + timedelta(days=1)
    for number in range(1, VERSIONS + 1):
        for videos in (VIDEOS, VIDEOS[:1], []):
            found = real.invalid(videos, number, first, end)
            assert found == fake.invalid(videos, number, first, end)
            assert real.invalid(videos, number, first, first) == []
    shown = {each.event_day for each in real.invalid(VIDEOS, VERSIONS, first, end)}
    assert shown == {JUDGED, SETTLED_UNTIL.date() - timedelta(days=2)}


def test_day_changes_add_up_to_the_counts_of_every_version(stores: tuple[FakeHistory, PostgresHistory]) -> None:
    fake, real = stores
    for number in range(1, VERSIONS + 1):
        assert real.counts(VIDEOS, number) == fake.counts(VIDEOS, number)
        assert real.totals(VIDEOS, number) == fake.totals(VIDEOS, number)
    assert real.totals([], VERSIONS) == fake.totals([], VERSIONS)


def test_a_query_that_takes_too_long_is_told_apart_from_a_server_that_is_away(postgres_url: str) -> None:
    with closing(PooledReads(postgres_url, QueryTooSlowError, connections=1)) as reads:
        with pytest.raises(QueryTooSlowError):
            reads.query("SELECT pg_sleep(60)", ())
        assert reads.query("SELECT 1", ()) == [(1,)]
    with (
        closing(PooledReads("postgresql://nobody@127.0.0.1:9/x", QueryTooSlowError, connections=1)) as away,
        pytest.raises(UnavailableError),
    ):
        away.query("SELECT 1", ())


def test_a_channel_has_the_videos_owned_on_the_day_by_the_catalogue_of_the_time(postgres_url: str) -> None:
    sold_on = date(2026, 1, 1)
    catalogue = Catalogue(
        (Payee("ann", "Ann"), Payee("ben", "Ben"), Payee("none", "None")),
        (Video("-a", title="A walk"), Video("_b"), Video("shared", 7, "Ours")),
        (
            whole_share("-a", "ann"),
            OwnerShare("_b", SINCE_EVER, sold_on, "ann", 1_000_000),
            OwnerShare("_b", sold_on, WITHOUT_END, "ben", 1_000_000),
            OwnerShare("shared", SINCE_EVER, WITHOUT_END, "ann", 1),
            OwnerShare("shared", SINCE_EVER, WITHOUT_END, "ben", 999_999),
        ),
    )
    later = Catalogue((Payee("ann", "Ann"),), (Video("-a"),), (whole_share("-a", "ann"),))
    with own_database(postgres_url, with_versions=False) as url, closing(PostgresVersionStore(url)) as store:
        reads = PooledReads(url, QueryTooSlowError, connections=1)
        channels = ChannelQueries(reads.query)
        assert channels.video_ids("ann", None) is None
        assert channels.shares("ann", sold_on) is None
        catalogues = PostgresCatalogueStore(connector(url))
        catalogues.import_catalogue(catalogue, "test")
        for number, instant in ((1, datetime(2000, 1, 1, tzinfo=UTC)), (2, datetime.now(UTC))):
            store.begin(RunEntry(f"run-{number}", "incremental", "running", None, instant, None))
            publish(store, number, StagedCounts(), published_at=instant)
        assert channels.video_ids("ann", None) == channels.video_ids("ann", 2) == ["-a", "shared"]
        assert channels.video_ids("ann", 1) is None, "no catalogue was there when it was published"
        assert channels.shares("ann", sold_on) == {"-a": 1_000_000, "shared": 1}
        assert channels.shares("ann", sold_on - timedelta(days=1)) == {"-a": 1_000_000, "_b": 1_000_000, "shared": 1}
        assert channels.shares("ben", sold_on) == {"_b": 1_000_000, "shared": 999_999}
        assert (channels.shares("none", sold_on), channels.shares("nobody", sold_on)) == ({}, None)
        assert (channels.video_ids("none", None), channels.video_ids("nobody", None)) == ([], None)
        owners = {"-a": {"ann"}, "_b": {"ben"}, "shared": {"ann", "ben"}}
        assert channels.payees(["-a", "_b", "shared", "nothing"]) == owners
        assert channels.titles(["-a", "_b", "shared", "nothing"]) == {"-a": "A walk", "shared": "Ours"}
        catalogues.import_catalogue(later, "test")
        assert channels.video_ids("ann", None) == ["-a", "shared"], "it waits for a second person"
        put_in_force(url)
        assert channels.video_ids("ann", None) == ["-a"]
        assert channels.titles(["-a", "shared"]) == {}, "a title that a newer catalogue has not is withdrawn"
        assert catalogues.video_titles(1, ["-a", "_b"]) == {"-a": "A walk"}, "what rests on an old catalogue keeps it"
        assert channels.video_ids("ann", 2) == ["-a", "shared"], "a version is answered as it ever was"
        reads.close()
