"""Asks the SQL server about the published tables, without a Java process of one's own.

    tables = PublishedTables("sc://127.0.0.1:17073")        # VIEWLEDGER_SQL_URL; connects at the first question
    found = tables.query("SELECT * FROM v3.events WHERE event_id = :event_id", {"event_id": event_id})   # pyarrow.Table

`./viewledger run sql` is the server. `current.TABLE`, or only TABLE, follows the pointer; `v3.TABLE` stays version 3.
"""

import contextlib
import logging
import socket
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import grpc
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession

from batch_layer.errors import UnavailableError
from batch_layer.published_names import ForbiddenError
from batch_layer.spark_messages import one_sentence

CONNECT_SECONDS = 2.0
RETRIES = 2


class QueryError(Exception):
    """Spark could not answer the question; the message is its own sentence."""


class PublishedTables:
    """One session with the SQL server, opened at the first question and again after it was lost.

    Can be used by several threads. Raises for every question:
        ForbiddenError: it is not open to analysts.
        QueryError: it is wrong SQL, or names what is not there.
        UnavailableError: the server does not answer.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: SparkSession | None = None
        self._lock = Lock()
        logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)

    def query(self, sql: str, values: Mapping[str, object] | None = None) -> pa.Table:
        """Return the whole answer. `:name` in the SQL stands for `values["name"]`, whatever characters it has."""
        try:
            return self._opened().sql(sql, args=dict(values) if values else None).toArrow()
        except PySparkException as error:
            raise self._translated(error) from error
        except grpc.RpcError as error:
            self.close()
            raise UnavailableError(f"the SQL server at {self._url} went away") from error

    def close(self) -> None:
        """End the session; the next question opens a new one."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(PySparkException, grpc.RpcError):
                session.client.close()

    def _opened(self) -> SparkSession:
        with self._lock:
            if self._session is None:
                self._check_listening()
                self._session = SparkSession(connection=self._url)
                self._session.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES, max_backoff=1000)])
            return self._session

    def _check_listening(self) -> None:
        """Spark's client would try for minutes."""
        parts = urlsplit(self._url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 15002), CONNECT_SECONDS).close()
        except OSError as error:
            raise UnavailableError(
                f"the SQL server at {self._url} does not answer ({error.strerror or error}); start it with "
                "./viewledger run sql"
            ) from error

    def _translated(self, error: PySparkException) -> Exception:
        cause: Any = error.__cause__ or error.__context__
        code = cause.code() if isinstance(cause, grpc.Call) else None
        if code is grpc.StatusCode.PERMISSION_DENIED:
            return ForbiddenError(str(cause.details()))
        if isinstance(error, SparkConnectGrpcException) and code in (grpc.StatusCode.UNAVAILABLE, None):
            self.close()
            return UnavailableError(f"the SQL server at {self._url} does not answer ({one_sentence(str(error))})")
        return QueryError(one_sentence(str(error)))
