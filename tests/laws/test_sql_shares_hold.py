"""On real Spark: every function of its registry was looked at, none opens a connection, nobody can lock others out."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.connect import functions as F
from pyspark.sql.connect.proto import base_pb2
from pyspark.sql.connect.session import SparkSession as ConnectSession

from batch_layer.published import published_functions as functions
from batch_layer.published.spark_connect_guard import ConnectGuard, start_guard
from batch_layer.published.spark_connect_jobs import StatementJobs
from batch_layer.published.spark_connect_rules import ConnectRules
from batch_layer.published.spark_connect_server import start_connect
from batch_layer.published.spark_connect_shares import StatementLimits
from batch_layer.published.spark_sql_rules import SqlRules
from jobs.local_stack.ports import free_ports
from tests.analysts_server import stop_connect
from tests.spark_fixtures import CONNECT_TOKEN

SLOW = "SELECT count(*) AS n FROM range(0, 1000000000000000, 1, 1) WHERE hash(id) = 7"
LIMITS = StatementLimits(seconds=6, per_client=2)


@pytest.fixture(scope="module")
def guard(spark: SparkSession) -> Iterator[ConnectGuard]:
    """A server where a client has two statements, one in each session, of six seconds each."""
    start_connect(spark)
    rules, jobs = ConnectRules(SqlRules(spark)), StatementJobs(spark)
    target = f"127.0.0.1:{spark.conf.get('spark.connect.grpc.binding.port')}"
    with closing(ConnectGuard(rules, target=target, token=CONNECT_TOKEN, limits=LIMITS, jobs=jobs)) as made:
        yield made
    stop_connect(spark)


@pytest.fixture(scope="module")
def proxy(guard: ConnectGuard) -> Iterator[str]:
    port = free_ports().sql
    server = start_guard(guard, "127.0.0.1", port)
    assert server is not None
    yield f"sc://127.0.0.1:{port}"
    server.stop(grace=1).wait()


@pytest.fixture
def session(proxy: str) -> Iterator[ConnectSession]:
    yield from opened(proxy)


@pytest.fixture
def other(proxy: str) -> Iterator[ConnectSession]:
    yield from opened(proxy)


def opened(proxy: str) -> Iterator[ConnectSession]:
    session = ConnectSession(connection=proxy)
    yield session
    session.client.close()


def registry(spark: SparkSession, name: str) -> set[str]:
    java: Any = spark._jvm
    found = getattr(java.org.apache.spark.sql.catalyst.analysis, name).functionSet()
    return {each.funcName() for each in java.scala.jdk.javaapi.CollectionConverters.asJava(found)}


def test_every_function_of_spark_is_classified_and_in_one_list_only(spark: SparkSession) -> None:
    known = registry(spark, "FunctionRegistry")
    assert len(known) > 500
    assert known - functions.OPEN_FUNCTIONS - functions.CLOSED_FUNCTIONS.keys() == set()
    assert functions.OPEN_FUNCTIONS & functions.CLOSED_FUNCTIONS.keys() == set()
    assert functions.CLOSED_FUNCTIONS.keys() - known == set(), "what is closed is a function that there is"
    of_tables = registry(spark, "TableFunctionRegistry")
    assert of_tables - functions.OPEN_TABLE_FUNCTIONS - functions.CLOSED_TABLE_FUNCTIONS.keys() == set()


XML = '<!DOCTYPE a [<!ENTITY b SYSTEM "{scheme}://127.0.0.1:{port}/x">]><a>&b;</a>'


@pytest.mark.parametrize("scheme", ["http", "ftp", "jar:http", "hdfs"])
def test_no_question_makes_the_server_open_a_connection(session: ConnectSession, scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(1.0)
        text = XML.format(scheme=scheme, port=listener.getsockname()[1])
        column = F.lit(text)
        for ask in (
            lambda: session.sql(f"SELECT xpath_string('{text}', 'a')").collect(),
            lambda: session.range(1).select(F.xpath_string(column, F.lit("a"))).collect(),
            lambda: session.range(1).select(F.call_function("xpath", column, F.lit("a"))).collect(),
            lambda: session.range(1).select(F.from_xml(column, "a string")).collect(),
            lambda: session.range(1).select(F.schema_of_xml(column)).collect(),
            lambda: session.range(1).selectExpr(f"xpath_boolean('{text}', 'a')").collect(),
        ):
            with pytest.raises(PySparkException, match="is not open to analysts: its parser follows addresses"):
                ask()
        with pytest.raises(TimeoutError):
            listener.accept()


def idle(spark: SparkSession) -> bool:
    return not spark.sparkContext.statusTracker().getActiveJobsIds()


def wait_until(spark: SparkSession, *, is_idle: bool, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while idle(spark) is not is_idle:
        assert time.monotonic() < ends, f"Spark is {'working' if is_idle else 'idle'} after {seconds} seconds"
        time.sleep(0.05)


def test_a_statement_is_stopped_in_spark_itself_when_its_time_is_over(
    spark: SparkSession, session: ConnectSession
) -> None:
    began = time.monotonic()
    with pytest.raises(PySparkException, match="took longer than 6 seconds and was stopped; query less"):
        session.sql(SLOW).collect()
    assert 5 < time.monotonic() - began < 60
    wait_until(spark, is_idle=True, seconds=20)
    assert session.sql("SELECT 1 AS a").collect()[0].a == 1, "the session goes on"


def test_a_statement_that_overlooks_its_interrupt_is_stopped_too(
    spark: SparkSession, guard: ConnectGuard, session: ConnectSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def overlooked(request: Any, **_: object) -> Any:
        asked.append(type(request).__name__)
        return getattr(base_pb2, type(request).__name__.replace("Request", "Response"))()

    for name in ("Interrupt", "ReleaseExecute"):
        monkeypatch.setattr(guard._stub, name, overlooked)
    with pytest.raises(PySparkException, match="took longer than 6 seconds and was stopped; query less"):
        session.sql(SLOW).collect()
    wait_until(spark, is_idle=True, seconds=20)
    assert "InterruptRequest" in asked


def test_a_statement_whose_client_went_away_is_stopped_too(spark: SparkSession, proxy: str) -> None:
    gone = ConnectSession(connection=proxy)

    def ask() -> None:
        with suppress(Exception):
            gone.sql(SLOW).collect()

    threading.Thread(target=ask, daemon=True).start()
    wait_until(spark, is_idle=False, seconds=20)
    gone.client.close()
    wait_until(spark, is_idle=True, seconds=30)


def test_sixty_four_slow_statements_lock_nobody_out(
    spark: SparkSession, session: ConnectSession, other: ConnectSession
) -> None:
    answers: list[str] = []

    def ask() -> None:
        try:
            session.sql(SLOW).collect()
        except PySparkException as error:
            answers.append(str(error))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(64)]
    for each in threads:
        each.start()
    wait_until(spark, is_idle=False, seconds=20)
    began = time.monotonic()
    assert other.sql("SELECT count(*) AS n FROM range(0, 1000, 1, 1)").collect()[0].n == 1000
    assert time.monotonic() - began < 20
    for each in threads:
        each.join(60)
    refused = [each for each in answers if "statements of this client are running" in each or "are under way" in each]
    assert len(answers) == 64
    assert len(refused) >= 50
    wait_until(spark, is_idle=True, seconds=30)
