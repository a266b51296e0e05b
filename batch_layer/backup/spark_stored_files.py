"""Copies files between the warehouse and a local folder, by the client of HDFS in Spark's Java process."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from batch_layer.errors import DifferenceError
from batch_layer.lake.spark_errors import NO_SPACE, away, first_cause, is_lost, text_of
from ingestion.contract.unavailable import Part

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


def _of_hdfs(step: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """Make a step raise DifferenceError for a lost file, OSError for a full local disk, else UnavailableError."""

    @wraps(step)
    def with_translation(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        try:
            return step(*args, **kwargs)
        except Py4JError as error:
            text = text_of(error)
            if NO_SPACE in text:
                raise OSError(NO_SPACE) from error
            if is_lost(text):
                raise DifferenceError(f"a file of the tables is gone ({first_cause(text)})") from error
            raise away(Part.HDFS, text) from error

    return with_translation


class SparkStoredFiles:
    """The folder of the batch tables; every path is without scheme and host."""

    def __init__(self, spark: SparkSession, url: str) -> None:
        java: Any = spark._jvm
        self._path = java.org.apache.hadoop.fs.Path
        self._permission = java.org.apache.hadoop.fs.permission.FsPermission
        self._root = self._path(url)
        self._files = self._root.getFileSystem(spark._jsc.hadoopConfiguration())

    @_of_hdfs
    def status(self, path: str) -> tuple[int, int]:
        """Return a file's bytes and the millisecond of its last change."""
        found = self._files.getFileStatus(self._path(path))
        return int(found.getLen()), int(found.getModificationTime())

    @_of_hdfs
    def permission(self, folder: str) -> int:
        """Return who may do what with a folder, like 0o700."""
        return int(self._files.getFileStatus(self._path(folder)).getPermission().toShort())

    @_of_hdfs
    def fetch(self, path: str, target: Path) -> None:
        """Copy a file to a local one; HDFS compares its checksums."""
        self._files.copyToLocalFile(False, self._path(path), self._local(target), True)

    @_of_hdfs
    def first_file(self) -> str | None:
        """Return a file of the warehouse; None if it has none."""
        if not self._files.exists(self._root):
            return None
        found = self._files.listFiles(self._root, True)
        return str(found.next().getPath()) if found.hasNext() else None

    @_of_hdfs
    def make_folder(self, folder: str, permission: int) -> None:
        """Make a folder that only those may enter who might before."""
        self._files.mkdirs(self._path(folder))
        self._files.setPermission(self._path(folder), self._permission(permission))

    @_of_hdfs
    def store(self, source: Path, path: str, *, modified_ms: int) -> None:
        """Copy a local file to the warehouse, with the time of its last change, which is on record."""
        self._files.copyFromLocalFile(False, True, self._local(source), self._path(path))
        self._files.setTimes(self._path(path), modified_ms, -1)

    @_of_hdfs
    def remove(self) -> None:
        """Remove the warehouse with all that is in it."""
        self._files.delete(self._root, True)

    def _local(self, path: Path) -> Any:
        """Return a local path for Hadoop, which takes its text as it is: a URI's escapes would be part of the name."""
        return self._path(f"file://{path.absolute()}")
