"""Runs of one process leave nothing behind in Spark or Python, however many there are."""

import gc
import json
import uuid
from datetime import timedelta
from pathlib import Path

import great_expectations as gx
import pytest
from pyspark.sql import SparkSession

from batch_layer.lake.spark_session import released
from batch_layer.run.run import run_once
from ingestion.contract.unavailable import Part, UnavailableError
from tests.laws.test_batch_laws import START
from tests.spark_fixtures import TOPIC, MemoryRun

RUNS = 5


def send(run: MemoryRun, number: int) -> None:
    """One new view of the same day."""
    at = START + timedelta(minutes=number)
    fields = {
        "event_id": str(uuid.UUID(int=number + 1)),
        "video_id": "-video",
        "user_id": "ann",
        "session_id": "s",
        "timestamp": START.isoformat(),
        "view_duration": 60,
        "revenue_eligible": True,
    }
    run.log.append(0, at, json.dumps(fields).encode())


def held(spark: SparkSession) -> dict[str, int]:
    """What a run could leave behind → how many of it there are now."""
    java = spark._jsparkSession
    gc.collect()
    contexts = [each for each in gc.get_objects() if isinstance(each, gx.data_context.AbstractDataContext)]
    return {
        "cached plans": 0 if java.sharedState().cacheManager().isEmpty() else 1,
        "cached RDDs": spark.sparkContext._jsc.sc().getPersistentRDDs().size(),
        "temporary views": spark.sql("SHOW VIEWS").where("isTemporary").count(),
        "listeners of queries": len(java.listenerManager().listListeners()),
        "contexts of great-expectations": len(contexts),
    }


def test_many_runs_hold_no_more_than_one(spark: SparkSession, empty_tables: None, tmp_path: Path) -> None:
    run = MemoryRun.with_partitions(spark, 1, tmp_path)
    after_each = []
    for number in range(RUNS):
        send(run, number)
        with released(spark):
            assert run_once(run.ports(), TOPIC).state == "published"
        after_each.append(held(spark))
    assert after_each[0]["cached RDDs"] == after_each[0]["cached plans"] == 0
    assert after_each[1:] == [after_each[1]] * (RUNS - 1)


def test_a_run_that_fails_holds_nothing_either(
    spark: SparkSession, empty_tables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = MemoryRun.with_partitions(spark, 1, tmp_path)
    send(run, 0)

    def fails(*_: object, **__: object) -> None:
        assert spark.sparkContext._jsc.sc().getPersistentRDDs().size(), "there is something to release"
        raise UnavailableError(Part.HDFS, "HDFS went away")

    monkeypatch.setattr(run.warehouse, "check", fails)
    with pytest.raises(UnavailableError), released(spark):
        run_once(run.ports(), TOPIC)
    assert held(spark)["cached RDDs"] == 0
