"""Distinguish an unreachable server from our own errors, in the exceptions of Spark."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeAlias, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException

from batch_layer.errors import DifferenceError, RefusedError, UnreadableLogError
from ingestion.contract.unavailable import PART_NAMES, Part, UnavailableError

NO_SPACE = "No space left on device"
_OF_EXECUTORS = "ingestion.contract.unavailable.UnavailableError: "
"""Begins the sentence of a Python function that Spark ran on an executor, in the text of Spark's error."""
_AWAY = (
    (Part.KAFKA, ("org.apache.kafka.common.errors", "org.apache.spark.sql.kafka010", "KafkaException")),
    (Part.POSTGRES, ("org.postgresql", "UncheckedSQLException", f"{_OF_EXECUTORS}{PART_NAMES[Part.POSTGRES]}")),
    (Part.HDFS, ("java.net.ConnectException", "SafeModeException", "org.apache.hadoop.hdfs", "minReplication",
              "RemoteException", "SocketTimeoutException", "UnknownHostException", "No route to host")),
    # last, for the words are those of the others, too
    (Part.SPARK, (NO_SPACE, "TimeoutException", "OutOfMemoryError", "ExecutorLostFailure", "cancelled because")),
)  # fmt: skip
STAMPED_BY_SENDERS = "the log holds records with CreateTime"
_UNREADABLE_LOG = ("CorruptRecordException", "RecordDeserializationException", "InvalidRecordException",
                   "Received exception when fetching the next record")  # fmt: skip
_LOST_FILE = ("FileNotFoundException", "org.apache.iceberg.exceptions.NotFoundException")
_LOST_LEASE = "does not have any open files"
"""HDFS reports that a file does not exist if it went away while the file was being written."""
_UNREADABLE = ("ChecksumException", "BlockMissingException")
_LOST_DATA = ("data may have been lost", "OffsetOutOfRange", "failOnDataLoss")
SparkError: TypeAlias = Py4JError | PySparkException
SPARK_ERRORS = (Py4JError, PySparkException)
"""The exceptions that a call of Spark may raise."""
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


def translated(step: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """Make a step raise the batch layer's own errors; other exceptions pass.

    Raises:
        UnavailableError: a server that Spark talks to is away.
        UnreadableLogError: bytes in the log cannot be read.
        RefusedError: the records have their senders' timestamps.
        DifferenceError: a file is gone.
    """

    @wraps(step)
    def with_translation(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        try:
            return step(*args, **kwargs)
        except SPARK_ERRORS as error:
            text = text_of(error)
            if NO_SPACE in text:
                raise UnavailableError(
                    Part.SPARK,
                    "no space is left on a disk that Spark writes to: of its scratch files (SPARK_LOCAL_DIRS) or HDFS",
                ) from error
            if STAMPED_BY_SENDERS in text:
                raise RefusedError(
                    "the log holds events whose time of receipt was set by their senders; set the topic's "
                    "message.timestamp.type to LogAppendTime, and begin a new topic for what follows"
                ) from error
            if any(sign in text for sign in _UNREADABLE_LOG):
                raise UnreadableLogError(f"the log holds bytes that Spark cannot read ({first_cause(text)})") from error
            if is_lost(text):
                raise DifferenceError(f"a file of the tables is gone ({first_cause(text)})") from error
            part = part_away(text)
            if part is None:
                raise
            raise away(part, text) from error

    return with_translation


def is_lost(text: str) -> bool:
    """Return whether an error text of Spark means that a file of a table does not exist."""
    return any(sign in text for sign in _LOST_FILE) and _LOST_LEASE not in text


def is_unreadable(text: str) -> bool:
    """Return whether an error text of Spark means that HDFS has, or reaches, no good copy of a block."""
    return any(sign in text for sign in _UNREADABLE)


def part_away(text: str) -> Part | None:
    """Return the part that an error text of Spark complains about, if any."""
    if any(sign in text for sign in _LOST_DATA):
        return None
    return next((part for part, signs in _AWAY if any(sign in text for sign in signs)), None)


def away(part: Part, text: str) -> UnavailableError:
    """Return the error for a part that an error text of Spark complains about."""
    failed = "Spark did not finish" if part == Part.SPARK else f"{PART_NAMES[part]} did not answer Spark"
    return UnavailableError(part, f"{failed} ({first_cause(text)})")


def text_of(error: SparkError) -> str:
    """Return the whole message of an error, including its causes.

    The cause may be the only message: if a file of HDFS can be neither written nor closed, Java only reports that the
    second error is the first one.
    """
    if isinstance(error, Py4JJavaError):
        return str(error.java_exception.toString()) + str(error)
    text, cause = str(error), getattr(error, "_cause", None)
    while cause is not None:
        text, cause = f"{text}\nCaused by: {cause}", getattr(cause, "_cause", None)
    return text


def first_cause(text: str) -> str:
    """Return the first cause, in at most 200 characters."""
    _, _, sentence = text.partition(_OF_EXECUTORS)
    if sentence:
        return sentence.splitlines()[0][:200]
    causes = [line for line in text.splitlines() if line.startswith("Caused by: ")]
    return (causes[-1].removeprefix("Caused by: ") if causes else text.strip().splitlines()[0])[:200]
