"""The door to Spark Connect: judges every request, hands on what analysts may ask, and answers as Spark does.

Spark's own port needs a token that only this process knows, so the door is the only way in.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import Message
from pyspark.sql.connect.proto import base_pb2_grpc

from batch_layer.published_names import ForbiddenError
from batch_layer.spark_connect_rules import ConnectRules

log = logging.getLogger(__name__)

WORKERS = 64
"""Requests at the same time; a running query holds one."""
MESSAGE_BYTES_MAX = 128 << 20
"""Spark's own bound."""

JUDGED = ("ExecutePlan", "AnalyzePlan", "Config")
PASSED = ("ArtifactStatus", "Interrupt", "ReattachExecute", "ReleaseExecute", "ReleaseSession", "FetchErrorDetails")
"""They carry ids only. What is in neither, `AddArtifacts` and `CloneSession`, is refused."""
STREAMED = ("ExecutePlan", "ReattachExecute")

_PROTOCOL: Any = base_pb2_grpc  # generated, without types


class Guard(base_pb2_grpc.SparkConnectServiceServicer):
    """Spark Connect's service in front of the real one."""

    def __init__(self, rules: ConnectRules, *, target: str, token: str) -> None:
        options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
        self._channel = grpc.insecure_channel(target, options=options)
        self._stub: Any = _PROTOCOL.SparkConnectServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._rules = rules
        for name in (*JUDGED, *PASSED):
            setattr(self, name, self._method(name))

    def close(self) -> None:
        """Close the connection to Spark."""
        self._channel.close()

    def _method(self, name: str) -> Callable[[Message, grpc.ServicerContext], Any]:
        def one(request: Message, context: grpc.ServicerContext) -> Any:
            self._judge(name, request, context)
            try:
                return getattr(self._stub, name)(request, metadata=self._metadata)
            except grpc.RpcError as error:
                return _handed_back(error, context)

        def many(request: Message, context: grpc.ServicerContext) -> Iterator[Any]:
            self._judge(name, request, context)
            call = getattr(self._stub, name)(request, metadata=self._metadata)
            context.add_callback(call.cancel)
            try:
                yield from call
            except grpc.RpcError as error:
                _handed_back(error, context)

        return many if name in STREAMED else one

    def _judge(self, name: str, request: Message, context: grpc.ServicerContext) -> None:
        request.DiscardUnknownFields()
        if name not in JUDGED:
            return
        try:
            self._rules.check(request)
        except ForbiddenError as error:
            log.info("request refused", extra={"fields": {"method": name, "reason": str(error)}})
            context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))


def start_guard(guard: Guard, host: str, port: int) -> grpc.Server | None:
    """Listen; None when the port is taken."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(WORKERS, thread_name_prefix="guard"), options=options)
    _PROTOCOL.add_SparkConnectServiceServicer_to_server(guard, server)
    try:
        server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError:
        return None
    server.start()
    return server


def _handed_back(error: Any, context: grpc.ServicerContext) -> Any:
    context.set_trailing_metadata(error.trailing_metadata() or ())
    return context.abort(error.code(), error.details())
