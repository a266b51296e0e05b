"""What the gate reports about rows that break a rule: table, rule, how many, and where the first of them are."""

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from batch_layer.archive.ports import Archived
from batch_layer.gate import gx_gate
from batch_layer.gate.gx_gate_sentences import broken_rule
from batch_layer.gate.spark_gate_sums import Subject
from batch_layer.lake.aggregates import AGGREGATES
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept
from batch_layer.lake.tables import TABLES, VIEWS_BY_VIDEO
from ingestion.contract.event import VIEW_DURATION_SECONDS_MAX
from ingestion.contract.offsets import OffsetVector


def judged(
    spark: SparkSession,
    name: str,
    rows: DataFrame,
    expectations: list[object],
    monkeypatch: pytest.MonkeyPatch,
    *,
    folder: Path,
) -> tuple[str, ...]:
    """The failures of a gate that checks these rows alone."""
    monkeypatch.setattr(gx_gate, "_checks", lambda _spark, _subject: {name: (rows, expectations)})
    return gx_gate.judge(spark, None, "run-1", folder).failures  # type: ignore[arg-type]


def test_a_row_that_breaks_a_rule_is_named_by_table_day_partition_and_value(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = "event_day string, partition int, offset bigint, country string, view_duration int"
    rows = spark.createDataFrame(
        [("2026-11-20", 3, 17, "DE", 5), ("2026-11-20", 3, 18, "Germany", 5), ("2026-11-21", 4, 2, "FR", -1)], columns
    )
    rules = [
        gx_gate.gxe.ExpectColumnValuesToMatchRegex(column="country", regex="^[A-Z]{2}$"),
        gx_gate.gxe.ExpectColumnValuesToBeBetween(column="view_duration", min_value=0, max_value=9),
        gx_gate.gxe.ExpectColumnValuesToNotBeNull(column="event_day"),
    ]
    assert judged(spark, "events", rows, rules, monkeypatch, folder=tmp_path) == (
        "events: country does not match ^[A-Z]{2}$ in 1 rows: "
        "event_day 2026-11-20, partition 3, offset 18, country Germany",
        "events: view_duration is not from 0 to 9 in 1 rows: "
        "event_day 2026-11-21, partition 4, offset 2, view_duration -1",
    )
    assert "event_day 2026-11-20, partition 3, offset 18, country Germany" in (tmp_path / "index.html").read_text()


def test_numbers_that_differ_are_named_with_both_values_and_the_rest_is_counted(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = spark.createDataFrame(
        [(f"views_by_detail: views, event_day 2026-11-0{day}", 1200, 1200 + day) for day in range(6)],
        "what string, found bigint, expected bigint",
    )
    rules = [gx_gate.gxe.ExpectColumnPairValuesToBeEqual(column_A="found", column_B="expected")]
    assert judged(spark, gx_gate.SUMS, rows, rules, monkeypatch, folder=tmp_path) == (
        "views_by_detail: views, event_day 2026-11-01: 1,200 found, 1,201 expected",
        "views_by_detail: views, event_day 2026-11-02: 1,200 found, 1,202 expected",
        "views_by_detail: views, event_day 2026-11-03: 1,200 found, 1,203 expected",
        "2 more numbers differ",
    )


def test_counts_of_a_row_that_contradict_each_other_are_named(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def added(table: str, *rows: tuple[object, ...]) -> TableChanges:
        kinds = ", ".join(f"{each.name} {each.type_name}" for each in TABLES[table].columns)
        frame = spark.createDataFrame(list(rows), kinds)
        return TableChanges(Kept(frame, 0), frame)

    changes = {each.table: added(each.table) for each in AGGREGATES}
    longest = VIEW_DURATION_SECONDS_MAX
    changes[VIEWS_BY_VIDEO] = added(
        VIEWS_BY_VIDEO,
        ("right", 2, 2, 2 * longest, 2, 2, 1, 1, 0),
        ("paid", 2, 3, 5, 0, 0, 0, 0, 0),
        ("watched", 1, 0, longest + 1, 0, 0, 0, 0, 0),
        ("reached", 2, 0, 5, 2, 1, 1, 2, 0),
    )
    nothing = OffsetVector("topic", (0,))
    subject = Subject(changes, None, nothing, nothing, Archived({}, {}))
    rows, rules = gx_gate._all_counts(subject), gx_gate._of_counts()
    assert judged(spark, "counts", rows, rules, monkeypatch, folder=tmp_path) == (
        f"counts: views_not_billable is below 0 in 1 rows: of_table {VIEWS_BY_VIDEO}, video_id paid, "
        "views_not_billable -1",
        f"counts: seconds_below_maximum is below 0 in 1 rows: of_table {VIEWS_BY_VIDEO}, video_id watched, "
        "seconds_below_maximum -1",
        f"counts: is_completion_right is none of True in 1 rows: of_table {VIEWS_BY_VIDEO}, video_id reached, "
        "is_completion_right False",
    )


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("expect_column_values_to_not_be_null", {"column": "verdict"}, "verdict is missing"),
        ("expect_column_values_to_be_in_set", {"column": "of", "value_set": ["a", "b"]}, "of is none of a, b"),
        ("expect_column_values_to_be_between", {"column": "views", "min_value": 1.0}, "views is below 1"),
        (
            "expect_column_value_lengths_to_be_between",
            {"column": "id", "min_value": 1, "max_value": 64},
            "id does not have 1 to 64 characters",
        ),
        ("expect_something_new", {"column": "a"}, "expect_something_new does not hold"),
    ],
)
def test_every_rule_has_words(kind: str, values: dict[str, object], words: str) -> None:
    assert broken_rule(kind, values) == words
