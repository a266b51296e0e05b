"""What the batch layer relies on in Iceberg and Spark, on the versions of the lock files."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.errors import DifferenceError
from batch_layer.judging.spark_aggregates import changed_cells, whole
from batch_layer.lake.aggregates import AGGREGATES, Aggregate
from batch_layer.lake.iceberg_tables import NAMESPACE, IcebergTables, branch_target
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import ROWS_PER_TASK, kept, kept_together
from batch_layer.lake.spark_session import replan
from batch_layer.lake.spark_stored import LITERAL_KEYS_MAX, POSITION, matching, with_position
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, TABLES, VIEWS_BY_VIDEO

BRANCH = "run_test"
ROWS = 6_000
SMALL_SPLITS = {
    "read.split.target-size": "16384",
    "read.split.open-file-cost": "1",
    "write.parquet.row-group-size-bytes": "8192",
    "write.parquet.page-size-bytes": "1024",
}
"""Many row groups in a file, and each is a split of its own."""


@pytest.fixture
def tables(spark: SparkSession, empty_tables: None) -> IcebergTables:
    """Empty tables with an open branch."""
    found = IcebergTables(spark)
    found.create_missing()
    for name in (EVENTS, VIEWS_BY_VIDEO):
        listed = ", ".join(f"'{key}'='{value}'" for key, value in SMALL_SPLITS.items())
        spark.sql(f"ALTER TABLE {NAMESPACE}.{name} SET TBLPROPERTIES ({listed})")
    found.open_branch(BRANCH, {})
    return found


def events_like(spark: SparkSession, count: int, **columns: str) -> DataFrame:
    """Rows of the events table: sorted by id_hash, every third without an id, every seventh without anything else."""
    values: Mapping[str, str] = {
        "partition": "cast(0 AS int)",
        "offset": "id",
        "appended_at": "timestamp'2026-11-20 12:00:00'",
        "event_id": "if(id % 3 = 0, NULL, uuid())",
        "id_hash": "if(id % 3 = 0, NULL, xxhash64(id))",
        "video_id": "if(id % 7 = 0, NULL, concat('v', id % 50))",
        "event_day": "date_add(date'2026-11-18', cast(id % 2 AS int))",
        "event_hour": "timestamp'2026-11-18 00:00:00'",
        "verdict": "if(id % 7 = 0, 'rejected', 'counted')",
        "billability": "if(id % 7 = 0, NULL, if(id % 2 = 0, 'billable', 'over_cap'))",
        "country": "if(id % 5 = 0, 'DE', 'ZZ')",
        "device_type": "'tv'",
        "policy_version": "1",
        **columns,
    }
    wanted = [f"cast({values.get(each.name, 'NULL')} AS {each.type}) AS {each.name}" for each in TABLES[EVENTS].columns]
    return spark.range(count).selectExpr(*wanted).coalesce(1).sortWithinPartitions("event_day", "id_hash", "video_id")


def offsets_of(rows: DataFrame) -> list[int]:
    return sorted(row.offset for row in rows.select("offset").collect())


def test_rows_deleted_by_position_on_a_branch_of_many_splits_stay_deleted_on_main(
    spark: SparkSession, tables: IcebergTables
) -> None:
    """Sorted files with nulls, in many splits, some rows deleted twice over in two commits, read in every way."""
    tables.append(EVENTS, BRANCH, events_like(spark, ROWS))
    first = tables.head(EVENTS, BRANCH)
    stored = tables.at(EVENTS, first)
    assert stored.rdd.getNumPartitions() > 4, "the file is read in splits"
    gone: set[int] = set()
    for chosen in ("offset % 11 = 0", "offset % 13 = 1 AND offset % 11 <> 0"):
        removed = kept(with_position(tables.on_branch(EVENTS, BRANCH)).where(chosen))
        gone |= set(offsets_of(removed.rows))
        tables.delete_rows(EVENTS, BRANCH, removed.rows, removed.count)
        assert tables.main(EVENTS) is None, "main sees nothing of it"
    tables.append(EVENTS, BRANCH, events_like(spark, 500, offset=f"id + {ROWS}"))
    left = sorted(set(range(ROWS + 500)) - gone)
    assert any(offset % 3 == 0 for offset in gone), "rows with a null in the sorted column are among the deleted"
    tables.move_main({EVENTS: tables.head(EVENTS, BRANCH)})
    for vectorized in ("true", "false"):
        spark.conf.set("spark.sql.iceberg.vectorization.enabled", vectorized)
        try:
            rows = tables.newest(EVENTS)
            assert offsets_of(rows) == left, vectorized
            nulls = [offset for offset in left if offset % 3 == 0 and offset < ROWS]
            assert offsets_of(rows.where(f"id_hash IS NULL AND offset < {ROWS}")) == nulls
            of_video = [o for o in left if (o % ROWS) % 50 == 1 and (o % ROWS) % 7]
            assert offsets_of(rows.where("video_id = 'v1'")) == of_video
            some = [row.id_hash for row in rows.where("id_hash IS NOT NULL AND offset % 100 = 5").collect()]
            found = rows.where(F.col("id_hash").isin(some)).select("id_hash").distinct()
            assert found.count() == len(set(some)), "row groups are skipped only where the key is not"
            assert rows.select("_file", "_pos").distinct().count() == len(left)
        finally:
            spark.conf.unset("spark.sql.iceberg.vectorization.enabled")
    assert offsets_of(tables.at(EVENTS, first)) == list(range(ROWS)), "the former snapshot is as it was"


def test_the_rows_appended_after_a_delete_are_read_without_those_before(
    spark: SparkSession, tables: IcebergTables
) -> None:
    tables.append(EVENTS, BRANCH, events_like(spark, 100))
    removed = kept(with_position(tables.on_branch(EVENTS, BRANCH)).where("offset < 10"))
    tables.delete_rows(EVENTS, BRANCH, removed.rows, removed.count)
    before = tables.head(EVENTS, BRANCH)
    tables.append(EVENTS, BRANCH, events_like(spark, 5, offset="id + 1000"))
    tables.append(EVENTS, BRANCH, events_like(spark, 5, offset="id + 2000"))
    appended = tables.between(EVENTS, before, tables.head(EVENTS, BRANCH))
    assert offsets_of(appended) == [*range(1000, 1005), *range(2000, 2005)]


def test_deleting_rows_of_a_file_that_was_rewritten_meanwhile_is_a_difference(
    spark: SparkSession, tables: IcebergTables
) -> None:
    tables.append(EVENTS, BRANCH, events_like(spark, 100))
    removed = kept(with_position(tables.on_branch(EVENTS, BRANCH)).where("offset < 10"))
    same = kept(tables.on_branch(EVENTS, BRANCH))
    same.rows.writeTo(branch_target(EVENTS, BRANCH)).overwrite(F.lit(True))
    with pytest.raises(DifferenceError, match="0 rows of events were replaced instead of 10; nothing was published"):
        tables.delete_rows(EVENTS, BRANCH, removed.rows, removed.count)
    assert offsets_of(tables.on_branch(EVENTS, BRANCH)) == list(range(100))
    twice = kept(with_position(tables.on_branch(EVENTS, BRANCH)).where("offset < 10"))
    tables.delete_rows(EVENTS, BRANCH, twice.rows, twice.count)
    with pytest.raises(DifferenceError, match="0 rows of events were replaced instead of 10"):
        tables.delete_rows(EVENTS, BRANCH, twice.rows, twice.count)


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda each: each.table)
def test_the_columns_of_a_table_are_the_keys_and_measures_of_its_aggregate(aggregate: Aggregate) -> None:
    assert {each.name for each in TABLES[aggregate.table].columns} == set(aggregate.columns)
    assert len(aggregate.columns) == len(set(aggregate.columns))


def test_a_new_aggregate_needs_only_its_declaration(spark: SparkSession, tables: IcebergTables) -> None:
    """Made up: seconds watched by country, and its delta by signed rows equals its sum over all rows."""
    watched = Aggregate(
        "watched_by_country",
        {"country": "country", "is_kept": "view_duration > 10"},
        {"events": "1", "seconds": "coalesce(view_duration, 0)"},
        counted_only=True,
    )
    by_country = replace(watched, table="seconds_by_country", keys={"country": "country"})
    duration = {"view_duration": "id % 40"}
    before = kept(events_like(spark, 300, **duration))
    added = kept(events_like(spark, 50, offset="id + 900", **duration))
    removed = kept(before.rows.where("offset % 4 = 0 OR country = 'DE'"))
    after = before.rows.exceptAll(removed.rows).unionByName(added.rows)
    stored = {each.table: whole(before.rows, each) for each in (watched, by_country)}
    for each in (watched, by_country):
        stored[each.table].writeTo(f"{NAMESPACE}.{each.table}").using("iceberg").create()
    summed = TableChanges(removed, added.rows)
    changes = changed_cells(
        [(each, summed) for each in (watched, by_country)], (), lambda name: spark.table(f"{NAMESPACE}.{name}")
    )
    for cells in changes:
        columns = cells.aggregate.columns
        left = stored[cells.aggregate.table].exceptAll(cells.removed.rows.select(*columns))
        found = left.unionByName(cells.added.rows.select(*columns)).collect()
        expected = whole(after, cells.aggregate).select(*columns).collect()
        assert sorted(map(str, found)) == sorted(map(str, expected)), cells.aggregate.table
        assert cells.removed.count > 0


@pytest.mark.parametrize("key_count", [0, 1, LITERAL_KEYS_MAX, LITERAL_KEYS_MAX + 1])
def test_stored_rows_are_found_by_few_keys_and_by_many(
    spark: SparkSession, tables: IcebergTables, key_count: int
) -> None:
    numbers = f"{NAMESPACE}.numbers"
    spark.range(2_000).selectExpr("id % 1000 AS key", "id").writeTo(numbers).using("iceberg").createOrReplace()
    found = matching(spark.table(numbers), "key", kept(spark.range(0, 3 * key_count, 3)))
    keys = set(range(0, 3 * key_count, 3))
    assert sorted(row.id for row in found.collect()) == [each for each in range(2_000) if each % 1_000 in keys]
    assert found.columns == ["key", "id", *POSITION]


def test_rows_that_are_kept_together_are_those_of_each_part(spark: SparkSession) -> None:
    numbers = spark.range(10).select("id", (F.col("id") % 3).alias("rest"))
    words = spark.range(3).selectExpr("'word' AS word", "id")
    together = kept_together({"numbers": numbers, "words": words, "none": numbers.where("id > 99")})
    assert {name: each.count for name, each in together.items()} == {"numbers": 10, "words": 3, "none": 0}
    assert {name: each.rows.columns for name, each in together.items()} == {
        "numbers": ["id", "rest"],
        "words": ["word", "id"],
        "none": ["id", "rest"],
    }
    assert sorted(together["numbers"].rows.collect()) == sorted(numbers.collect())
    assert sorted(together["words"].rows.collect()) == sorted(words.collect())
    assert together["none"].rows.collect() == []


def test_few_rows_take_one_task_and_need_no_shuffle(spark: SparkSession) -> None:
    few = kept(spark.range(100, numPartitions=4)).rows
    assert few.rdd.getNumPartitions() == 1
    plan: Any = few.groupBy("id").count()._jdf
    assert "Exchange" not in plan.queryExecution().executedPlan().toString()
    many = kept(spark.range(ROWS_PER_TASK * 3, numPartitions=4)).rows
    assert many.rdd.getNumPartitions() == 4


def test_a_plan_of_small_work_has_one_task_a_shuffle_and_is_not_compiled(spark: SparkSession) -> None:
    keys = ("spark.sql.codegen.wholeStage", "spark.sql.codegen.factoryMode", "spark.sql.shuffle.partitions")
    before = {key: spark.conf.get(key) for key in keys}
    rows = spark.range(100, numPartitions=4)

    def planned(*, is_interpreted: bool, task_count: int) -> tuple[bool, int]:
        replan(spark, is_short=True, is_interpreted=is_interpreted, task_count=task_count)
        counted = rows.groupBy((F.col("id") % 7).alias("rest")).count()
        plan: Any = counted._jdf
        is_compiled = "*(" in plan.queryExecution().executedPlan().toString()
        return is_compiled, counted.rdd.getNumPartitions()

    try:
        assert planned(is_interpreted=True, task_count=1) == (False, 1)
        assert planned(is_interpreted=False, task_count=1_000) == (True, 2), "no more than the settings name"
    finally:
        for key, value in before.items():
            spark.conf.set(key, value or "")


def test_raw_events_are_only_ever_appended() -> None:
    """Row-level updates are set for the tables that a run changes, and not for the archive."""
    assert "write.merge.mode" not in TABLES[RAW_EVENTS].properties
    assert all(TABLES[each.table].properties["write.merge.mode"] == "merge-on-read" for each in AGGREGATES)
