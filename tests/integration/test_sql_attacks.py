"""Attacks on the SQL server on real servers: at its proxy, past it, and with its rights on PostgreSQL and HDFS."""

import time
import urllib.error
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import psycopg2
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Row
from pyspark.sql.connect.session import SparkSession

from batch_layer.lake.spark_settings import jdbc_catalog
from batch_layer.lake.tables import CLOSED_TABLES, TABLES
from batch_layer.published.spark_connect_guard import ConnectGuard, start_guard
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from tests.batch_on_stack import Batch
from tests.sql_attacks import CODE, FILES, WRITES, EverythingOpen, java_of, state, statements, webhdfs
from tests.sql_on_stack import SqlProcess

ANSWER_SECONDS = 120.0
SECRETS = ("VIEWLEDGER_POSTGRES_URL", "VIEWLEDGER_SQL_POSTGRES_URL", "VIEWLEDGER_PSEUDONYM_KEY")


@pytest.fixture(scope="module")
def analyst(environ: Mapping[str, str]) -> Iterator[SparkSession]:
    """A client at the door."""
    yield from session_at(environ["VIEWLEDGER_SQL_URL"])


@pytest.fixture(scope="module")
def intruder(sql_process: SqlProcess) -> Iterator[SparkSession]:
    """A client that came past the door to Spark's own port, and reads the real catalogue with the server's login."""
    port, token = java_of(sql_process.process_id)
    outside = free_ports().sql
    with closing(ConnectGuard(EverythingOpen(), target=f"127.0.0.1:{port}", token=token)) as guard:
        proxy = start_guard(guard, "127.0.0.1", outside)
        assert proxy is not None
        for session in session_at(f"sc://127.0.0.1:{outside}"):
            catalogue = jdbc_catalog(
                sql_process.environ["VIEWLEDGER_SQL_POSTGRES_URL"], sql_process.environ["VIEWLEDGER_WAREHOUSE"]
            )
            for key, value in catalogue.items():
                session.conf.set(f"spark.sql.catalog.ledger.{key}", value)
            session.conf.set("spark.sql.catalog.ledger", "org.apache.iceberg.spark.SparkCatalog")
            yield session
        proxy.stop(grace=1).wait()


def session_at(url: str) -> Iterator[SparkSession]:
    session = SparkSession.builder.remote(url).create()
    session.sql("USE published.current")
    yield session
    session.client.close()


def places(batch: Batch, namespace: str) -> dict[str, object]:
    return {
        "table": f"{namespace}.views_by_video",
        "namespace": namespace,
        "catalog": namespace.partition(".")[0],
        "warehouse": batch.environ["VIEWLEDGER_WAREHOUSE"],
        "hdfs": batch.environ["VIEWLEDGER_HDFS_URL"],
        "snapshot": 1,
    }


@pytest.mark.parametrize("text", [WRITES, FILES, CODE], ids=["writes", "files", "code"])
def test_the_proxy_refuses_every_attack_in_one_sentence(batch: Batch, analyst: SparkSession, text: str) -> None:
    before = state(batch)
    for namespace in ("published.current", "published.v1", "ledger.views"):
        for statement in statements(text, places(batch, namespace)):
            with pytest.raises(PySparkException) as caught:
                analyst.sql(statement).collect()
            assert "not open to analysts" in str(caught.value) or "cannot be read" in str(caught.value), statement
    assert state(batch) == before


def test_no_setting_opens_a_catalogue_or_shows_a_secret(analyst: SparkSession) -> None:
    for name in ("spark.sql.catalog.mine", "spark.sql.catalog.published.uri", "spark.sql.runSQLOnFiles", "spark.jars"):
        with pytest.raises(PySparkException, match="cannot be changed by analysts"):
            analyst.conf.set(name, "x")
    for name in (
        "spark.sql.catalog.published.uri",
        "spark.connect.authenticate.token",
        "spark.driver.extraJavaOptions",
    ):
        with pytest.raises(PySparkException, match="cannot be read by analysts"):
            analyst.conf.get(name)


def test_past_the_proxy_no_write_changes_anything(batch: Batch, intruder: SparkSession) -> None:
    read = "SELECT count(*) AS n FROM {}.views_by_video"
    counted = [answer(intruder, read.format(namespace)) for namespace in ("published.current", "ledger.views")]
    assert counted[0] == counted[1] != [], "both catalogues can be read, so what follows is refused for its rights"
    before = state(batch)
    listed = [
        statement
        for namespace in ("published.current", "ledger.views")
        for statement in statements(WRITES, places(batch, namespace))
    ]
    with ThreadPoolExecutor(8) as executor:  # Iceberg waits for seconds before it gives up
        refused = list(executor.map(lambda statement: is_refused(intruder, statement), listed))
    done = [statement for statement, is_one in zip(listed, refused, strict=True) if not is_one]
    assert {each.partition("(")[0].rpartition(".")[2] for each in done} <= {"rewrite_data_files", "remove_orphan_files"}
    assert state(batch) == before


def is_refused(session: SparkSession, statement: str) -> bool:
    try:
        answer(session, statement)
    except PySparkException:
        return True
    return False


def answer(session: SparkSession, statement: str) -> list[Row]:
    """Return a statement's rows; the door ends jobs of statements that it does not know, and then it is sent again."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return session.sql(statement).collect()
        except PySparkException as error:
            if error.getCondition() != "SPARK_JOB_CANCELLED" or time.monotonic() > deadline:
                raise


def test_past_the_proxy_nothing_is_written_to_hdfs_and_no_secret_is_shown(batch: Batch, intruder: SparkSession) -> None:
    before, shown = state(batch), []
    for statement in statements(FILES + CODE, places(batch, "ledger.views")):
        with suppress(PySparkException):
            shown.append(repr(answer(intruder, statement)))
        assert state(batch) == before, statement
    assert "HADOOP_USER_NAME=analyst" in repr(shown), "the environment of the server's Java process was shown"
    for name in SECRETS:
        assert batch.environ[name] not in repr(shown), name


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE iceberg_tables SET metadata_location = previous_metadata_location",
        "DELETE FROM iceberg_tables",
        "INSERT INTO published.pointer (version) VALUES (99)",
        "UPDATE published.pointer SET version = 1",
        "UPDATE published.versions SET snapshots = '{}'",
        "DROP TABLE iceberg_tables",
        "ALTER TABLE iceberg_tables OWNER TO viewledger_sql",
        "CREATE TABLE mine (a int)",
        "CREATE TABLE published.mine (a int)",
        "SELECT * FROM billing.entries",
        "SELECT * FROM billing.payees",
        "SELECT * FROM published.runs",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY iceberg_tables TO PROGRAM 'cat'",
        "SET ROLE viewledger_owner",
        "SET ROLE viewledger_auditor",
        "CREATE ROLE mine SUPERUSER",
        "GRANT viewledger_owner TO viewledger_sql",
    ],
)
def test_the_servers_login_may_read_what_the_catalogue_needs_and_nothing_else(batch: Batch, statement: str) -> None:
    with closing(psycopg2.connect(batch.environ["VIEWLEDGER_SQL_POSTGRES_URL"])) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM iceberg_tables, published.versions, published.pointer")
        assert cursor.fetchone() > (0,)
        with pytest.raises(psycopg2.Error, match=r"permission denied|must be|must have"):
            cursor.execute(statement)


@pytest.mark.parametrize(
    ("method", "question"),
    [
        ("PUT", "/mine?op=MKDIRS"),
        ("DELETE", "/{topic}?op=DELETE&recursive=true"),
        ("PUT", "/{topic}?op=RENAME&destination=/gone"),
        ("PUT", "/{topic}?op=SETOWNER&owner=analyst"),
        ("PUT", "/{topic}?op=SETPERMISSION&permission=777"),
        ("PUT", "/{topic}?op=SETTIMES&modificationtime=0"),
        ("PUT", "/?op=ALLOWSNAPSHOT"),
    ],
)
def test_the_servers_hdfs_user_reads_and_writes_nowhere(
    batch: Batch, versions: int, method: str, question: str
) -> None:
    assert webhdfs(batch, "GET", f"/{batch.topic}?op=LISTSTATUS", "analyst")
    with pytest.raises(urllib.error.HTTPError) as caught:
        webhdfs(batch, method, question.format(topic=batch.topic), "analyst")
    assert caught.value.code == 403


def test_the_servers_hdfs_user_does_not_read_messages_as_they_were_sent(batch: Batch, versions: int) -> None:
    for table in TABLES:
        folder = f"/{batch.topic}/views/{table}"
        if table in CLOSED_TABLES:
            for question in (folder, f"{folder}/data", f"{folder}/metadata"):
                with pytest.raises(urllib.error.HTTPError) as caught:
                    webhdfs(batch, "GET", f"{question}?op=LISTSTATUS", "analyst")
                assert caught.value.code == 403, question
        else:
            assert webhdfs(batch, "GET", f"{folder}/data?op=LISTSTATUS", "analyst")


def test_anybody_else_on_hdfs_does_not_even_read(batch: Batch, versions: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        webhdfs(batch, "GET", f"/{batch.topic}?op=LISTSTATUS", "somebody")
    assert caught.value.code == 403


def test_a_login_that_may_write_is_refused(batch: Batch, versions: int) -> None:
    unused = {"VIEWLEDGER_SQL_URL": f"sc://127.0.0.1:{free_ports().sql}"}
    mighty = {"VIEWLEDGER_SQL_POSTGRES_URL": batch.environ["VIEWLEDGER_POSTGRES_URL"]}
    done = batch.run("sql", "SELECT 1", **unused, **mighty)
    assert done.returncode == ExitCode.REFUSED
    assert "the login viewledger of VIEWLEDGER_SQL_POSTGRES_URL may change what it reads" in done.stderr
