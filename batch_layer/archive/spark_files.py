"""Read the tables' files directly: their status, their content, and whether they can be read at all."""

import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.archive_files import FileStatus, Hours
from batch_layer.lake.content import Place
from batch_layer.lake.iceberg_tables import path_of
from batch_layer.lake.spark_content_hash import BY_PLACE, contents
from batch_layer.lake.spark_errors import (
    SPARK_ERRORS,
    SparkError,
    away,
    first_cause,
    is_lost,
    is_unreadable,
    part_away,
    text_of,
)

PROBE_SECONDS = 5.0


def stored_files(spark: SparkSession, folders: Sequence[str]) -> dict[str, FileStatus]:
    """Return path → status of every Parquet file below the folders, without reading any; a missing folder has none."""
    # the files' content is not read unless the column `content` is selected
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true").option("pathGlobFilter", "*.parquet")
    try:
        files = reader.load(list(folders))
    except AnalysisException as error:
        if "PATH_NOT_FOUND" in str(error):
            return {}
        raise
    rows = files.select("path", F.unix_millis("modificationTime").alias("modified_ms"), "length")
    return {path_of(row["path"]): _status(row) for row in rows.toArrow().to_pylist()}


def _status(row: dict[str, Any]) -> FileStatus:
    seconds, milliseconds = divmod(row["modified_ms"], 1000)
    modified_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)
    return FileStatus(row["length"], modified_at)


def hours_of(spark: SparkSession, file: str) -> Hours:
    """Return the content of a file of raw events, by partition and hour."""
    found = contents({file: spark.read.parquet(file)}, {file: BY_PLACE})
    return {Place.parse(str(part)): content for (_, part), content in found.items()}


def full_name(folder: str, path: str) -> str:
    """Return a path as the scheme and host of a folder have it."""
    host = re.match(r"^[a-z]+:(//[^/]*)?", folder)
    return f"{host.group() if host else ''}{path}"


def damage(spark: SparkSession, error: SparkError) -> str:
    """Return why one file cannot be read, in a few words.

    Raises:
        UnavailableError: the server does not answer.
    """
    text = text_of(error)
    part = part_away(text)
    if part is None or is_lost(text) or (is_unreadable(text) and _answers(spark)):
        return first_cause(text)
    raise away(part, text) from error


def _answers(spark: SparkSession) -> bool:
    """Return whether every DataNode that the NameNode counts as live can be reached."""
    java: Any = spark._jvm
    configuration = spark._jsc.hadoopConfiguration()
    warehouse = java.org.apache.hadoop.fs.Path(spark.conf.get("spark.sql.catalog.ledger.warehouse"))
    try:
        nodes = [str(node.getXferAddr()) for node in warehouse.getFileSystem(configuration).getDataNodeStats()]
        for host, _, port in (node.rpartition(":") for node in nodes):
            socket.create_connection((host, int(port)), timeout=PROBE_SECONDS).close()
    except (*SPARK_ERRORS, OSError):
        return False
    return bool(nodes)
