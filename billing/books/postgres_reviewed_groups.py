"""Groups under review in PostgreSQL, as a night found them: replaced every night, and read by those who decide."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.books.noted_groups import NotedGroup
from billing.postgres_session import Connect, copy_rows, one_transaction
from ingestion.contract.traffic_evidence import GroupEvidence
from ingestion.contract.traffic_groups import TrafficGroup

_GROUP = "event_day, rule, payee_id, event_count, set_hash"
_COLUMNS = f"{_GROUP}, batch_version, counted_at, waiting_count, video_count, points_most, estimate_micros, currency"
# A group that runs have noted is there as long as they say so; one that none has noted is as new as the night.
_TO_DECIDE = f"""
    SELECT {_GROUP}, w.expires_at, e.waiting_count, e.video_count, e.points_most, e.estimate_micros, e.currency,
           e.batch_version, e.counted_at
    FROM billing.traffic_groups_waiting w FULL JOIN billing.group_evidence e USING ({_GROUP})
    WHERE w.expires_at IS NOT NULL OR (
        NOT EXISTS (SELECT FROM billing.traffic_sightings s WHERE (s.event_day, s.rule, s.payee_id, s.event_count,
            s.set_hash) = (e.event_day, e.rule, e.payee_id, e.event_count, e.set_hash))
        AND NOT EXISTS (SELECT FROM billing.traffic_decisions d WHERE (d.event_day, d.rule, d.payee_id, d.event_count,
            d.set_hash) = (e.event_day, e.rule, e.payee_id, e.event_count, e.set_hash)))
    ORDER BY {_GROUP}"""
_EVIDENCE = f"""
    SELECT evidence FROM billing.group_evidence WHERE ({_GROUP}) = (%s, %s, %s, %s, %s)"""


@dataclass(frozen=True)
class GroupToDecide:
    """A group that nobody has decided on. What only a night counts is None until it has."""

    group: TrafficGroup
    released_at: datetime | None
    """When it is released if nobody decides; None: the next run notes it, and 14 days begin."""
    waiting_count: int | None
    video_count: int | None
    points_most: int | None
    estimate_micros: int | None
    currency: str | None
    batch_version: int | None
    counted_at: datetime | None


class PostgresReviewedGroups:
    """Implements `billing.books.noted_groups.KeptGroups`; every call is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def replace(self, found: Sequence[NotedGroup], *, batch_version: int, counted_at: datetime) -> None:
        """See the port; two concurrent calls run one after the other."""
        rows = ((*_row(each, batch_version, counted_at), _json(each.evidence)) for each in found)
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT billing.lock_ledger()")
            cursor.execute("DELETE FROM billing.group_evidence")
            copy_rows(cursor, "billing.group_evidence", f"{_COLUMNS}, evidence", rows)

    def to_decide(self) -> list[GroupToDecide]:
        """Return the groups that nobody has decided on, in order."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_TO_DECIDE)
            return [GroupToDecide(TrafficGroup(*row[:5]), *row[5:]) for row in cursor]

    def evidence(self, group: TrafficGroup) -> GroupEvidence | None:
        """Return the evidence on a group; None if no night has counted it."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_EVIDENCE, _key(group))
            row = cursor.fetchone()
        return None if row is None or row[0] is None else GroupEvidence.from_json(row[0])


def _key(group: TrafficGroup) -> tuple[Any, ...]:
    return group.day, group.reason, group.payee_id, group.event_count, group.set_hash


def _row(noted: NotedGroup, batch_version: int, counted_at: datetime) -> tuple[Any, ...]:
    counts = (noted.waiting_count, noted.video_count, noted.points_most)
    return *_key(noted.group), batch_version, counted_at, *counts, noted.estimate_micros, noted.currency


def _json(evidence: GroupEvidence | None) -> str | None:
    return None if evidence is None else json.dumps(evidence.to_json())
