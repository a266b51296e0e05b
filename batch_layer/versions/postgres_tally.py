"""The tally of a version in PostgreSQL: what it changed in that of the version before."""

from collections.abc import Collection

from psycopg2.extensions import cursor as Cursor

from batch_layer.versions.day_changes import TallyRow

_STORE = """
    INSERT INTO published.tally_changes (event_day, verdict, reason, version, events_change)
    SELECT event_day, verdict, reason, %s, coalesce(n.events, 0) - coalesce(o.events, 0)
    FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[]) AS n (event_day, verdict, reason, events)
    FULL JOIN (SELECT event_day, verdict, reason, sum(events_change)::bigint AS events
               FROM published.tally_changes GROUP BY 1, 2, 3) AS o USING (event_day, verdict, reason)
    WHERE coalesce(n.events, 0) <> coalesce(o.events, 0)"""


def store_tally(cursor: Cursor, version: int, tally: Collection[TallyRow]) -> None:
    """Store in which days, verdicts and reasons the whole tally of a version differs from that of the one before."""
    columns = [list(column) for column in zip(*tally, strict=True)] or [[], [], [], []]
    cursor.execute(_STORE, (version, *columns))
