"""The functions that notebooks call; see the package."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from batch_layer.published.published_names import QueryError
from batch_layer.published.spark_connect import PublishedTables
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import ExpiredVersionError

HTTP_SECONDS = 10.0
Day = date | str
Instant = datetime | date | str
Answer = Any
"""A pandas.DataFrame, or a pyarrow.Table with `arrow=True`."""

VIEWS = "video_id, event_day, country, device_type, views, billable_views, policy_version"


@dataclass
class Server:
    """The address of the SQL server, and the sessions with it: one for each version that was read."""

    sql_url: str
    iceberg_url: str
    sessions: dict[int, PublishedTables]


_server: Server | None = None


def connect(sql_url: str | None = None, iceberg_url: str | None = None) -> None:
    """Use this server from now on; a missing address comes from the environment or is this machine's."""
    global _server
    for session in _server.sessions.values() if _server else ():
        session.close()
    _server = Server(
        sql_url or os.environ.get("VIEWLEDGER_SQL_URL") or "sc://127.0.0.1:17073",
        iceberg_url or os.environ.get("VIEWLEDGER_ICEBERG_URL") or "http://127.0.0.1:17074",
        {},
    )


def versions(*, arrow: bool = False) -> Answer:
    """Return every published version, oldest first: version, run_id, published_at, settled_until, rows, expired_at.

    A version with `expired_at` is no longer kept and cannot be read.
    """
    rows = [each | {"rows": json.dumps(each["rows"])} for each in _manifests()]
    for row in rows:
        for name in ("published_at", "settled_until", "expired_at"):
            row[name] = row[name] and datetime.fromisoformat(row[name])
    return _answer(pa.Table.from_pylist(rows), arrow=arrow)


def read_views(
    *,
    version: int | None = None,
    as_of: Instant | None = None,
    video_id: str | None = None,
    start_on: Day | None = None,
    end_on: Day | None = None,
    arrow: bool = False,
) -> Answer:
    """Return settled views by video, event day (UTC), country and device, of the days in [start_on, end_on)."""
    condition, values = _condition(video_id, start_on, end_on)
    question = f"SELECT {VIEWS} FROM views_by_video_day_country_device {condition} ORDER BY ALL"  # noqa: S608
    return sql(question, values, version=version, as_of=as_of, arrow=arrow)


def read_events(
    *,
    version: int | None = None,
    as_of: Instant | None = None,
    video_id: str | None = None,
    start_on: Day | None = None,
    end_on: Day | None = None,
    arrow: bool = False,
) -> Answer:
    """Return every event of the days in [start_on, end_on) with its verdict; for one video or a few days at a time."""
    condition, values = _condition(video_id, start_on, end_on)
    question = f"SELECT * FROM events {condition} ORDER BY partition, offset"  # noqa: S608
    return sql(question, values, version=version, as_of=as_of, arrow=arrow)


def sql(
    text: str,
    values: Mapping[str, object] | None = None,
    *,
    version: int | None = None,
    as_of: Instant | None = None,
    arrow: bool = False,
) -> Answer:
    """Return the answer to a query; `:name` in it means `values["name"]`.

    Raises ForbiddenError, QueryError or UnavailableError, each with one sentence.
    """
    chosen = _version(version, as_of)
    server = _connected()
    session = server.sessions.setdefault(chosen, PublishedTables(server.sql_url, f"v{chosen}"))
    return _answer(session.query(text, values), arrow=arrow)


def _condition(video_id: str | None, start_on: Day | None, end_on: Day | None) -> tuple[str, dict[str, object]]:
    given = {"video_id": video_id, "start_on": _day("start_on", start_on), "end_on": _day("end_on", end_on)}
    parts = {
        "video_id": "video_id = :video_id",
        "start_on": "event_day >= :start_on",
        "end_on": "event_day < :end_on",
    }
    values: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    return ("WHERE " + " AND ".join(parts[name] for name in values) if values else ""), values


def _day(name: str, day: Day | None) -> date | None:
    try:
        return date.fromisoformat(day) if isinstance(day, str) else day
    except ValueError as error:
        raise QueryError(f"{name} is not a day: {day!r}; give it as 2026-11-24") from error


def _version(version: int | None, as_of: Instant | None) -> int:
    if version is not None and as_of is not None:
        raise QueryError("version and as_of exclude each other")
    at = None if as_of is None else _instant(as_of)
    manifests = _manifests()
    published: dict[int, datetime] = {
        each["version"]: datetime.fromisoformat(each["published_at"]) for each in manifests
    }
    if not published:
        raise QueryError("no version is published yet")
    if version is not None and version not in published:
        raise QueryError(f"version {version} was not published; there are {min(published)} to {max(published)}")
    chosen = version or max(published)
    if at is not None:
        before = [number for number, published_at in published.items() if published_at < at]
        if not before:
            raise QueryError(f"nothing was published by {as_of}; the first version is of {published[min(published)]}")
        chosen = max(before)
    expired = {each["version"]: each["expired_at"] for each in manifests if each["expired_at"]}
    if chosen in expired:
        next_kept = min(number for number in published.keys() - expired.keys() if number > chosen)
        raise QueryError(str(ExpiredVersionError(chosen, datetime.fromisoformat(expired[chosen]), next_kept)))
    return chosen


def _instant(as_of: Instant) -> datetime:
    """Return the end of a day, or the instant itself; one without a zone is UTC."""
    try:
        at = as_of
        if isinstance(at, str):
            at = date.fromisoformat(at) if len(at) == len("2026-11-25") else datetime.fromisoformat(at)
        if not isinstance(at, datetime):
            return datetime.combine(at + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError) as error:
        allowed = "give a day like 2026-11-24, or an instant like 2026-11-24T12:00:00Z"
        raise QueryError(f"as_of is not a day or an instant: {as_of!r}; {allowed}") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _manifests() -> list[dict[str, Any]]:
    url = f"{_connected().iceberg_url}/versions"
    try:
        with urllib.request.urlopen(url, timeout=HTTP_SECONDS) as answer:  # noqa: S310  (the user's own server)
            found: list[dict[str, Any]] = json.load(answer)["versions"]
            return found
    except urllib.error.HTTPError as error:
        raise UnavailableError(
            Part.SQL, f"{url} answered {error.code}: {json.load(error)['error']['message']}"
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise UnavailableError(
            Part.SQL, f"the SQL server at {url} does not answer ({why}); start it with ./viewledger run sql"
        ) from error


def _connected() -> Server:
    if _server is None:
        connect()
    assert _server is not None  # noqa: S101  (connect has set it)
    return _server


def _answer(table: pa.Table, *, arrow: bool) -> Answer:
    return table if arrow else table.to_pandas()
