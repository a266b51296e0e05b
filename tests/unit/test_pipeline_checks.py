"""How `doctor` judges the speed layer by what Kafka and Redis know of its partitions."""

from collections.abc import Mapping
from threading import Barrier

import pytest

from jobs.checkup.checks import CheckRow, CheckVerdict, bad, ok, warn
from jobs.checkup.pipeline import PartitionProgress, speed_row, speed_rows
from jobs.checkup.servers import broker_clock_rows, kafka_rows, log_rows, rows_of
from jobs.wiring.portal_operator import healths
from serving_layer.portal.records import PartHealth

CURRENT = PartitionProgress(0, 0, 0.4)


def test_partitions_that_are_counted_are_well() -> None:
    row = speed_row([CURRENT, PartitionProgress(1, 3, 1.0)])
    assert (row.verdict, row.found) == (CheckVerdict.OK, "2 partitions counted, 3 events behind the log")


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        (
            PartitionProgress(1, 30_000, 240.0),
            "1 of 2 partitions are behind, by 30,000 events; partition 1 was counted ",
        ),
        (PartitionProgress(1, 5, 11.0), "partition 1 was counted completely 11 s ago"),
        (PartitionProgress(1, 5, None), "partition 1 was counted completely at no time that is known"),
        (PartitionProgress(1, None, None), "1 of 2 partitions are behind, by 0 events"),
    ],
)
def test_a_partition_that_nobody_counts_is_bad_whatever_the_others_do(partition: PartitionProgress, words: str) -> None:
    row = speed_row([CURRENT, partition])
    assert row.verdict is CheckVerdict.BAD
    assert words in row.found
    assert "./viewledger restart speed" in row.remedy


def test_the_page_shows_what_fails_first_and_no_warning_as_well() -> None:
    rows = [ok("redis", "answers"), warn("batch", "no run for 3 days", "run it"), bad("kafka", "away", "start it")]
    assert healths([*rows, warn("speed", "behind", "wait")]) == [
        PartHealth("kafka", "fails", "away → start it"),
        PartHealth("batch", "warning", "no run for 3 days → run it"),
        PartHealth("speed", "warning", "behind → wait"),
        PartHealth("redis", "well", "answers"),
    ]


def test_the_partition_of_which_least_is_known_is_named() -> None:
    found = speed_row([PartitionProgress(0, 1, 50.0), PartitionProgress(1, 1, 90.0)]).found
    assert "partition 1 was counted completely 90 s ago" in found
    found = speed_row([PartitionProgress(0, 1, None), PartitionProgress(1, 1, 90.0)]).found
    assert "partition 0 was counted completely at no time" in found


def test_a_repair_and_a_high_lag_that_shrinks_are_warnings() -> None:
    assert speed_row([PartitionProgress(0, 7, None, repairing=True)]).verdict is CheckVerdict.WARN
    assert speed_row([PartitionProgress(0, 20_000, 2.0)]).verdict is CheckVerdict.WARN


def test_a_log_that_no_process_ever_counted_is_a_warning() -> None:
    row = speed_row([PartitionProgress(number, None, None) for number in range(12)])
    assert (row.verdict, row.found) == (CheckVerdict.WARN, "no partition is counted yet")


def test_no_check_waits_for_another() -> None:
    met = Barrier(2, timeout=30)

    def check(_: Mapping[str, str]) -> list[CheckRow]:
        met.wait()
        return [ok("met", "both are done at once")]

    assert [row.verdict for row in rows_of({"one": check, "two": check}, {})] == [CheckVerdict.OK] * 2


def test_a_broker_that_is_away_is_named_without_the_retries_of_a_client() -> None:
    environ = {"VIEWLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:1", "VIEWLEDGER_POSTGRES_URL": "postgresql://127.0.0.1:1/a"}
    checks = {"kafka": kafka_rows, "clock": broker_clock_rows, "log": log_rows, "speed": speed_rows}
    assert {row.found for row in rows_of(checks, environ)} == {"Kafka at 127.0.0.1:1 does not answer"}
