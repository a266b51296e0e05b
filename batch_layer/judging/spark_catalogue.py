"""Read the catalogue's facts that billability needs from PostgreSQL, on Spark's executors."""

from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.judging.postgres_catalogue import latest_catalogue_version
from batch_layer.lake.spark_postgres import read_postgres

# days are read as numbers, for Java's dates of the year 1 are those of another calendar
_FACTS = """
    SELECT video_id, length_seconds, user_ids, from_days, to_days
    FROM billing.videos CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(user_id ORDER BY user_id, from_day, to_day), '{}') AS user_ids,
               coalesce(array_agg(from_day ORDER BY user_id, from_day, to_day), '{}') AS from_days,
               coalesce(array_agg(to_day ORDER BY user_id, from_day, to_day), '{}') AS to_days
        FROM (
            SELECT user_id COLLATE "C" AS user_id, from_on - DATE '1970-01-01' AS from_day,
                   to_on - DATE '1970-01-01' AS to_day
            FROM billing.owners JOIN billing.payees USING (catalogue_version, payee_id)
            WHERE owners.catalogue_version = videos.catalogue_version AND owners.video_id = videos.video_id
                AND user_id IS NOT NULL
        ) AS owner
    ) AS own
    WHERE videos.catalogue_version = %d AND (length_seconds IS NOT NULL OR cardinality(user_ids) > 0)"""
_OWN_VIEWER = """named_struct('user_id', own.user_ids, 'from_on', date_from_unix_date(own.from_days),
    'to_on', date_from_unix_date(own.to_days))"""

_OWNERS = """
    SELECT video_id, payee_id, share_ppm, from_on - DATE '1970-01-01' AS from_day, to_on - DATE '1970-01-01' AS to_day
    FROM billing.owners WHERE catalogue_version = %d"""


_VIEWERS = """
    SELECT payee_id, user_id FROM billing.payees WHERE catalogue_version = %d AND user_id IS NOT NULL"""


class CatalogueFacts(Protocol):
    """Reads the facts of videos from billing's catalogue."""

    def latest_version(self) -> int:
        """Return the newest catalogue version; 0 if there is none."""

    def facts(self, version: int) -> DataFrame:
        """Return `(video_id, length_seconds, own_viewers)` for each video of which a catalogue version knows something.

        `own_viewers` is an array of structs of user_id, from_on and to_on, in this order; empty without any. Version 0
        has no video.
        """

    def owners(self, version: int) -> DataFrame:
        """Return `(video_id, payee_id, share_ppm, from_on, to_on)` for each share of a video on days [from_on, to_on).

        Version 0 has none.
        """

    def payee_viewers(self, version: int) -> DataFrame:
        """Return `(payee_id, user_id)` for each payee whose own viewer is known. Version 0 has none."""


class SparkCatalogueFacts:
    """See the port. The rows are read when they are used, in parts; those of a version never change."""

    def __init__(self, spark: SparkSession, url: str) -> None:
        self._spark, self._url = spark, url

    def latest_version(self) -> int:
        """See the port."""
        return latest_catalogue_version(self._url)

    def facts(self, version: int) -> DataFrame:
        """See the port."""
        found = read_postgres(self._spark, self._url, _FACTS % version, key="video_id")
        zipped = F.arrays_zip("user_ids", "from_days", "to_days").alias("owned")
        return found.select("video_id", "length_seconds", zipped).select(
            "video_id", "length_seconds", F.expr(f"transform(owned, own -> {_OWN_VIEWER})").alias("own_viewers")
        )

    def owners(self, version: int) -> DataFrame:
        """See the port."""
        found = read_postgres(self._spark, self._url, _OWNERS % version, key="video_id")
        days = {name: F.expr(f"date_from_unix_date({name}_day)") for name in ("from", "to")}
        ranges = [days["from"].alias("from_on"), days["to"].alias("to_on")]
        return found.select("video_id", "payee_id", "share_ppm", *ranges)

    def payee_viewers(self, version: int) -> DataFrame:
        """See the port."""
        return read_postgres(self._spark, self._url, _VIEWERS % version, key="payee_id")
