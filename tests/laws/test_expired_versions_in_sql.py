"""An analyst who asks for a version that expired gets one sentence, and never the rows of another version."""

from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch_layer.maintaining.iceberg_upkeep import IcebergUpkeep
from batch_layer.published.published_names import QueryError
from batch_layer.published.spark_connect import EXPIRED, PublishedTables
from tests.analysts_server import analysts_server, published_run


@pytest.mark.usefixtures("empty_tables")
@pytest.mark.parametrize("is_removed", [False, True])
def test_an_expired_version_is_refused_by_its_number_its_tag_and_its_time(
    spark: SparkSession, tmp_path: Path, is_removed: bool
) -> None:
    run = published_run(spark, tmp_path)
    first, second = run.versions.published
    if is_removed:
        upkeep = IcebergUpkeep(spark)
        upkeep.repair(second, run.versions.runs_in("gate_failed"))
        upkeep.drop_tags([1])
        upkeep.expire_snapshots(second.published_at + timedelta(days=10_000))
    between = f"{first.published_at + (second.published_at - first.published_at) / 2:%Y-%m-%d %H:%M:%S.%f}"
    with analysts_server(spark, run, expired=[1]) as server:
        tables = PublishedTables(server.url)
        assert tables.query("SELECT sum(views) AS views FROM current.views_by_video")["views"].to_pylist() == [15]
        by_time = f"views_by_video TIMESTAMP AS OF '{between}'"
        for table in ("v1.views_by_video", "views_by_video VERSION AS OF 'v1'"):
            with pytest.raises(QueryError) as refused:
                tables.query(f"SELECT sum(views) AS views FROM {table}")
            assert "\n" not in str(refused.value)
        if is_removed:
            with pytest.raises(QueryError) as refused:
                tables.query(f"SELECT sum(views) AS views FROM {by_time}")
            assert str(refused.value) == EXPIRED
        tables.close()
