"""By which sizes a batch run is planned, whatever became of the log."""

from datetime import UTC, datetime

import pytest

from batch_layer.lake.spark_kept import tasks_for
from batch_layer.lake.tables import EVENTS, RAW_EVENTS
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import PublishedVersion
from jobs.wiring.batch_run import RunSizes, sizes_of_run, task_count

BASE = 2**40


def version(ends: tuple[int, ...], stored: int) -> PublishedVersion:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    counts = {RAW_EVENTS: stored, EVENTS: 7}
    return PublishedVersion(1, "run-1", OffsetVector("video-views", ends), (noon,) * 2, {}, counts, {}, {}, noon)


@pytest.mark.parametrize(
    ("ends", "base", "highwaters", "new_count"),
    [
        ((30, 40), 0, (35, 40), 5),
        ((30, 40), 0, (35, 40, 9), 14),  # a partition was added
        ((30, 40), BASE, (BASE + 3, BASE + 4), 7),  # another generation of the log
        ((BASE + 3, BASE + 4), BASE, (BASE + 3, BASE + 9), 5),
        ((30, 40), 0, (10, 45), 5),  # shorter than what is counted
        ((30, 40), 0, (0, 0), 0),
        ((30, 40), 0, (30,), 0),
    ],
)
def test_a_run_is_planned_by_what_is_new_on_the_log_beside_what_is_stored(
    ends: tuple[int, ...], base: int, highwaters: tuple[int, ...], new_count: int
) -> None:
    sizes = sizes_of_run(version(ends, 100_000_000), base=base, highwaters=highwaters)
    assert sizes == RunSizes(new_count, 100_000_000)


def test_before_the_first_version_everything_is_new_and_nothing_stored() -> None:
    assert sizes_of_run(None, base=BASE, highwaters=(BASE + 5, BASE)) == RunSizes(5, 0)


def test_spark_is_always_given_a_task() -> None:
    assert task_count(sizes_of_run(version((30, 40), 0), base=0, highwaters=(0, 0))) == 1
    assert task_count(RunSizes(10, 100_000_000)) == 200
    assert task_count(RunSizes(1_000_000, 0)) == tasks_for(1_000_000)
