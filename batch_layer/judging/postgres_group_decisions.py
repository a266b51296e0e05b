"""Decisions about groups under review in billing's tables in PostgreSQL, and since when groups wait for one."""

from collections.abc import Collection, Iterable
from contextlib import closing

from psycopg2.extensions import cursor as Cursor

from batch_layer.judging.ports import ReleasedGroups
from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated
from batch_layer.lake.postgres_rows import read_rows
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup

SOON_DAYS = 4
"""A group that expires within as many days is one that somebody must hurry to look at."""
_GROUP = "event_day, rule, payee_id, event_count, set_hash"
_DECISIONS = """
    SELECT event_day::text, rule, payee_id, event_count, set_hash, outcome FROM billing.traffic_decisions"""
_NOTED = "SELECT content_hash FROM billing.traffic_sighted ORDER BY version DESC LIMIT 1"
NOTED_GROUPS = f"""
    SELECT {_GROUP} FROM (SELECT DISTINCT ON ({_GROUP}) {_GROUP}, is_there FROM billing.traffic_sightings
                          ORDER BY {_GROUP}, sighting_id DESC) AS newest WHERE is_there"""  # noqa: S608 - names only
"""The groups that are noted as under review."""
_SIGHTING = f"""
    INSERT INTO billing.traffic_sightings (version, {_GROUP}, is_there)
    VALUES (%s, %s, %s, %s, %s, %s, %s)"""  # noqa: S608 - names only
_IS_NOTED = """
    INSERT INTO billing.traffic_sighted (version, content_hash) VALUES (%s, %s) ON CONFLICT (version) DO NOTHING"""
_EXPIRE = "SELECT billing.expire_traffic_groups()"
_SOON = """
    SELECT count(*) FROM billing.traffic_groups_waiting
    WHERE expires_at <= clock_timestamp() + make_interval(days => %s)"""


class PostgresGroupDecisions:
    """See the port `TrafficDecisions`. A connection for each call: a run makes few."""

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> frozenset[TrafficDecision]:
        """See the port."""
        return frozenset(map(TrafficDecision.from_json, read_rows(self._url, _DECISIONS)))

    def noted_hash(self) -> str | None:
        """See the port."""
        rows = read_rows(self._url, _NOTED)
        return str(rows[0][0]) if rows else None

    def note(self, version: int, content_hash: str, groups: Collection[TrafficGroup]) -> None:
        """See the port."""
        with translated(), closing(connected(self._url)) as connection, connection, connection.cursor() as cursor:
            note_groups(cursor, version, content_hash, groups)

    def expire(self) -> ReleasedGroups:
        """See the port."""
        with translated(), closing(connected(self._url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(_EXPIRE)
            (expired_count,) = cursor.fetchone() or (0,)
            cursor.execute(_SOON, (SOON_DAYS,))
            (soon_count,) = cursor.fetchone() or (0,)
        return ReleasedGroups(expired_count, soon_count)


def note_groups(cursor: Cursor, version: int, content_hash: str, groups: Collection[TrafficGroup]) -> None:
    """Note what has changed between the groups that are noted and those of a version."""
    cursor.execute(NOTED_GROUPS)
    before, now = {TrafficGroup(*row) for row in cursor}, set(groups)
    for is_there, changed in ((True, now - before), (False, before - now)):
        cursor.executemany(_SIGHTING, _rows(version, sorted(changed), is_there=is_there))
    cursor.execute(_IS_NOTED, (version, content_hash))


def _rows(version: int, groups: Iterable[TrafficGroup], *, is_there: bool) -> Iterable[tuple[object, ...]]:
    for each in groups:
        yield version, each.day, each.reason, each.payee_id, each.event_count, each.set_hash, is_there
