"""Raw = batch = served = billed, as a comparison of numbers."""

from datetime import UTC, date, datetime, timedelta

import pytest

from batch_layer.lake.content import Content, Place
from batch_layer.reconciling.reconciliation import (
    VideoTotals,
    billed_differences,
    place_differences,
    tally_differences,
    video_differences,
)
from ingestion.contract.settled import BilledVideo

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HERE, LATER, BESIDE = Place(0, NOON), Place(0, NOON + timedelta(hours=1)), Place(1, NOON)
ONE, OTHER = Content(1, (5, 6)), Content(1, (5, 7))
START, END = date(2026, 11, 1), date(2026, 12, 1)


def totals(video_id: str, *counts: tuple[int, int]) -> VideoTotals:
    return VideoTotals(video_id, dict(zip(("events", "by day"), counts, strict=True)))


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


def test_a_video_is_named_with_the_first_step_at_which_its_counts_change() -> None:
    computed = [totals("b", (3, 2), (3, 1)), totals("a", (4, 4), (4, 4)), totals("c", (1, 0), (1, 0))]
    assert video_differences(computed, {"a": (5, 4), "b": (3, 1), "c": (1, 0), "gone": (0, 0)}) == (
        3,
        [
            "video a: by day has 4 views (4 billable), PostgreSQL has 5 views (4 billable)",
            "video b: events has 3 views (2 billable), by day has 3 views (1 billable)",
        ],
    )


def test_a_video_that_only_one_side_has_is_a_difference() -> None:
    assert video_differences([totals("a", (1, 1), (1, 1))], {})[1] == [
        "video a: by day has 1 views (1 billable), PostgreSQL has 0 views (0 billable)"
    ]
    assert video_differences([], {"a": (1, 1)}) == (
        1,
        ["video a: the tables have no views, PostgreSQL has 1 views (1 billable)"],
    )
    assert video_differences([totals("a", (1, 1), (1, 1))]) == (1, []), "nothing served is looked at"


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
