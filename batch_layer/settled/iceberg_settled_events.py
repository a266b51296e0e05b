"""Read single events of one published version, with their verdicts.

The same SQL runs in a session of this process, which reads the version's snapshots, and on the SQL server, which has
the version's namespace and spares its clients a Java process.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from batch_layer.lake.iceberg_tables import NAMESPACE, IcebergTables
from batch_layer.lake.tables import ERASABLE_TABLES, EVENTS, RAW_EVENTS, VIEWS_BY_DETAIL
from batch_layer.published.spark_connect import PublishedTables
from batch_layer.settled.outcome_sql import OUTCOME
from ingestion.contract.periods import Period
from ingestion.contract.settled import BillableEvent, JudgedEvent, PublishedCount, SettledEvent
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion

Ask = Callable[[str, Mapping[str, object]], Iterator[Sequence[Any]]]
"""A statement of SQL and the values of its `:name`s → its rows, streamed."""

# the event's own day; event_day of a late one is the day it was received
_OWN_DAY = "(CASE WHEN verdict = 'late_review' THEN to_date(happened_at) ELSE event_day END)"
# an event without an id sorts before every id, like the empty text for it in a file
_OF_PERIOD = f"""
    (event_day >= :start AND event_day < :end OR verdict = 'late_review')
      AND video_id IS NOT NULL AND {_OWN_DAY} >= :start AND {_OWN_DAY} < :end"""
_RECEIVED = f"""
    SELECT to_date(min(appended_at)), date_add(to_date(max(appended_at)), 1) FROM {{table}} WHERE {_OF_PERIOD}"""  # noqa: S608
_EVENTS = f"""
    SELECT video_id, event_id, partition, offset, own_day, country, outcome, view_duration, ad_types, policy_version,
           sha256
    FROM (SELECT video_id, event_id, partition, offset, {_OWN_DAY} AS own_day, country, {OUTCOME} AS outcome,
                 view_duration, coalesce(ad_types, array()) AS ad_types,
                 CASE WHEN verdict = 'counted' THEN policy_version END AS policy_version
          FROM {{table}} WHERE {_OF_PERIOD})
    LEFT JOIN (SELECT partition, offset, sha2(value, 256) AS sha256 FROM {{raw}}
               WHERE appended_at >= :received AND appended_at < :received_before) USING (partition, offset)
    ORDER BY video_id, event_id NULLS FIRST, partition, offset"""  # noqa: S608  constants only
_COUNTS = """
    SELECT video_id, event_day, country, sum(views), sum(billable_views), policy_version
    FROM {table} WHERE event_day >= :start AND event_day < :end
    GROUP BY video_id, event_day, country, policy_version ORDER BY video_id, event_day, country, policy_version"""
_BILLABLE = """
    SELECT video_id, event_id, event_day, country, view_duration, policy_version
    FROM {table}
    WHERE event_day >= :start AND event_day < :end AND billability = 'billable' AND video_id IN ({video_ids})
    ORDER BY video_id, event_id"""
_COPIES = f"""
    SELECT video_id, partition, offset, date_format(appended_at, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX") AS received_at,
           {_OWN_DAY} AS own_day, country, verdict, {OUTCOME} AS outcome,
           CASE WHEN verdict IN ('rejected', 'invalid_traffic') THEN transform(reasons, each -> each.detail)
               ELSE array() END AS reasons, view_duration, policy_version
    FROM {{table}} WHERE event_id = :event_id
        OR verdict = 'rejected' AND replace(lower(event_id), '-', '') = replace(:event_id, '-', '')"""  # noqa: S608
# the oldest event contract kept the id of a rejected event as it was spelt


class IcebergSettledEvents:
    """The events of one version. Every answer is that version's, even if others are published meanwhile.

    `ask` runs SQL; `table` returns the identifier of the version's table for its name.

    Raises:
        UnavailableError: HDFS, the catalog or the SQL server went away while reading.
    """

    def __init__(self, ask: Ask, table: Callable[[str], str]) -> None:
        self._ask = ask
        self._table = table

    def events(self, period: Period) -> Iterator[SettledEvent]:
        """Yield all events of videos in the period, ascending by (video_id, event_id, partition, offset).

        Reads the archive, which the SQL server does not serve.
        """
        table, days = self._table(EVENTS), _days(period)
        ((first, before),) = self._ask(_RECEIVED.format(table=table), days)
        if first is None:
            return iter(())
        # the archive is partitioned by the day of arrival
        received = {"received": first, "received_before": before}
        rows = self._ask(_EVENTS.format(table=table, raw=self._table(RAW_EVENTS)), days | received)
        return (SettledEvent(*row) for row in rows)

    def counts(self, period: Period) -> Iterator[PublishedCount]:
        """Yield the published counts, ascending by (video_id, event_day, country, policy_version)."""
        rows = self._ask(_COUNTS.format(table=self._table(VIEWS_BY_DETAIL)), _days(period))
        return (PublishedCount(*row) for row in rows)

    def billable(self, video_ids: Sequence[str], period: Period) -> Iterator[BillableEvent]:
        """Yield the billable events of some videos in the period, ascending by (video_id, event_id)."""
        listed = {f"video_{index}": video_id for index, video_id in enumerate(video_ids)}
        names = ", ".join(f":{name}" for name in listed)
        sql = _BILLABLE.format(table=self._table(EVENTS), video_ids=names)
        rows = self._ask(sql, {**_days(period), **listed})
        return (BillableEvent(*row) for row in rows)

    def copies_of(self, event_id: str) -> list[JudgedEvent]:
        """Return every event of the log with this id (canonical), the one that decides its verdict first."""
        rows = self._ask(_COPIES.format(table=self._table(EVENTS)), {"event_id": event_id})
        return sorted((JudgedEvent(*row) for row in rows), key=_decisive_first)  # ORDER BY would read the files twice


def events_at_snapshots(spark: SparkSession, version: PublishedVersion) -> IcebergSettledEvents:
    """Return the events of a version, read at its own snapshots in a session of this process."""

    def ask(sql: str, values: Mapping[str, object]) -> Iterator[Sequence[Any]]:
        try:
            yield from spark.sql(_spelled_out(sql, values)).toLocalIterator(prefetchPartitions=True)
        except PySparkException as error:
            raise UnavailableError(Part.SPARK, f"the batch tables cannot be read ({type(error).__name__})") from error

    tables = IcebergTables(spark)

    def table(name: str) -> str:
        snapshot = version.snapshots[name]
        # the newest raw events hold those of every version, less the removed ones; they have no digest then
        is_newest = name in ERASABLE_TABLES and tables.table(name).snapshot(snapshot) is None
        return f"{NAMESPACE}.{name}" if is_newest else f"{NAMESPACE}.{name} VERSION AS OF {snapshot}"

    return IcebergSettledEvents(ask, table)


def events_by_sql_server(tables: PublishedTables, version: int) -> IcebergSettledEvents:
    """Return the events of a version, read by the SQL server in the version's namespace."""

    def ask(sql: str, values: Mapping[str, object]) -> Iterator[Sequence[Any]]:
        for part in tables.batches(sql, values):
            yield from zip(*(column.to_pylist() for column in part.columns), strict=True)

    return IcebergSettledEvents(ask, lambda name: f"v{version}.{name}")


def _decisive_first(event: JudgedEvent) -> tuple[object, ...]:
    """Return an instant of the broker: whole milliseconds, as they are written here."""
    verdict = event.verdict
    repeats = verdict in ("duplicate", "conflict")
    return verdict != "counted", repeats, event.received_at, event.partition, event.offset


def _days(period: Period) -> dict[str, object]:
    return {"start": period.start_on, "end": period.end_on}


def _spelled_out(sql: str, values: Mapping[str, object]) -> str:
    """Return SQL with its values inserted: in a batch session, the parser of Iceberg's extensions drops them."""
    names = "|".join(map(re.escape, values))
    return re.sub(rf":({names})\b", lambda found: _literal(values[found[1]]), sql)


def _literal(value: object) -> str:
    """Return a day or an id as SQL; ids of the contract are letters, digits, _ and -; refuse anything else."""
    if isinstance(value, date):
        return f"DATE '{value}'"
    if not re.fullmatch(r"[\w-]+", str(value), re.ASCII):
        raise ValueError(f"{value!r} is not an id")
    return f"'{value}'"
