"""Read the catalogue's facts that billability needs from PostgreSQL on Spark's executors."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.lake.spark_postgres import read_postgres

# days are read as numbers, for Java's dates of the year 1 are those of another calendar
_FACTS = """
    SELECT video_id, length_seconds, user_ids, from_days, to_days
    FROM billing.videos CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(user_id ORDER BY from_on, user_id), '{}') AS user_ids,
               coalesce(array_agg(from_on - DATE '1970-01-01' ORDER BY from_on, user_id), '{}') AS from_days,
               coalesce(array_agg(to_on - DATE '1970-01-01' ORDER BY from_on, user_id), '{}') AS to_days
        FROM billing.owners JOIN billing.payees USING (catalogue_version, payee_id)
        WHERE owners.catalogue_version = videos.catalogue_version AND owners.video_id = videos.video_id
            AND user_id IS NOT NULL
    ) AS own
    WHERE videos.catalogue_version = %d AND (length_seconds IS NOT NULL OR cardinality(user_ids) > 0)"""
_OWN_VIEWER = """named_struct('user_id', own.user_ids, 'from_on', date_from_unix_date(own.from_days),
    'to_on', date_from_unix_date(own.to_days))"""


def catalogue_facts(spark: SparkSession, url: str, version: int) -> DataFrame:
    """Return `(video_id, length_seconds, own_viewers)` for each video of which a catalogue version knows something.

    `own_viewers` is an array of structs of user_id, from_on and to_on, ordered by from_on and user_id; empty without
    any. Version 0 has no video. The rows are read when they are used, in parts; those of a version never change.
    """
    found = read_postgres(spark, url, _FACTS % version, key="video_id")
    zipped = F.arrays_zip("user_ids", "from_days", "to_days").alias("owned")
    return found.select("video_id", "length_seconds", zipped).select(
        "video_id", "length_seconds", F.expr(f"transform(owned, own -> {_OWN_VIEWER})").alias("own_viewers")
    )
