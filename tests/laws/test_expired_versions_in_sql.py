"""An analyst who asks for a version that expired gets one sentence, and never the rows of another version."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch_layer.maintaining.iceberg_upkeep import IcebergUpkeep
from batch_layer.published.published_names import QueryError
from batch_layer.published.spark_connect import EXPIRED, PublishedTables
from tests.analysts_server import analysts_server, published_run


@pytest.mark.usefixtures("empty_tables")
def test_an_expired_version_is_refused_by_its_number_its_tag_and_its_time(spark: SparkSession, tmp_path: Path) -> None:
    run = published_run(spark, tmp_path)
    first, second = run.versions.published
    between = f"{first.published_at + (second.published_at - first.published_at) / 2:%Y-%m-%d %H:%M:%S.%f}"
    by_time = f"views_by_video TIMESTAMP AS OF '{between}'"
    with analysts_server(spark, run, expired=[1]) as server, closing(PublishedTables(server.url)) as tables:
        named = ("v1.views_by_video", "views_by_video VERSION AS OF 'v1'")
        assert_refused(tables, *named)
        upkeep = IcebergUpkeep(spark)
        upkeep.repair(second, run.versions.runs_in("gate_failed"))
        upkeep.drop_tags([1], 0)
        upkeep.expire_snapshots(second.published_at + timedelta(days=10_000))
        assert assert_refused(tables, *named, by_time)[-1] == EXPIRED, "also when its snapshots are gone"


def assert_refused(tables: PublishedTables, *expired: str) -> list[str]:
    """Return the sentences of the refusals; the newest version is read all the time."""
    assert tables.query("SELECT sum(views) AS views FROM current.views_by_video")["views"].to_pylist() == [15]
    sentences = []
    for table in expired:
        with pytest.raises(QueryError) as refused:
            tables.query(f"SELECT sum(views) AS views FROM {table}")
        sentences.append(str(refused.value))
    assert not [sentence for sentence in sentences if "\n" in sentence]
    return sentences
