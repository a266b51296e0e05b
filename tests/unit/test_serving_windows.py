"""Windows of local time: exact in every zone, on the nights when clocks change, too."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from serving_layer.problems.problems import ProblemError
from serving_layer.request.windows import WINDOWS_MAX, WindowKind, boundaries, instant_of, quarter_of, zone_of
from tests.examples import given, settings, st

ZONES = sorted(available_timezones() - {"localtime", "Factory"})


def hours_of_days(zone_name: str, first: str, last: str) -> list[float]:
    zone = ZoneInfo(zone_name)
    edges = boundaries(quarter_of("from", first, zone), quarter_of("to", last, zone), WindowKind.DAY, zone)
    return [(end - start) / 4 for start, end in pairwise(edges)]


@pytest.mark.parametrize(
    ("zone", "first", "last", "hours"),
    [
        ("Europe/Berlin", "2026-10-24", "2026-10-27", [24, 25, 24]),
        ("Europe/Berlin", "2026-03-28", "2026-03-31", [24, 23, 24]),
        ("America/New_York", "2026-11-01", "2026-11-02", [25]),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-06", [24.5]),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-05", [23.5]),
        ("America/Havana", "2026-11-01", "2026-11-02", [25]),
        ("Asia/Beirut", "2026-03-29", "2026-03-30", [23]),
        ("Asia/Kolkata", "2026-11-01", "2026-11-03", [24, 24]),
        ("Asia/Kathmandu", "2026-11-01", "2026-11-02", [24]),
        ("UTC", "2026-11-01", "2026-11-02", [24]),
    ],
)
def test_a_day_is_as_long_as_it_is_there(zone: str, first: str, last: str, hours: list[float]) -> None:
    assert hours_of_days(zone, first, last) == hours


def test_the_hour_that_comes_twice_is_two_windows_told_apart_by_their_offset() -> None:
    zone = ZoneInfo("Europe/Berlin")
    edges = boundaries(
        quarter_of("from", "2026-10-25T00:00:00Z", zone),
        quarter_of("to", "2026-10-25T03:00:00Z", zone),
        WindowKind.HOUR,
        zone,
    )
    assert [instant_of(edge, zone).isoformat() for edge in edges[:-1]] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_hours_of_a_half_hour_zone_begin_on_its_own_hours() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    edges = boundaries(
        quarter_of("from", "2026-11-01", zone), quarter_of("to", "2026-11-02", zone), WindowKind.HOUR, zone
    )
    assert len(edges) == 25
    assert {instant_of(edge, UTC).minute for edge in edges} == {30}


def test_months_have_their_own_lengths_and_the_ends_are_cut() -> None:
    zone = ZoneInfo("Europe/Berlin")
    edges = boundaries(
        quarter_of("from", "2026-01-15", zone), quarter_of("to", "2027-02-03", zone), WindowKind.MONTH, zone
    )
    starts = [instant_of(edge, zone).date().isoformat() for edge in edges]
    assert starts[:3] == ["2026-01-15", "2026-02-01", "2026-03-01"]
    assert starts[-3:] == ["2027-01-01", "2027-02-01", "2027-02-03"]
    assert len(edges) == 15


@settings(max_examples=300)
@given(
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(list(WindowKind)),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    quarters=st.integers(1, 96 * 40),
)
def test_in_every_zone_windows_cover_the_range_without_gap_or_overlap(
    zone: str, kind: WindowKind, start: datetime, quarters: int
) -> None:
    there = ZoneInfo(zone)
    first = int(start.replace(tzinfo=UTC).timestamp()) // 900
    edges = boundaries(first, first + quarters, kind, there)
    assert edges[0] == first
    assert edges[-1] == first + quarters
    assert edges == sorted(set(edges))
    places: Counter[tuple[object, ...]] = Counter()
    for begin, end in pairwise(edges):
        here = {place(instant_of(quarter, there), kind) for quarter in range(begin, end)}
        assert len(here) == 1, "a window holds one hour, day or month of local time, or the whole range"
        places.update(here)
    assert set(places.values()) == {1}, "and no two windows hold the same"


def place(local: datetime, kind: WindowKind) -> tuple[object, ...]:
    if kind is WindowKind.RANGE:
        return ()
    if kind is WindowKind.MONTH:
        return (local.year, local.month)
    return (local.date(), local.hour, local.utcoffset()) if kind is WindowKind.HOUR else (local.date(),)


def test_every_zone_in_use_is_whole_quarters_of_an_hour_away_from_utc() -> None:
    for name in ZONES:
        for year in range(2020, 2031):
            for month in range(1, 13):
                offset = datetime(year, month, 1, tzinfo=ZoneInfo(name)).utcoffset()
                assert offset is not None
                assert offset % timedelta(minutes=15) == timedelta(0), name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "../etc/passwd",
        "/etc/localtime",
        "Europe",
        "x" * 100,
        "a\0b",
        "é",
        "right/UTC",
        "posix/UTC",
        "localtime",
        "posixrules",
        "Factory",
    ],
)
def test_what_is_not_a_zone_is_told_so(name: str) -> None:
    with pytest.raises(ProblemError) as caught:
        zone_of(name)
    assert caught.value.problem.code == "timezone_unknown"


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01", "2026-11-01T00:00:00", "2026-11-01T00:07:00Z", "2026-11-01T00:00:00 02:00",
     "1999-12-31", "2100-01-02", "0001-01-01", "9999-12-31T23:59:59-23:59", "2026-11-01T00:00:00.5Z"],
)  # fmt: skip
def test_what_is_not_an_instant_on_a_quarter_is_told_so(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        quarter_of("from", text, ZoneInfo("UTC"))
    assert caught.value.problem.code == "range_invalid"
    assert "from" in caught.value.problem.detail


def test_a_range_is_bounded_and_not_empty() -> None:
    zone = ZoneInfo("UTC")
    assert len(boundaries(0, 96 * WINDOWS_MAX, WindowKind.DAY, zone)) == WINDOWS_MAX + 1
    for start, end, code in (
        (0, 96 * WINDOWS_MAX + 1, "range_too_large"),
        (5, 5, "range_invalid"),
        (6, 5, "range_invalid"),
    ):
        with pytest.raises(ProblemError) as caught:
            boundaries(start, end, WindowKind.DAY, zone)
        assert caught.value.problem.code == code
