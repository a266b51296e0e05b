"""The door to Spark Connect keeps time and shares, in front of a server that speaks Spark's protocol and takes long."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc

from batch_layer.published.spark_connect_guard import ConnectGuard, start_guard
from batch_layer.published.spark_connect_rules import ConnectRules
from batch_layer.published.spark_connect_shares import StatementLimits
from jobs.local_stack.ports import free_ports

pb: Any = base_pb2


class Open:
    """Rules that let every text through."""

    def check_statement(self, text: str) -> None:
        """Let it through."""

    check_expression = check_table = check_namespace = check_statement


class SlowSpark(base_pb2_grpc.SparkConnectServiceServicer):
    """Works on every statement until it is interrupted; one named `quick` is answered at once."""

    def __init__(self) -> None:
        self.running: dict[str, threading.Event] = {}
        self.interrupted: list[str] = []

    def ExecutePlan(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        if request.plan.root.sql.query != "quick":
            stopped = self.running.setdefault(request.operation_id, threading.Event())
            context.add_callback(stopped.set)
            stopped.wait(60)
            del self.running[request.operation_id]
            context.abort(grpc.StatusCode.INTERNAL, "OPERATION_CANCELED")
        yield pb.ExecutePlanResponse(result_complete=pb.ExecutePlanResponse.ResultComplete())

    def Interrupt(self, request: Any, _context: grpc.ServicerContext) -> Any:
        self.interrupted.append(request.operation_id)
        if request.operation_id in self.running:
            self.running[request.operation_id].set()
        return pb.InterruptResponse(interrupted_ids=[request.operation_id])


@dataclass
class Server:
    """A proxy with the slow server behind it."""

    spark: SlowSpark
    stub: Any
    session: str = field(default_factory=lambda: str(uuid.uuid4()))

    def ask(self, text: str, session: str | None = None) -> Any:
        request = pb.ExecutePlanRequest(session_id=session or self.session)
        request.plan.root.sql.query = text
        return self.stub.ExecutePlan(request)


def until(happened: Callable[[], bool], seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    yield from served(StatementLimits(seconds=30, per_client=4))


@pytest.fixture
def hurried() -> Iterator[Server]:
    yield from served(StatementLimits(seconds=1, per_client=4))


def served(limits: StatementLimits) -> Iterator[Server]:
    ports, spark = free_ports(), SlowSpark()
    spark_server = grpc.server(ThreadPoolExecutor(32))
    base_pb2_grpc.add_SparkConnectServiceServicer_to_server(spark, spark_server)
    target = f"127.0.0.1:{spark_server.add_insecure_port('127.0.0.1:0')}"
    spark_server.start()
    with closing(ConnectGuard(ConnectRules(Open()), target=target, token="t", limits=limits)) as guard:
        proxy = start_guard(guard, "127.0.0.1", ports.sql)
        assert proxy is not None
        with grpc.insecure_channel(f"127.0.0.1:{ports.sql}") as channel:
            yield Server(spark, base_pb2_grpc.SparkConnectServiceStub(channel))
        proxy.stop(grace=0).wait()
    spark_server.stop(grace=0).wait()


def test_a_quick_statement_is_answered(server: Server) -> None:
    (answer,) = server.ask("quick")
    assert answer.HasField("result_complete")


def test_a_session_is_refused_over_its_share_and_others_are_answered(server: Server) -> None:
    slow = [server.ask("slow") for _ in range(2)]
    until(lambda: len(server.spark.running) == 2)
    for _ in range(62):
        with pytest.raises(grpc.RpcError) as caught:
            list(server.ask("slow"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "2 of this session; at most 4 and 2 run at the same time" in caught.value.details()
    assert list(server.ask("quick", session=str(uuid.uuid4())))
    assert len(server.spark.running) == 2, "nothing else reached Spark"
    for each in slow:
        each.cancel()
    until(lambda: not server.spark.running)
    until(lambda: bool(list_or_refused(server)))


def list_or_refused(server: Server) -> list[Any]:
    """Return the answers to a quick statement; none while the share is used."""
    try:
        return list(server.ask("quick"))
    except grpc.RpcError:
        return []


def test_a_statement_whose_time_is_over_is_interrupted_in_spark_and_its_client_gets_the_reason(hurried: Server) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(hurried.ask("slow"))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "the statement took longer than 1 seconds and was stopped; query less"
    assert len(hurried.spark.interrupted) == 1
    until(lambda: not hurried.spark.running)
    assert list(hurried.ask("quick")), "its place is free again"


def test_every_statement_has_an_operation_that_can_be_interrupted(hurried: Server) -> None:
    calls = [hurried.ask("slow", session=str(uuid.uuid4())) for _ in range(3)]
    for each in calls:
        with pytest.raises(grpc.RpcError):
            list(each)
    assert len(set(hurried.spark.interrupted)) == 3
    assert all(hurried.spark.interrupted)
