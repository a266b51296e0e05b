"""The comparison as the sequence of its steps, on fakes."""

from datetime import UTC, date, datetime, timedelta

import pytest

from batch_layer.errors import DifferenceError, RefusedError
from batch_layer.reconciling.reconcile import ReconcilePorts, never_reconciled, reconcile_after_run, reconcile_once
from batch_layer.reconciling.reconciliation import DIFFERENCES_MAX, Reconciliation
from batch_layer.versions.ports import RunEntry, StagedCounts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.settled import BilledVideo
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion
from tests.batch_fakes import Found, FoundInChange, MemoryVersions

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = NOON.date()
MONTH = (date(2026, 11, 1), date(2026, 12, 1))


def versions(count: int = 2) -> MemoryVersions:
    store = MemoryVersions()
    for number in range(1, count + 1):
        version = PublishedVersion(
            version=number,
            run_id=str(number),
            offsets=OffsetVector("video-views", (number,)),
            watermarks=(NOON,),
            snapshots={},
            row_counts={},
            content_hashes={},
            day_rules={},
            published_at=NOON,
        )
        store.begin(RunEntry(str(number), "incremental", "running", None, NOON, None))
        store.publish(version, StagedCounts(), {"judged_days": [str(DAY - timedelta(days=number))]}, {})
    return store


def ports(found: Found, store: MemoryVersions, changes: FoundInChange | None = None) -> ReconcilePorts:
    return ReconcilePorts(store, store, found, found, changes or FoundInChange(), found, lambda stage, text: None)


def test_what_is_equal_is_kept_and_clears_what_was_open() -> None:
    store = versions()
    assert reconcile_once(ports(Found(raw=["a row is gone"]), store), None).differences == ("a row is gone",)
    assert [each.differences for each in store.open_differences()] == [("a row is gone",)]
    result = reconcile_once(ports(Found(), store), None)
    assert result.is_equal
    assert result.compared == {"raw_events": 5, "videos": 2, "billed_videos": 0}
    assert store.open_differences() == []


def test_differences_come_in_the_order_of_the_flow() -> None:
    posted = [BilledVideo(1, *MONTH, "a", 3)]
    found = Found(raw=["raw"], judged=["judged"], served=["served"], posted=posted, billable={"a": 4})
    differences = reconcile_once(ports(found, versions()), None).differences
    assert [each.split()[0] for each in differences] == ["raw", "judged", "served", "video"]
    assert found.asked == ["raw", "judged", "served", "billable of version 1"]


def test_when_a_file_is_gone_nothing_is_read() -> None:
    found = Found(files=["file /f is gone"])
    assert reconcile_once(ports(found, versions()), None).differences == ("file /f is gone",)
    assert found.asked == []


def test_what_cannot_be_read_is_a_difference_and_ends_the_comparison() -> None:
    found = Found(raw=["raw"], failure=DifferenceError("file /f cannot be read"))
    store = versions()
    assert reconcile_once(ports(found, store), DAY).differences == ("raw", "file /f cannot be read")
    assert found.asked == ["raw", "judged"]
    assert store.found[-1][1].days == (DAY,)


def test_a_server_that_is_away_is_not_a_difference_and_nothing_is_kept() -> None:
    store = versions()
    before = list(store.found)
    with pytest.raises(UnavailableError):
        reconcile_once(ports(Found(failure=UnavailableError(Part.HDFS, "HDFS is away")), store), None)
    assert store.found == before


def test_for_a_day_the_ledgers_periods_that_hold_it_are_read() -> None:
    found = Found(posted=[BilledVideo(1, *MONTH, "a", 3)], billable={"a": 3})
    result = reconcile_once(ports(found, versions()), DAY)
    assert result.is_equal
    assert result.compared["billed_videos"] == 1
    assert found.asked_days == (DAY,)


def test_a_version_that_the_ledger_names_must_have_been_published() -> None:
    found = Found(posted=[BilledVideo(9, *MONTH, "a", 3)])
    (difference,) = reconcile_once(ports(found, versions()), None).differences
    assert difference == "the ledger was posted from version 9, which was never published"


def test_a_view_that_is_paid_twice_is_found_when_everything_is_compared() -> None:
    found = Found(twice=["video a is paid twice"])
    assert reconcile_once(ports(found, versions()), None).differences == ("video a is paid twice",)
    assert reconcile_once(ports(found, versions()), DAY).is_equal


def test_before_the_first_version_there_is_nothing_to_compare() -> None:
    with pytest.raises(RefusedError, match="nothing is published yet"):
        reconcile_once(ports(Found(), versions(0)), None)


def test_only_the_first_differences_are_kept() -> None:
    found = Found(raw=[str(number) for number in range(DIFFERENCES_MAX + 1)])
    assert reconcile_once(ports(found, versions()), None).differences == tuple(found.raw[:DIFFERENCES_MAX])


def test_a_repair_lets_the_tables_show_the_version_first_unless_a_run_is_at_work() -> None:
    found, store = Found(files=["file /f was added"]), versions()
    store.is_locked_elsewhere = True
    with pytest.raises(RefusedError, match="a batch run is at work"):
        reconcile_once(ports(found, store), None, repair=True)
    assert found.asked == []
    store.is_locked_elsewhere = False
    assert reconcile_once(ports(found, store), None, repair=True).is_equal
    assert found.asked[0] == "groups of version 2 noted", "before the comparison reads what is noted"


def test_after_a_run_its_version_is_compared_and_those_of_runs_that_could_not_compare_them() -> None:
    found, store = FoundInChange(), versions(3)
    store.record("run", Reconciliation(1, None, ()))
    result = reconcile_after_run(ports(Found(), store, found))
    assert result is not None
    assert (result.version, result.days, result.compared) == (3, None, {"raw_events": 5, "videos": 2})
    assert found.asked == [(1, 3)]
    assert never_reconciled(store) == ()
    assert reconcile_after_run(ports(Found(), store, found)) is None, "every version is compared once"


def test_the_first_versions_are_compared_with_nothing() -> None:
    found = FoundInChange()
    reconcile_after_run(ports(Found(), versions(2), found))
    assert found.asked == [(0, 2)]


def test_after_a_run_nothing_but_the_change_is_read() -> None:
    everything = Found(files=["file /f is gone"], posted=[BilledVideo(9, *MONTH, "a", 3)])
    result = reconcile_after_run(ports(everything, versions()))
    assert result is not None
    assert result.is_equal, "the next run looks at the files, and the command at all of it"
    assert everything.asked == []


def test_versions_that_could_not_be_compared_stay_to_be_compared() -> None:
    store = versions()
    away = FoundInChange(failure=UnavailableError(Part.HDFS, "HDFS is away"))
    with pytest.raises(UnavailableError):
        reconcile_after_run(ports(Found(), store, away))
    assert store.open_differences() == [], "a server that is away is not a difference"
    (sentence,) = never_reconciled(store)
    assert sentence.startswith("versions 1 to 2 are not reconciled yet")
    reconcile_once(ports(Found(), store), DAY)
    assert never_reconciled(store) == (sentence,), "one day is not all of them"
    away.failure = None
    reconcile_after_run(ports(Found(), store, away))
    assert never_reconciled(store) == ()


def test_a_comparison_of_everything_leaves_nothing_to_a_run() -> None:
    store = versions()
    reconcile_once(ports(Found(), store), None)
    assert never_reconciled(store) == ()


def test_what_is_found_after_a_run_is_open_until_everything_was_compared() -> None:
    store = versions()
    found = FoundInChange(raw=["a row is gone"], judged=["another"], served=["video a differs"])
    reconcile_after_run(ports(Found(), store, found))
    assert never_reconciled(store) == ()
    reconcile_once(ports(Found(), store), DAY)
    assert [each.differences for each in store.open_differences()] == [("a row is gone", "another", "video a differs")]
