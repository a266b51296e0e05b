"""Read Iceberg's metadata files through Spark's Java process, which has the client of HDFS."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from ingestion.contract.unavailable import Part, UnavailableError

KEPT_MAX = 64
"""The number of files that are cached; a file never changes once it is written."""


class MetadataFiles:
    """Reads the newest metadata of each table, as Iceberg's own JSON. Thread-safe."""

    def __init__(self, spark: SparkSession, location_of: Callable[[str], str | None]) -> None:
        self._spark = spark
        self._location_of = location_of
        self._kept: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, table: str) -> Mapping[str, Any]:
        """Return a table's metadata.

        Raises:
            LookupError: the table does not exist yet.
            UnavailableError: HDFS or PostgreSQL does not answer.
        """
        location = self._location_of(table)
        if location is None:
            raise LookupError(f"table {table} does not exist yet; a batch run makes it")
        with self._lock:
            if location not in self._kept:
                self._kept[location] = self._read(location)
                if len(self._kept) > KEPT_MAX:
                    self._kept.popitem(last=False)
            return self._kept[location]

    def _read(self, location: str) -> Mapping[str, Any]:
        java: Any = self._spark._jvm
        configuration = self._spark._jsparkSession.sparkContext().hadoopConfiguration()
        try:
            files = java.org.apache.iceberg.hadoop.HadoopFileIO(configuration)
            metadata = java.org.apache.iceberg.TableMetadataParser.read(files, location)
            return dict(json.loads(java.org.apache.iceberg.TableMetadataParser.toJson(metadata)))
        except Py4JError as error:
            raise UnavailableError(Part.HDFS, f"HDFS does not answer for {location}") from error
