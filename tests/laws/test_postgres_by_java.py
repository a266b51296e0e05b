"""Java's client of PostgreSQL goes where Python's goes, by the same URL."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch_layer.lake.spark_postgres import read_postgres
from batch_layer.lake.spark_settings import jdbc_catalog
from faults.postgres_servers import postgres_pair, url_of
from jobs.local_stack.stack import temporary_folder
from jobs.setup import programs
from jobs.wiring.migrations import migrate
from tests.postgres_pooler import pooler
from tests.secure_postgres import secure_pair

QUERY = "SELECT n::text AS n, pg_is_in_recovery() AS waits FROM generate_series(1, 9) AS n"
ALL = [str(n) for n in range(1, 10)]


def test_java_finds_the_primary_by_tls_and_its_certificate(spark: SparkSession) -> None:
    with secure_pair() as (_, url):
        rows = read_postgres(spark, url, QUERY, key="n").collect()
    assert (sorted(row.n for row in rows), {row.waits for row in rows}) == (ALL, {False})


@pytest.mark.skipif(programs.pgbouncer() is None, reason="needs PgBouncer")
def test_java_reads_and_keeps_tables_through_a_pooler(spark: SparkSession, tmp_path: Path) -> None:
    with temporary_folder() as folder, postgres_pair(folder, {}) as pair:
        direct = url_of([pair.primary.port])
        migrate(direct)
        with pooler({"url": direct}) as pooled:
            rows = read_postgres(spark, pooled["url"], QUERY, key="n").collect()
            assert sorted(row.n for row in rows) == ALL
            spark.conf.set("spark.sql.catalog.pooled", "org.apache.iceberg.spark.SparkCatalog")
            for name, value in jdbc_catalog(pooled["url"], str(tmp_path)).items():
                spark.conf.set(f"spark.sql.catalog.pooled.{name}", value)
            spark.sql("CREATE TABLE pooled.views.seen (n INT) USING iceberg")
            for number in range(8):  # the driver would prepare a statement at its fifth use
                spark.sql(f"INSERT INTO pooled.views.seen VALUES ({number})")
            assert [row.n for row in spark.sql("SELECT n FROM pooled.views.seen ORDER BY n").collect()] == [*range(8)]
