"""Raw = batch = served = billed, as a comparison of numbers."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from batch_layer.lake.content import Content, Place
from batch_layer.reconciling.reconciliation import (
    VersionChange,
    VideoMeasures,
    VideoTotals,
    billed_differences,
    gain_differences,
    noted_differences,
    place_differences,
    tally_differences,
    video_differences,
)
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.settled import BilledVideo
from ingestion.contract.traffic_groups import TrafficGroup
from ingestion.contract.version import PublishedVersion

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HERE, LATER, BESIDE = Place(0, NOON), Place(0, NOON + timedelta(hours=1)), Place(1, NOON)
ONE, OTHER = Content(1, (5, 6)), Content(1, (5, 7))
START, END = date(2026, 11, 1), date(2026, 12, 1)


def totals(video_id: str, *counts: tuple[int, int], seconds: tuple[int, int, int] = (60, 60, 60)) -> VideoTotals:
    found = [VideoMeasures(*each, watched) for each, watched in zip(counts, seconds, strict=False)]
    return VideoTotals(video_id, dict(zip(("events", "by day", "PostgreSQL"), found, strict=False)))


def test_a_place_reads_back_what_it_is_called_by() -> None:
    assert Place.parse("1 2026-11-20 12") == BESIDE
    assert str(BESIDE) == "partition 1, hour 2026-11-20 12:00 UTC"


def test_equal_contents_have_no_differences() -> None:
    assert place_differences("runs", {HERE: ONE, LATER: OTHER}, "raw", {LATER: OTHER, HERE: ONE}) == []
    assert place_differences("runs", {}, "raw", {}) == []


def test_differences_come_by_partition_and_hour_and_name_both_sides() -> None:
    found = place_differences("runs", {BESIDE: ONE, HERE: ONE}, "raw", {HERE: OTHER, LATER: ONE})
    assert found == [
        f"partition 0, hour 2026-11-20 12:00 UTC: runs has {ONE}, raw has {OTHER}",
        f"partition 0, hour 2026-11-20 13:00 UTC: runs has no rows, raw has {ONE}",
        f"partition 1, hour 2026-11-20 12:00 UTC: runs has {ONE}, raw has no rows",
    ]


def test_a_row_deleted_and_another_doubled_is_a_difference_though_the_count_is_the_same() -> None:
    first, second = Content(1, (3, 4)), Content(1, (30, 40))
    assert place_differences("runs", {HERE: first + second}, "raw", {HERE: first + first})


def test_as_many_rows_lost_as_gained_is_a_difference_though_none_is_left() -> None:
    (difference,) = place_differences("runs", {}, "raw", {HERE: ONE - OTHER})
    assert "0 rows with hash" in difference


def test_the_tally_is_compared_by_partition_hour_and_verdict() -> None:
    tally = {(HERE, "counted"): 3, (HERE, "duplicate"): 1}
    assert tally_differences(tally, tally) == []
    assert tally_differences(tally, {(HERE, "counted"): 4, (BESIDE, "rejected"): 2}) == [
        "partition 0, hour 2026-11-20 12:00 UTC: tally has 3 counted events, events has 4",
        "partition 0, hour 2026-11-20 12:00 UTC: tally has 1 duplicate events, events has 0",
        "partition 1, hour 2026-11-20 12:00 UTC: tally has 0 rejected events, events has 2",
    ]


def test_what_the_tally_has_gained_is_compared_by_partition() -> None:
    assert gain_differences({0: 3, 2: 1}, {0: 3, 2: 1}) == []
    assert gain_differences({0: 3, 1: -1}, {0: 2, 2: 4}) == [
        "partition 0: tally has gained 3 events, and 2 were archived",
        "partition 1: tally has gained -1 events, and 0 were archived",
        "partition 2: tally has gained 0 events, and 4 were archived",
    ]


def test_a_video_is_named_with_the_first_step_at_which_its_counts_change() -> None:
    computed = [
        totals("b", (3, 2), (3, 1), (0, 0)),
        totals("a", (4, 4), (4, 4), (5, 4)),
        totals("c", (1, 0), (1, 0), (1, 0)),
    ]
    assert video_differences(computed) == [
        "video a: by day has 4 views (4 billable, 60 seconds watched), "
        "PostgreSQL has 5 views (4 billable, 60 seconds watched)",
        "video b: events has 3 views (2 billable, 60 seconds watched), "
        "by day has 3 views (1 billable, 60 seconds watched)",
    ]


def test_a_video_of_which_only_the_watched_seconds_change_is_named() -> None:
    assert video_differences([totals("a", (2, 1), (2, 1), (2, 1), seconds=(60, 60, 61))]) == [
        "video a: by day has 2 views (1 billable, 60 seconds watched), "
        "PostgreSQL has 2 views (1 billable, 61 seconds watched)",
    ]


def test_counts_of_one_day_are_named_with_it() -> None:
    computed = [replace(totals("a", (1, 1), (2, 1)), day=day) for day in (END, START)]
    assert video_differences(computed) == [
        f"video a on {day}: events has 1 views (1 billable, 60 seconds watched), "
        "by day has 2 views (1 billable, 60 seconds watched)"
        for day in (START, END)
    ]


def vector(*ends: int) -> PublishedVersion:
    return PublishedVersion(
        version=len(ends),
        run_id="run",
        offsets=OffsetVector("video-views", ends),
        watermarks=(NOON,),
        snapshots={},
        row_counts={},
        content_hashes={},
        day_rules={},
        published_at=NOON,
    )


def test_a_change_covers_the_offsets_that_are_new_also_of_partitions_that_are() -> None:
    assert [(each.partition, each.start, each.end) for each in VersionChange(None, vector(3, 0)).ranges] == [(0, 0, 3)]
    grown = VersionChange(vector(3, 5), vector(3, 7, 2))
    assert grown.after == 2
    assert [(each.partition, each.start, each.end) for each in grown.ranges] == [(1, 5, 7), (2, 0, 2)]


def test_a_group_under_review_is_noted_and_there_or_it_is_named() -> None:
    ann = TrafficGroup(START, "many", "ann", 2, "1f" * 16)
    bob, carl = replace(ann, payee_id="bob"), replace(ann, set_hash="2e" * 16)
    assert noted_differences(7, [ann, bob], [bob, ann]) == noted_differences(7, [], []) == []
    assert noted_differences(7, [ann, bob], [bob, carl]) == [
        "group 2026-11-01/many/ann/2-1f1f1f1f1f1f is noted as waiting, and version 7 has no such group",
        "group 2026-11-01/many/ann/2-2e2e2e2e2e2e is under review in version 7, and not noted as waiting",
    ]


def billed(video_id: str | None, views: int, version: int = 7, *, may_be_fewer: bool = False) -> BilledVideo:
    return BilledVideo(version, START, END, video_id, views, may_be_fewer)


def test_what_was_billed_is_compared_with_the_version_it_was_billed_from() -> None:
    billable = {(7, START, END): {"a": 3, "b": 2, "orphan": 4}, (8, START, END): {"a": 5}}
    posted = [billed("a", 3), billed("b", 2), billed(None, 9), billed("a", 5, version=8), billed("gone", 0)]
    assert billed_differences(posted, billable) == []


@pytest.mark.parametrize(
    ("posted", "answer"),
    [
        (billed("a", 4), "video a of 2026-11-01/2026-12-01 billed from version 7: events has 3 billable views, the "
                         "ledger has 4"),
        (billed("b", 1), "video b of 2026-11-01/2026-12-01 billed from version 7: events has 0 billable views, the "
                         "ledger has 1"),
        (billed("a", 2), "video a of 2026-11-01/2026-12-01 billed from version 7: events has 3 billable views, the "
                         "ledger has 2"),
        (billed(None, 2), "all videos of 2026-11-01/2026-12-01 billed from version 7: events has 3 billable views, "
                          "the ledger has 2"),
    ],
)  # fmt: skip
def test_views_billed_too_many_too_few_or_not_at_all_are_named(posted: BilledVideo, answer: str) -> None:
    assert billed_differences([posted], {(7, START, END): {"a": 3}}) == [answer]


def test_a_stricter_contract_may_leave_views_out_but_never_add_any() -> None:
    billable = {(7, START, END): {"a": 3}}
    assert billed_differences([billed("a", 2, may_be_fewer=True)], billable) == []
    assert len(billed_differences([billed("a", 4, may_be_fewer=True)], billable)) == 1
