"""An analyst sees published versions and nothing else: every way around that we could think of, tried on real Spark."""

import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.connect import functions as F
from pyspark.sql.connect.session import SparkSession as ConnectSession

from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.tables import CLOSED_TABLES, EVENTS, OPEN_TABLES, RAW_EVENTS, TABLES, VIEWS_BY_VIDEO
from batch_layer.published.published_names import ForbiddenError, QueryError
from batch_layer.published.spark_connect import PublishedTables
from batch_layer.published.spark_sql_rules import SqlRules
from tests.analysts_server import SECRET, AnalystsServer, analysts_server, published_run
from tests.spark_fixtures import CONNECT_TOKEN, PASSWORD, PASSWORD_SETTING

STATEMENTS = Path(__file__).parent / "sql_statements"


@pytest.fixture(scope="module")
def server(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnalystsServer]:
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    for name in TABLES:
        spark.sql(f"DROP TABLE IF EXISTS ledger.views.{name} PURGE")
    run = published_run(spark, tmp_path_factory.mktemp("reports"))
    with analysts_server(spark, run) as running:
        yield running


@pytest.fixture(scope="module")
def tables(server: AnalystsServer) -> Iterator[PublishedTables]:
    asking = PublishedTables(server.url)
    yield asking
    asking.close()


@pytest.fixture(scope="module")
def notebook(server: AnalystsServer) -> Iterator[ConnectSession]:
    """A client that an analyst wrote: the DataFrame API with nothing of ours around it."""
    session = ConnectSession(connection=server.url)
    session.sql("USE published.current")
    yield session
    session.client.close()


def read(name: str) -> list[str]:
    lines = (STATEMENTS / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("--")]


def test_the_current_version_a_named_one_and_one_by_its_date_are_there(tables: PublishedTables) -> None:
    def count(table: str) -> Any:
        return tables.query(f"SELECT sum(views) AS views FROM {table}")["views"].to_pylist()

    assert count("views_by_video") == [15]
    assert count("v1.views_by_video") == [10]
    assert count("published.v2.views_by_video VERSION AS OF 'v1'") == [10]
    assert count("views_by_video TIMESTAMP AS OF '2030-01-01'") == [15]
    with pytest.raises(QueryError, match="Cannot find a snapshot older than"):
        count("views_by_video TIMESTAMP AS OF '2026-11-20 12:59:59'")


@pytest.mark.parametrize("table", OPEN_TABLES)
def test_no_row_of_an_unpublished_run_is_in_any_table(tables: PublishedTables, table: str) -> None:
    rows = tables.query(f"SELECT * FROM {table}").to_pylist()
    assert rows
    assert SECRET not in repr(rows)


@pytest.mark.parametrize("table", CLOSED_TABLES)
@pytest.mark.parametrize("namespace", ["", "current.", "v1.", "published.v1."])
def test_messages_as_they_were_sent_are_in_no_namespace(tables: PublishedTables, table: str, namespace: str) -> None:
    with pytest.raises(QueryError, match="cannot be found"):
        tables.query(f"SELECT * FROM {namespace}{table}")


@pytest.mark.parametrize("table", TABLES)
def test_the_folder_of_a_closed_table_is_its_owners_alone(
    spark: SparkSession, server: AnalystsServer, table: str
) -> None:
    folder = Path(urlsplit(str(IcebergTables(spark).table(table).location())).path)
    assert (stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0) is (table in CLOSED_TABLES)
    if table in CLOSED_TABLES:
        folder.chmod(0o755)  # as a version before this rule left it
        server.run.warehouse.repair(server.run.versions.current(), ())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_unpublished_snapshot_can_be_named(tables: PublishedTables, server: AnalystsServer) -> None:
    for table, snapshots in server.unpublished.items():
        for snapshot in snapshots:
            with pytest.raises(QueryError, match="cannot be found" if table in CLOSED_TABLES else "no longer kept"):
                tables.query(f"SELECT * FROM {table} VERSION AS OF {snapshot}")


@pytest.mark.parametrize("statement", read("open.sql"))
def test_a_question_is_let_through(spark: SparkSession, statement: str) -> None:
    SqlRules(spark).check_statement(statement)


@pytest.mark.parametrize("statement", read("closed.sql"))
def test_anything_else_is_refused(spark: SparkSession, statement: str) -> None:
    with pytest.raises(ForbiddenError):
        SqlRules(spark).check_statement(statement)


def test_what_was_let_through_is_not_judged_again_and_what_was_refused_is_refused_again(spark: SparkSession) -> None:
    rules = SqlRules(spark)
    for _ in range(2):
        rules.check_statement("select 1")
        with pytest.raises(ForbiddenError):
            rules.check_statement("drop table t")
    remembered = rules._judged_before.cache_info()
    assert (remembered.hits, remembered.currsize) == (1, 1)


def test_a_refused_statement_is_one_sentence_to_the_user(tables: PublishedTables) -> None:
    with pytest.raises(ForbiddenError) as caught:
        tables.query("SELECT * FROM ledger.views.events")
    assert str(caught.value) == (
        "ledger.views.events is not open to analysts; a table's name is TABLE, current.TABLE, v3.TABLE or "
        "published.v3.TABLE"
    )
    with pytest.raises(ForbiddenError, match=r"Syntax error at or near 'selec' \(line 1, pos 0\)$"):
        tables.query("selec 1")


def test_a_statement_cannot_spell_out_a_setting_or_the_environment(tables: PublishedTables) -> None:
    for hidden in (
        "${spark.connect.authenticate.token}",
        "${env:PATH}",
        "${system:user.name}",
        "${hiveconf:spark.jars}",
    ):
        assert tables.query(f"SELECT '{hidden}' AS a")["a"].to_pylist() == [hidden]


def refused(action: Any) -> str:
    with pytest.raises(PySparkException) as caught:
        action()
    return str(caught.value)


def test_files_cannot_be_read_past_the_catalogue(notebook: ConnectSession, spark: SparkSession) -> None:
    secret = IcebergTables(spark).table(RAW_EVENTS)
    location = str(secret.operations().current().metadataFileLocation())
    for form in ("iceberg", "parquet", "text", "binaryFile"):
        assert "DataSource is not open" in refused(
            lambda form=form: notebook.read.format(form).load(location).collect()
        )
    assert "DataSource is not open" in refused(
        lambda: notebook.read.jdbc("jdbc:postgresql://127.0.0.1/viewledger", "published.runs").collect()
    )
    assert "not open to analysts" in refused(lambda: notebook.read.table(f"iceberg.`{location}`").collect())
    assert "not open to analysts" in refused(lambda: notebook.table("ledger.views.events").collect())
    assert "with options" in refused(lambda: notebook.read.option("branch", "run_half_written").table(EVENTS).collect())
    assert "not open to analysts" in refused(lambda: notebook.catalog.listTables("ledger.views"))
    assert "the catalogue of analysts is published" in refused(lambda: notebook.catalog.setCurrentCatalog("ledger"))


def test_no_code_and_no_setting_gets_in(notebook: ConnectSession, tmp_path: Path) -> None:
    events = notebook.table(EVENTS)
    assert "not open" in refused(lambda: events.select(F.udf(lambda x: x)("video_id")).collect())
    assert "not open" in refused(lambda: events.mapInArrow(lambda parts: parts, "a int").collect())
    assert "not open" in refused(lambda: events.selectExpr("reflect('java.lang.System', 'getenv')").collect())
    assert "not open" in refused(lambda: events.where("exists (select 1 from ledger.views.events)").collect())
    assert "not open" in refused(lambda: events.select(F.call_function("java_method", F.lit("a"))).collect())
    assert "cannot be changed" in refused(lambda: notebook.conf.set("spark.sql.catalog.mine", "a.B"))
    assert "cannot be read" in refused(lambda: notebook.conf.get("spark.connect.authenticate.token"))
    (jar := tmp_path / "mine.jar").write_bytes(b"")
    with pytest.raises(Exception, match=r"UNIMPLEMENTED|not implemented"):
        notebook.addArtifact(str(jar))


def test_nothing_can_be_written(notebook: ConnectSession) -> None:
    events = notebook.table(EVENTS)
    for action in (
        lambda: events.write.parquet("hdfs://127.0.0.1/stolen"),
        lambda: events.writeTo("published.current.events").append(),
        lambda: events.write.saveAsTable("mine"),
        lambda: events.createGlobalTempView("mine"),
        lambda: events.cache().count(),
        lambda: events.checkpoint(),
    ):
        assert "not open to analysts" in refused(action)


def test_dataframes_on_published_tables_work(notebook: ConnectSession) -> None:
    events = notebook.table("v1.events").where(F.col("verdict") == "counted")
    assert events.groupBy("country").agg(F.countDistinct("event_id").alias("n")).collect()[0].n == 10
    events.createOrReplaceTempView("mine")
    assert notebook.sql("SELECT count(*) AS n FROM mine").collect()[0].n == 10
    assert (
        notebook.createDataFrame([("video-a----", "anna")], ["video_id", "owner"])
        .join(notebook.table(VIEWS_BY_VIDEO), "video_id")
        .collect()[0]
        .views
        == 15
    )
    assert {table.name for table in notebook.catalog.listTables()} == set(OPEN_TABLES)


def test_sparks_own_port_wants_the_token(server: AnalystsServer) -> None:
    session = ConnectSession(connection=server.spark_url)
    assert "No authentication token provided" in refused(lambda: session.sql("SELECT 1"))
    session.client.close()


def test_neither_password_nor_token_is_on_the_command_line_of_sparks_java_process(spark: SparkSession) -> None:
    arguments = Path(f"/proc/{spark.sparkContext._gateway.proc.pid}/cmdline").read_bytes().decode()
    assert "spark.sql.catalog.ledger.warehouse=" in arguments, "it is the process that was told the settings"
    assert PASSWORD not in arguments
    assert CONNECT_TOKEN not in arguments
    assert spark.conf.get(PASSWORD_SETTING) == PASSWORD


FILES = ("all_data_files", "all_entries", "all_files", "all_manifests", "entries", "files", "manifests")
HISTORIES = ("snapshots", "refs", "history", "metadata_log_entries", "partitions")


def files_of(spark: SparkSession, server: AnalystsServer, table: str) -> tuple[set[str], set[str]]:
    """The files of published versions, and those that only unpublished runs wrote."""
    every = {row.file_path for row in spark.sql(f"SELECT file_path FROM ledger.views.{table}.all_data_files").collect()}
    published = set()
    for version in server.run.versions.published:
        question = f"SELECT file_path FROM ledger.views.{table}.files VERSION AS OF {version.snapshots[table]}"
        published |= {row.file_path for row in spark.sql(question).collect()}
    return published, every - published


@pytest.mark.parametrize("table", [EVENTS, VIEWS_BY_VIDEO])
def test_past_the_proxy_the_catalogue_knows_no_unpublished_file_either(
    spark: SparkSession, server: AnalystsServer, table: str
) -> None:
    published, unpublished = files_of(spark, server, table)
    assert unpublished, "the unpublished runs wrote files"
    for name in FILES:
        shown = repr(spark.sql(f"SELECT * FROM published.current.{table}.{name}").collect())
        assert not [each for each in server.unpublished[table] if str(each) in shown], name
        assert not [path for path in unpublished if path in shown], name
        assert any(path in shown for path in published) or "manifests" in name


@pytest.mark.parametrize("name", HISTORIES)
def test_past_the_proxy_the_real_metadata_file_cannot_be_read(
    spark: SparkSession, server: AnalystsServer, name: str
) -> None:
    with pytest.raises(Exception, match='"location" is null'):
        spark.sql(f"SELECT * FROM published.current.{EVENTS}.{name}").collect()


def test_past_the_proxy_nothing_can_be_written_either(spark: SparkSession, server: AnalystsServer) -> None:
    for statement in (
        f"INSERT INTO published.current.{VIEWS_BY_VIDEO} SELECT * FROM published.current.{VIEWS_BY_VIDEO}",
        f"DROP TABLE published.current.{VIEWS_BY_VIDEO}",
        f"ALTER TABLE published.current.{VIEWS_BY_VIDEO} CREATE BRANCH mine",
        "CREATE TABLE published.current.mine (a int)",
        "CREATE NAMESPACE published.mine",
    ):
        with pytest.raises(Exception, match="Server does not support endpoint"):
            spark.sql(statement)
    snapshot = server.unpublished[EVENTS][0]
    for option in ({"snapshot-id": str(snapshot)}, {"branch": "run_half_written"}, {"versionAsOf": str(snapshot)}):
        with pytest.raises(Exception, match=r"Cannot find|Cannot use|does not contain|not find|no longer supported"):
            spark.read.options(**option).table(f"published.current.{EVENTS}").collect()
