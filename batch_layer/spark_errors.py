"""Tells a server that is away from an error of ours, in what Spark raises."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException

from batch_layer.errors import UnavailableError

_AWAY = (
    ("Kafka", ("org.apache.kafka.common.errors", "org.apache.spark.sql.kafka010", "KafkaException")),
    ("PostgreSQL", ("org.postgresql", "UncheckedSQLException")),
    ("HDFS", ("java.net.ConnectException", "SafeModeException", "org.apache.hadoop.hdfs", "minReplication",
              "RemoteException", "SocketTimeoutException", "UnknownHostException", "No route to host")),
)  # fmt: skip
NO_SPACE = "No space left on device"
_LOST_DATA = ("data may have been lost", "OffsetOutOfRange", "failOnDataLoss")
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


def translated(step: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """Make a step raise UnavailableError when a server that Spark talks to is away; other errors pass."""

    @wraps(step)
    def with_translation(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        try:
            return step(*args, **kwargs)
        except (Py4JError, PySparkException) as error:
            if NO_SPACE in _text(error):
                raise UnavailableError(
                    "no space is left on a disk that Spark writes to: of its scratch files (SPARK_LOCAL_DIRS) or HDFS"
                ) from error
            server = server_away(_text(error))
            if server is None:
                raise
            raise UnavailableError(f"{server} did not answer Spark ({_first_cause(_text(error))})") from error

    return with_translation


def server_away(text: str) -> str | None:
    """Return the server that an error text of Spark complains of, if any."""
    if any(sign in text for sign in _LOST_DATA):
        return None
    return next((server for server, signs in _AWAY if any(sign in text for sign in signs)), None)


def _text(error: Py4JError | PySparkException) -> str:
    return str(error.java_exception.toString()) + str(error) if isinstance(error, Py4JJavaError) else str(error)


def _first_cause(text: str) -> str:
    causes = [line for line in text.splitlines() if line.startswith("Caused by: ")]
    return (causes[-1].removeprefix("Caused by: ") if causes else text.strip().splitlines()[0])[:200]
