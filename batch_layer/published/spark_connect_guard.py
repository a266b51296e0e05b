"""A proxy for Spark Connect: checks every request, forwards what analysts may ask, and answers as Spark does.

Spark's own port needs a token that only this process knows, so the proxy is the only way in. It keeps each client to
its share (`spark_connect_shares`) and stops a statement in Spark itself when its time is over: by Spark's interrupt,
and then its jobs (`spark_connect_jobs`).
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message
from py4j.protocol import Py4JError
from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc

from batch_layer.published.published_names import ForbiddenError
from batch_layer.published.spark_connect_jobs import StatementJobs
from batch_layer.published.spark_connect_rules import ConnectRules
from batch_layer.published.spark_connect_shares import (
    RunningStatement,
    Shares,
    ShareUsedError,
    StatementLimits,
    client_of,
)

logger = logging.getLogger(__name__)

WORKERS = 64
"""The maximum of concurrent requests; a running query holds one."""
MESSAGE_BYTES_MAX = 128 << 20
"""Spark's own bound."""
LOOK_SECONDS = 0.5
"""The interval at which overdue statements are looked for."""
STOP_SECONDS = 5.0
"""The time that Spark has to stop a statement before its client gets the error anyway."""

JUDGED = ("ExecutePlan", "AnalyzePlan", "Config")
PASSED = ("ArtifactStatus", "Interrupt", "ReattachExecute", "ReleaseExecute", "ReleaseSession", "FetchErrorDetails")
"""Requests that carry only ids. Requests in neither list, `AddArtifacts` and `CloneSession`, are refused."""
STREAMED = ("ExecutePlan", "ReattachExecute")

_PROTOCOL: Any = base_pb2_grpc  # generated, without types
_MESSAGES: Any = base_pb2


class ConnectGuard(base_pb2_grpc.SparkConnectServiceServicer):
    """Spark Connect's service in front of the real one."""

    def __init__(
        self,
        rules: ConnectRules,
        *,
        target: str,
        token: str,
        limits: StatementLimits | None = None,
        jobs: StatementJobs | None = None,
    ) -> None:
        """Connect to Spark at `target`; `jobs` are those of that Spark, if it is this process's own."""
        options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
        self._channel = grpc.insecure_channel(target, options=options)
        self._stub: Any = _PROTOCOL.SparkConnectServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._rules = rules
        self._shares = Shares(limits or StatementLimits())
        self._jobs = jobs
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._stop_overdue, name="overdue", daemon=True)
        self._watch.start()
        for name in (*JUDGED, *PASSED):
            setattr(self, name, self._method(name))

    def close(self) -> None:
        """Close the connection to Spark; no statement runs on."""
        self._closed.set()
        self._watch.join()
        self._cancel_jobs(all_of_them=True)
        self._channel.close()

    def _method(self, name: str) -> Callable[[Message, grpc.ServicerContext], Any]:
        work = self._many if name in STREAMED else self._one

        def one(request: Message, context: grpc.ServicerContext) -> Any:
            try:
                with self._shares.call(client_of(context.peer())):
                    return work(name, request, context)
            except ShareUsedError as error:
                _refuse(context, name, str(error))

        def many(request: Message, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                with self._shares.call(client_of(context.peer())):
                    yield from work(name, request, context)
            except ShareUsedError as error:
                _refuse(context, name, str(error))

        return many if name in STREAMED else one

    def _one(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        self._judge(name, request, context)
        try:
            answer = getattr(self._stub, name)(request, metadata=self._metadata, timeout=self._shares.limits.seconds)
        except grpc.RpcError as error:
            return self._handed_back(error, context)
        if name == "ReleaseExecute" and request.HasField("release_all"):
            self._shares.end(request.operation_id)
        elif name == "ReleaseSession":
            self._shares.end_session(request.session_id)
        return answer

    def _many(self, name: str, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self._judge(name, request, context)
        if name == "ExecutePlan":
            request.operation_id = request.operation_id or str(uuid.uuid4())
            client = client_of(context.peer())
            statement = self._shares.begin(client, request.session_id, request.operation_id, request.user_context)
        else:
            known = self._shares.running(request.operation_id)
            statement = known or self._shares.begin(
                client_of(context.peer()), request.session_id, request.operation_id, request.user_context
            )
        yield from self._answers(name, request, context, statement)

    def _answers(
        self, name: str, request: Any, context: grpc.ServicerContext, statement: RunningStatement
    ) -> Iterator[Any]:
        """Forward Spark's answers to a statement, and note its end: a client that went away may come back for it."""
        patience = max(self._shares.seconds_left(statement), 0) + STOP_SECONDS
        call = getattr(self._stub, name)(request, metadata=self._metadata, timeout=patience)
        context.add_callback(call.cancel)
        is_kept = name == "ReattachExecute" or _is_reattachable(request)
        try:
            for answer in call:
                yield answer
                if answer.HasField("result_complete"):
                    self._shares.end(statement.operation_id)
        except grpc.RpcError as error:
            is_kept = is_kept and error.code() is grpc.StatusCode.CANCELLED
            self._handed_back(error, context, statement)
        finally:
            if not is_kept:
                self._shares.end(statement.operation_id)

    def _judge(self, name: str, request: Message, context: grpc.ServicerContext) -> None:
        request.DiscardUnknownFields()
        if name not in JUDGED:
            return
        try:
            self._rules.check(request)
        except ForbiddenError as error:
            logger.info("request refused", extra={"fields": {"method": name, "reason": str(error)}})
            context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))

    def _stop_overdue(self) -> None:
        """Stop overdue statements in Spark itself, even if no client waits for them."""
        while not self._closed.wait(LOOK_SECONDS):
            for each in self._shares.overdue():
                self._interrupt(each)
            self._cancel_jobs(all_of_them=False)

    def _cancel_jobs(self, *, all_of_them: bool) -> None:
        """End the jobs of statements that have ended for everyone else, which Spark's interrupt did not reach."""
        if self._jobs is None:
            return
        try:
            for operation_id, tag in self._jobs.running().items():
                if all_of_them or self._shares.running(operation_id) is None:
                    self._jobs.cancel(tag)
                    logger.info("job of an ended statement stopped", extra={"fields": {"operation": operation_id}})
        except (Py4JError, OSError) as error:
            logger.warning("jobs of statements not looked at", extra={"fields": {"reason": type(error).__name__}})

    def _interrupt(self, statement: RunningStatement) -> None:
        request = _MESSAGES.InterruptRequest(
            session_id=statement.session_id,
            user_context=statement.user_context,
            interrupt_type=_MESSAGES.InterruptRequest.INTERRUPT_TYPE_OPERATION_ID,
            operation_id=statement.operation_id,
        )
        fields = {"client": statement.client, "operation": statement.operation_id}
        try:
            self._stub.Interrupt(request, metadata=self._metadata, timeout=STOP_SECONDS)
        except grpc.RpcError as error:
            logger.warning("overdue statement not stopped", extra={"fields": fields | {"reason": str(error.code())}})
            return
        logger.info("overdue statement stopped", extra={"fields": fields})
        self._shares.end(statement.operation_id)

    def _handed_back(self, error: Any, context: grpc.ServicerContext, statement: RunningStatement | None = None) -> Any:
        over = statement is not None and self._shares.seconds_left(statement) <= 0
        if over or error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the statement took longer than {self._shares.limits.seconds:g} seconds and was stopped; query less",
            )
        context.set_trailing_metadata(error.trailing_metadata() or ())
        return context.abort(error.code(), error.details())


def start_guard(guard: ConnectGuard, host: str, port: int) -> grpc.Server | None:
    """Listen; return None if the port is taken."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(WORKERS, thread_name_prefix="guard"), options=options)
    _PROTOCOL.add_SparkConnectServiceServicer_to_server(guard, server)
    try:
        server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError:
        return None
    server.start()
    return server


def _is_reattachable(request: Any) -> bool:
    return any(
        each.HasField("reattach_options") and each.reattach_options.reattachable for each in request.request_options
    )


def _refuse(context: grpc.ServicerContext, name: str, reason: str) -> NoReturn:
    logger.info("request refused", extra={"fields": {"method": name, "reason": reason}})
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, reason)
    raise AssertionError("abort raises")
