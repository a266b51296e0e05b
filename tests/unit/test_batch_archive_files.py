"""The files of the archive, as they were put on record and as they are found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from batch_layer.archive.archive_files import (
    ADDED,
    CHANGED,
    GONE,
    UNLISTED,
    FileStatus,
    FoundFiles,
    RecordedFile,
    file_sentence,
    suspects,
)
from batch_layer.lake.content import Content, Place

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HERE, LATER, BESIDE = Place(0, NOON), Place(0, NOON + timedelta(hours=1)), Place(1, NOON)
ONE, OTHER = Content(1, (5, 6)), Content(1, (5, 7))
STATUS = FileStatus(100, NOON)
RECORDED = {"a": RecordedFile(1, STATUS), "b": RecordedFile(2, STATUS), "c": RecordedFile(3, STATUS)}
HONEST = FoundFiles(listed=["a", "b"], on_main=[], stored={"a": STATUS, "b": STATUS, "of a lost run": STATUS})


def test_files_as_on_record_are_not_suspected_nor_are_those_of_lost_runs_and_newer_versions() -> None:
    assert suspects(2, RECORDED, HONEST) == {}
    assert suspects(2, RECORDED, replace(HONEST, on_main=["a", "b", "c"])) == {}


@pytest.mark.parametrize("other", [FileStatus(101, NOON), FileStatus(100, NOON + timedelta(milliseconds=1))])
def test_a_file_of_another_length_or_time_is_suspected(other: FileStatus) -> None:
    assert suspects(2, RECORDED, replace(HONEST, stored={"a": STATUS, "b": other})) == {"b": CHANGED}


def test_each_way_of_being_otherwise_is_told_apart() -> None:
    found = FoundFiles(listed=["a", "d"], on_main=["a", "e"], stored={"b": STATUS, "d": STATUS, "e": STATUS})
    assert suspects(2, RECORDED, found) == {"a": GONE, "b": UNLISTED, "d": ADDED, "e": ADDED}


def test_a_sentence_names_the_file_and_the_first_partition_and_hour_that_differ() -> None:
    recorded, found = {BESIDE: ONE, HERE: ONE, LATER: ONE}, {BESIDE: OTHER, HERE: ONE, LATER: OTHER}
    assert file_sentence("/f", CHANGED, recorded, found) == (
        "file /f of raw_events was changed after it was archived: partition 0, hour 2026-11-20 13:00 UTC: "
        f"recorded {ONE}, found {OTHER}"
    )
    assert str(file_sentence("/f", GONE, recorded, {})).endswith(f"hour 2026-11-20 12:00 UTC: recorded {ONE}, "
                                                                 "found no rows")  # fmt: skip


def test_a_file_brought_back_with_its_rows_is_not_a_difference_but_one_that_was_added_is() -> None:
    assert file_sentence("/f", CHANGED, {HERE: ONE}, {HERE: ONE}) is None
    assert file_sentence("/f", ADDED, {}, {}) == "file /f of raw_events was added after publication by no batch run"
