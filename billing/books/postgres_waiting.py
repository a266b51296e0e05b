"""What waits for a person in the batch tables, in PostgreSQL: replaced every night, and read by pages."""

from collections.abc import Sequence
from datetime import date, datetime

from billing.books.book_ports import WaitingItem
from billing.books.months import WaitingCount
from billing.postgres_session import Connect, copy_rows, one_transaction
from ingestion.contract.periods import Period

_COLUMNS = "kind, subject_id, happened_at, received_at, event_count, payee_id, video_id, event_id, remark"
_COUNT = """
    INSERT INTO billing.waiting_counts (kind, waiting_count, batch_version, counted_at) VALUES (%s, %s, %s, %s)"""
_UNDECIDED = """
    NOT EXISTS (SELECT FROM billing.transitions t WHERE t.subject_kind = w.kind AND t.subject_id = w.subject_id)
      AND NOT EXISTS (SELECT FROM billing.decided_groups d WHERE w.kind = 'traffic_group' AND d.name = w.subject_id)"""
_COUNTS = """
    SELECT c.kind, c.waiting_count - (SELECT count(*) FROM billing.waiting_work w WHERE w.kind = c.kind),
           c.batch_version, c.counted_at
    FROM billing.waiting_counts c"""
_BY_DAY = f"""
    SELECT w.kind, w.happened_at::date, count(*), sum(w.event_count)::bigint FROM billing.waiting_work w
    WHERE {_UNDECIDED} GROUP BY 1, 2"""
_LISTED = f"""
    SELECT w.subject_id, w.happened_at, w.received_at, w.event_count, w.payee_id, w.video_id, w.event_id, w.remark
    FROM billing.waiting_work w
    WHERE w.kind = %(kind)s AND {_UNDECIDED}
      AND (%(start)s::date IS NULL OR (w.happened_at >= %(start)s AND w.happened_at < %(end)s))
    ORDER BY w.happened_at, w.subject_id COLLATE "C" LIMIT %(most)s"""
_OF_PAYEE = f"""
    SELECT w.subject_id, w.happened_at, w.received_at, w.event_count, w.payee_id, w.video_id, w.event_id, w.remark
    FROM billing.waiting_work w WHERE w.kind = %(kind)s AND w.payee_id = %(payee)s AND {_UNDECIDED}"""


class PostgresWaiting:
    """Implements `billing.books.book_ports.WaitingWork`; every call is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def replace(
        self,
        kind: str,
        items: Sequence[WaitingItem],
        waiting_count: int,
        *,
        batch_version: int,
        counted_at: datetime,
    ) -> None:
        """Keep the items of a kind in place of the former ones; two concurrent calls run one after the other."""
        rows = (
            (
                kind,
                each.subject_id,
                each.happened_at,
                each.received_at,
                each.event_count,
                each.payee_id,
                each.video_id,
                each.event_id,
                each.remark,
            )
            for each in items
        )
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT billing.lock_ledger()")
            cursor.execute("DELETE FROM billing.waiting_work WHERE kind = %s", (kind,))
            cursor.execute("DELETE FROM billing.waiting_counts WHERE kind = %s", (kind,))
            cursor.execute(_COUNT, (kind, waiting_count, batch_version, counted_at))
            copy_rows(cursor, "billing.waiting_work", _COLUMNS, rows)

    def counts(self) -> dict[str, WaitingCount]:
        """Return what waits by kind, less what was decided since; a kind that was never counted is absent."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(_BY_DAY)
            by_day: dict[str, dict[date, tuple[int, int]]] = {}
            for kind, day, items, events in cursor:
                by_day.setdefault(kind, {})[day] = (items, events)
            cursor.execute(_COUNTS)
            return {
                kind: WaitingCount(by_day.get(kind, {}), unlisted, batch_version, counted_at)
                for kind, unlisted, batch_version, counted_at in cursor
            }

    def listed(self, kind: str, period: Period | None, count_max: int) -> list[WaitingItem]:
        """Return the listed items of a kind that nobody has decided on, of a period or of all, the oldest first."""
        start, end = (period.start_at, period.end_at) if period else (None, None)
        with one_transaction(self._connect) as cursor:
            cursor.execute(_LISTED, {"kind": kind, "start": start, "end": end, "most": count_max})
            return [WaitingItem(*row) for row in cursor]

    def of_payee(self, kind: str, payee_id: str) -> list[WaitingItem]:
        """Return the listed items of a kind and payee that nobody has decided on, in any order."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_OF_PAYEE, {"kind": kind, "payee": payee_id})
            return [WaitingItem(*row) for row in cursor]
