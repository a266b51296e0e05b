"""Published view counts for notebooks.

    import viewledger

    viewledger.versions()                                  # every published version: its instant and its reach
    viewledger.read_views(version=3, start_on="2026-11-01")
    viewledger.sql("SELECT country, sum(views) AS views FROM views_by_video_day_country_device GROUP BY country")

Answers are pandas frames; `arrow=True` gives a pyarrow.Table. Without `version` and `as_of` the current version is
read; `as_of` takes the one that was in force at the end of a UTC day, or just before an instant.

The SQL server answers (`./viewledger run sql`). VIEWLEDGER_SQL_URL and VIEWLEDGER_ICEBERG_URL give its address; without
them, this machine's ports 17073 and 17074 are used.
"""

from batch_layer.published.published_names import ForbiddenError, QueryError
from ingestion.contract.unavailable import UnavailableError
from viewledger.reading import connect, read_events, read_views, sql, versions

__all__ = [
    "ForbiddenError",
    "QueryError",
    "UnavailableError",
    "connect",
    "read_events",
    "read_views",
    "sql",
    "versions",
]
