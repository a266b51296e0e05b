"""The totals of days, weeks and months are, after every version, the sums of the changes up to it."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from itertools import product
from typing import Any

import psycopg2
import pytest

from batch_layer.versions.day_changes import CellChange, DayChange
from batch_layer.versions.ports import RunEntry, StagedCounts
from batch_layer.versions.postgres_staging import PostgresStaging
from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.money import SHARE_WHOLE_PPM
from billing.postgres_session import connector
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from serving_layer.portal.data_questions import COLUMNS, AskedSpan, CalendarSpan, questions
from serving_layer.portal.postgres_data import PostgresData
from tests.billing_fakes import published
from tests.billing_postgres import own_database, put_in_force

FIRST = date(2026, 10, 26)
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAYS, VERSIONS, VIDEOS = 24, 6, ("a", "b", "c", "nobody's")
SOLD_ON = FIRST + timedelta(days=9)
OWNERS = {"a": "ann", "b": "bob", "c": "ann"}
"""Of the largest share, of equal ones the first by name; b is sold to zoe."""
KEYS_OF_SUMS = "payee_id, split_by, event_day, country, device"
FILTERS = list(product(("", "DE", "it's %s"), ("", "tv"), ("", "ann", "nobody")))
"""Country, device and channel."""


def catalogue() -> Catalogue:
    shares = (
        whole_share("a", "ann"),
        OwnerShare("b", SINCE_EVER, SOLD_ON, "bob", SHARE_WHOLE_PPM),
        OwnerShare("b", SOLD_ON, WITHOUT_END, "zoe", SHARE_WHOLE_PPM),
        *(OwnerShare("c", SINCE_EVER, WITHOUT_END, payee_id, SHARE_WHOLE_PPM // 2) for payee_id in ("ann", "bob")),
    )
    payees = tuple(Payee(each, f"Channel {each}") for each in ("ann", "bob", "zoe"))
    return Catalogue(payees, tuple(map(Video, "abc")), shares)


def owner_of(video_id: str, day: date) -> str | None:
    return "zoe" if video_id == "b" and day >= SOLD_ON else OWNERS.get(video_id)


def changes_of(rng: random.Random) -> list[DayChange]:
    """Changes of a version, some of them negative; a video has at most one on a day."""
    found = []
    for video_id, number in {(rng.choice(VIDEOS), rng.randrange(DAYS)) for _ in range(14)}:
        cells = []
        for quarter in sorted(rng.sample(range(96), 2)):
            billable, views = sorted((rng.randint(-4, 9), rng.randint(-4, 9)))
            place = (quarter, rng.choice(["DE", "FR"]), rng.choice(["tv", "web"]))
            cells.append(CellChange(*place, views, billable, rng.randint(-90, 900)))
        sums = (sum(each.views for each in cells), sum(each.billable_views for each in cells))
        seconds = sum(each.watched_seconds for each in cells)
        found.append(DayChange(video_id, (FIRST + timedelta(days=number)).isoformat(), *sums, seconds, cells))
    return found


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url, with_versions=False) as url:
        yield url


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def days_of(changes: list[DayChange]) -> Mapping[tuple[str, date, str, str], list[int]]:
    """Payee, day, country and device → views, billable views and seconds; the payee is empty for all videos."""
    found: dict[tuple[str, date, str, str], list[int]] = {}
    for each in changes:
        day = date.fromisoformat(each.event_day)
        for payee_id in filter(lambda payee: payee is not None, ("", owner_of(each.video_id, day))):
            for cell in each.cells:
                sums = found.setdefault((str(payee_id), day, cell.country, cell.device_type), [0, 0, 0])
                for place, amount in enumerate((cell.views, cell.billable_views, cell.watched_seconds)):
                    sums[place] += amount
    return found


def sums_of_days(days: Mapping[tuple[str, date, str, str], list[int]]) -> Mapping[tuple[str, ...], list[int]]:
    """Payee, kind of sum, day, country and device → views, billable views and seconds."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for (payee_id, day, country, device), sums in days.items():
        for split_by, *split in (("day", "", ""), ("country", country, ""), ("device", "", device)):
            so_far = found.setdefault((payee_id, split_by, day, *split), [0, 0, 0])
            so_far[:] = [old + new for old, new in zip(so_far, sums, strict=True)]
    return found


def spans_of(changes: list[DayChange]) -> Mapping[tuple[str, date, str, str], Counter[str]]:
    """CalendarSpan, first day, kind and subject → its sums."""
    found: dict[tuple[str, date, str, str], Counter[str]] = {}
    for each in changes:
        day = date.fromisoformat(each.event_day)
        for span, start_on in (("week", day - timedelta(days=day.weekday())), ("month", day.replace(day=1))):
            for kind, subject in (("video", each.video_id), ("channel", owner_of(each.video_id, day))):
                if subject is not None:
                    sums = found.setdefault((span, start_on, kind, subject), Counter())
                    sums["views"] += each.views
                    sums["billable"] += each.billable_views
                    sums["seconds"] += each.watched_seconds
    return found


def before(span: str, start_on: date) -> date:
    return start_on - timedelta(days=7) if span == "week" else (start_on - timedelta(days=1)).replace(day=1)


def assert_answers(url: str, changes: list[DayChange]) -> None:
    """The page's answers are the sums of the changes, and what its SQL gives a login of the reporting role."""
    days, spans, november = days_of(changes), spans_of(changes), date(2026, 11, 1)
    with closing(PostgresData(url)) as data:
        for asked in (
            *(AskedSpan(CalendarSpan.MONTH, november, *filters) for filters in FILTERS),
            *(AskedSpan(CalendarSpan.WEEK, date(2026, 11, 9), *filters) for filters in FILTERS),
            *(AskedSpan(CalendarSpan.WEEK, date(2026, 11, 23), *filters) for filters in FILTERS),
            AskedSpan(CalendarSpan.MONTH, date(2026, 10, 1)),
        ):
            found = data.answers(questions(asked))
            assert found.version is not None
            assert found.version.version == VERSIONS
            cells = {
                key: sums
                for key, sums in days.items()
                if key[0] == asked.channel and asked.before_on <= key[1] < asked.end_on
            }
            by_day = sums_by(cells, asked, lambda day, *_: day)
            assert list(found.rows["days"]) == expected_days(asked, by_day)
            assert list(found.rows["watch_time"]) == expected_watch_time(asked, by_day)
            now = {key: sums for key, sums in cells.items() if key[1] >= asked.start_on}
            by_country = partial(sums_by, asked=replace(asked, country=""), key_of=lambda _, country, device: country)
            by_device = partial(sums_by, asked=replace(asked, device=""), key_of=lambda _, country, device: device)
            for question, by in (("countries", by_country), ("devices", by_device)):
                after, both = by(now), by(cells)
                none = [0, 0, 0]
                expected = [
                    (name, *sums[:2], both[name][0] - sums[0], average(*sums[::2]))
                    for name, sums in ((name, after.get(name, none)) for name in both)
                ]
                assert list(found.rows[question]) == sorted(expected, key=lambda row: (-row[1], row[0])), asked
            if asked.is_filtered:
                for question, place in (("top_channels", 0), ("rising_channels", 2)):
                    assert list(found.rows[question]) == expected_channels(asked, days, place), asked
            for question, kind, ranked_by in (("top_videos", "video", "views"), ("rising_channels", "channel", "rise")):
                if asked.is_filtered and kind == "channel":
                    continue
                ranked = {
                    subject: sums["views"] - (ranked_by == "rise") * spans.get(
                        (span, before(span, start_on), of_kind, subject), Counter())["views"]
                    for (span, start_on, of_kind, subject), sums in spans.items()
                    if (span, start_on, of_kind) == (asked.span, asked.start_on, kind)
                }  # fmt: skip
                best = sorted((-amount, subject) for subject, amount in ranked.items() if amount > 0)
                assert [row[0] for row in found.rows[question]] == [subject for _, subject in best]
                for subject, _, views, *_, seconds_a_view in found.rows[question]:
                    sums = spans[asked.span, asked.start_on, kind, subject]
                    assert (views, seconds_a_view) == (sums["views"], average(sums["views"], sums["seconds"]))
            with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
                cursor.execute("SET ROLE viewledger_reporting")
                for name, sql in questions(asked).items():
                    cursor.execute(sql)
                    assert cursor.fetchall() == list(found.rows[name]), name
                    assert tuple(column.name for column in cursor.description or ()) == COLUMNS[name]


def expected_days(asked: AskedSpan, by_day: Mapping[date, list[int]]) -> list[tuple[Any, ...]]:
    """Each day of the span up to the last one with a view, beside the one in the same place of the span before."""
    found = []
    for day, then in days_in_pairs(asked, by_day):
        now, earlier = by_day.get(day, [0, 0, 0]), by_day.get(then, [0, 0, 0])
        found.append((day, *now[:2], *(earlier[:2] if then < asked.start_on else (None, None))))
    return found


def expected_watch_time(asked: AskedSpan, by_day: Mapping[date, list[int]]) -> list[tuple[Any, ...]]:
    found = []
    for day, then in days_in_pairs(asked, by_day):
        views, _, seconds = by_day.get(day, (0, 0, None))
        earlier = by_day[then][2] if then < asked.start_on and then in by_day else None
        found.append((day, seconds, average(views, seconds), earlier))
    return found


def lets_through(asked: AskedSpan, country: str, device: str) -> bool:
    return asked.country in ("", country) and asked.device in ("", device)


def average(views: int, seconds: int | None) -> Decimal | None:
    """Seconds watched in a view."""
    if not views or seconds is None:
        return None
    return (Decimal(seconds) / views).quantize(Decimal("0.001"), ROUND_HALF_UP)


def expected_channels(
    asked: AskedSpan, days: Mapping[tuple[str, date, str, str], list[int]], ranked_by: int
) -> list[tuple[Any, ...]]:
    """Each channel that the filters let through, with its views, billable views, rise and average view, best first."""
    found: dict[str, list[int]] = {}
    for (payee_id, day, country, device), (views, billable, seconds) in days.items():
        is_of_channel, is_now = payee_id and asked.channel in ("", payee_id), day >= asked.start_on
        if is_of_channel and asked.before_on <= day < asked.end_on and lets_through(asked, country, device):
            sums = found.setdefault(payee_id, [0, 0, 0, 0])
            changes = (views * is_now, billable * is_now, views if is_now else -views, seconds * is_now)
            for place, amount in enumerate(changes):
                sums[place] += amount
    best = sorted(found.items(), key=lambda each: (-each[1][ranked_by], each[0]))
    return [
        (payee_id, f"Channel {payee_id}", *sums[:3], average(sums[0], sums[3]))
        for payee_id, sums in best
        if sums[ranked_by] > 0
    ]


def days_in_pairs(asked: AskedSpan, by_day: Mapping[date, list[int]]) -> list[tuple[date, date]]:
    last = max((day for day in by_day if day >= asked.start_on), default=asked.before_on)
    places = range((last - asked.start_on).days + 1)
    return [(asked.start_on + timedelta(days=each), asked.before_on + timedelta(days=each)) for each in places]


def sums_by(
    cells: Mapping[tuple[str, date, str, str], list[int]], asked: AskedSpan, key_of: Callable[[date, str, str], Any]
) -> dict[Any, list[int]]:
    """Sums by a key of day, country and device, of what the filters let through."""
    found: dict[Any, list[int]] = {}
    for (_, day, country, device), sums in cells.items():
        if lets_through(asked, country, device):
            so_far = found.setdefault(key_of(day, country, device), [0, 0, 0])
            so_far[:] = [old + new for old, new in zip(so_far, sums, strict=True)]
    return found


def test_every_version_adds_exactly_its_changes(url: str) -> None:
    rng = random.Random(76)
    PostgresCatalogueStore(connector(url, "viewledger_billing")).import_catalogue(catalogue(), "test")
    put_in_force(url)
    changes: list[DayChange] = []
    with closing(PostgresVersionStore(url)) as store:
        for number in range(1, VERSIONS + 1):
            new = changes_of(rng)
            store.begin(RunEntry(f"run-{number}", "incremental", "running", None, NOON, None))
            staged = StagedCounts(0, PostgresStaging(url).store_days(f"run-{number}", 0, new))
            store.publish(replace(published(version=number), run_id=f"run-{number}"), staged, {}, {})
            changes += new
            totals = rows(
                url,
                "SELECT payee_id, event_day, country, device, views, billable_views, watched_seconds "
                "FROM published.day_totals",
            )
            assert {row[:4]: list(row[4:]) for row in totals} == days_of(changes), number
            sums = rows(url, f"SELECT {KEYS_OF_SUMS}, views, billable_views, watched_seconds FROM published.day_sums")
            assert {row[:5]: list(row[5:]) for row in sums} == sums_of_days(days_of(changes)), number
            spans = spans_of(changes)
            rises = {
                (span, start_on, kind, subject): sums["views"]
                - spans.get((span, before(span, start_on), kind, subject), Counter())["views"]
                for (span, start_on, kind, subject), sums in spans.items()
            }
            found = rows(
                url,
                "SELECT span, start_on, kind, subject_id, views, billable_views, watched_seconds, rise "
                "FROM published.span_totals",
            )
            assert {row[:4]: row[4:7] for row in found} == {
                key: (sums["views"], sums["billable"], sums["seconds"]) for key, sums in spans.items()
            }, number
            assert {row[:4]: row[7] for row in found} == rises, number
    assert len(rises) > 30
    assert_answers(url, changes)
    # a migration rolls up the versions that it finds, all at once
    tables = ("published.day_totals", "published.day_sums", "published.span_totals")
    one_by_one = [sorted(rows(url, f"SELECT * FROM {table}")) for table in tables]
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE viewledger_owner")
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute("SELECT published.roll_up_days(0, %s)", (VERSIONS,))
    assert [sorted(rows(url, f"SELECT * FROM {table}")) for table in tables] == one_by_one
