"""Query the published tables through the SQL server, without a Java process of one's own.

    tables = PublishedTables("sc://127.0.0.1:17073")        # VIEWLEDGER_SQL_URL; connects at the first question
    found = tables.query("SELECT * FROM v3.events WHERE event_id = :event_id", {"event_id": event_id})   # pyarrow.Table

`./viewledger run sql` is the server. `current.TABLE`, or only TABLE, follows the pointer; `v3.TABLE` stays version 3.
"""

import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import grpc
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession

from batch_layer.lake.spark_errors import is_lost, part_away
from batch_layer.lake.spark_messages import one_sentence
from batch_layer.published.published_names import CATALOG, CURRENT, ForbiddenError, QueryError
from ingestion.contract.unavailable import PART_NAMES, Part, UnavailableError

CONNECT_SECONDS = 2.0
RETRIES = 2
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)

EXPIRED = "a version that this statement reads is no longer kept; viewledger.versions() and GET /versions list all"
LOST = "a file that this statement reads is gone: its version expired meanwhile, or ./viewledger reconcile names it"
UNANSWERED = "the SQL server could not answer this statement, and did not say why; its log does"
_NO_SNAPSHOT = "Cannot find snapshot with ID"
"""Iceberg's own words about an instant at which an expired version was in force."""
_STOPPING = (
    "SparkContext was shut down",
    "SparkContext has been shut",
    "stopped SparkContext",
    "java.lang.InterruptedException",
    "RESTException) Error occurred while processing",
)
"""Spark's own words while the SQL server stops: Spark, the threads of statements, or the catalogue beside it."""


class PublishedTables:
    """One session with the SQL server, opened at the first query and again after it was lost.

    Names without a namespace are looked up in `namespace`. Thread-safe. Every query may raise:
        ForbiddenError: it is not open to analysts.
        QueryError: the SQL is wrong, or names something that does not exist.
        UnavailableError: the server, or one that it needs, does not answer.
    """

    def __init__(self, url: str, namespace: str = CURRENT) -> None:
        self._url = url
        self._namespace = namespace
        self._session: SparkSession | None = None
        self._lock = Lock()
        logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)

    def query(self, sql: str, values: Mapping[str, object] | None = None, *, rows_max: int | None = None) -> pa.Table:
        """Return the whole answer, or its first rows.

        `:name` in the SQL means `values["name"]`, with any characters.
        """
        with self._translated():
            found = self._asked(sql, values)
            return (found if rows_max is None else found.limit(rows_max)).toArrow()

    def batches(self, sql: str, values: Mapping[str, object] | None = None) -> Iterator[pa.Table]:
        """Yield an answer of any size in parts: at least one, with the columns, even without rows."""
        with self._translated():
            found = self._asked(sql, values)
            plan = found._plan.to_proto(found._session.client)
            for part in found._session.client.to_table_as_iterator(plan, {}):
                if isinstance(part, pa.Table):
                    yield part

    def interrupt(self) -> None:
        """Interrupt the session's running work."""
        if self._session is not None:
            with contextlib.suppress(PySparkException, grpc.RpcError):
                self._session.interruptAll()

    def close(self) -> None:
        """End the session; the next query opens a new one."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(PySparkException, grpc.RpcError):
                session.client.release_session()
            session.client.close()

    def _asked(self, sql: str, values: Mapping[str, object] | None) -> Any:
        return self._opened().sql(sql, args=dict(values) if values else None)

    def _opened(self) -> SparkSession:
        with self._lock:
            if self._session is None:
                self._check_listening()
                session = SparkSession(connection=self._url)
                session.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES, max_backoff=1000)])
                session.sql(f"USE {CATALOG}.`{self._namespace}`")
                self._session = session
            return self._session

    def _check_listening(self) -> None:
        """Override Spark's client, which would retry for minutes."""
        parts = urlsplit(self._url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 15002), CONNECT_SECONDS).close()
        except OSError as error:
            raise UnavailableError(
                Part.SQL,
                f"the SQL server at {self._url} does not answer ({error.strerror or error}); start it with "
                "./viewledger run sql",
            ) from error

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PySparkException as error:
            cause: Any = error.__cause__ or error.__context__
            code = cause.code() if isinstance(cause, grpc.Call) else None
            if code is grpc.StatusCode.PERMISSION_DENIED:
                raise ForbiddenError(str(cause.details())) from error
            if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise QueryError(str(cause.details())) from error
            if code in GONE or any(sign in str(error) for sign in _STOPPING):
                raise self._gone() from error
            if "ServiceFailureException" in str(error) or (part := part_away(str(error))):
                named = PART_NAMES[part or Part.POSTGRES]
                raise UnavailableError(Part.SQL, f"{named} did not answer the SQL server") from error
            if _NO_SNAPSHOT in str(error):
                raise QueryError(EXPIRED) from error
            if is_lost(str(error)):
                raise QueryError(LOST) from error
            raise QueryError(one_sentence(str(error)) or UNANSWERED) from error
        except grpc.RpcError as error:
            raise self._gone() from error

    def _gone(self) -> UnavailableError:
        with self._lock:
            self._session = None
        return UnavailableError(
            Part.SQL, f"the SQL server at {self._url} went away; try again when ./viewledger run sql is up"
        )
