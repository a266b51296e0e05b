"""Published versions, the pointer and the journal of runs in PostgreSQL."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection

from batch_layer.archive.archive_files import ArchivedFile
from batch_layer.archive.removals import Removal
from batch_layer.errors import PooledError, RefusedError
from batch_layer.lake.postgres_connection import connected
from batch_layer.lake.postgres_errors import translated
from batch_layer.versions.day_changes import TallyRow, viewer_key
from batch_layer.versions.ports import RunEntry, StagedCounts
from batch_layer.versions.postgres_copy import copy_rows
from batch_layer.versions.postgres_findings import store_findings
from batch_layer.versions.postgres_on_record import put_on_record, record_removal
from batch_layer.versions.postgres_staged import DROP_STAGED, take_staged
from batch_layer.versions.postgres_tally import store_tally
from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace, OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.refusals import is_refusal
from ingestion.contract.traffic_findings import TrafficFinding
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.version import PublishedVersion, rules_of

_LOCK_KEY = 0x6261746368  # "batch"
_FILES_LOCK_KEY = 0x66696C6573  # "files"
_SELECT = """
    SELECT version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules, published_at,
        accepted_late, event_contracts, attesting_keys, traffic_decisions
    FROM published.versions"""


class PostgresVersionStore:
    """See the port `VersionStore`. Connects in the constructor; the lock lives as long as the connection."""

    def __init__(self, url: str) -> None:
        with translated():
            self._connection: Connection = connected(url)

    def close(self) -> None:
        """Close the connection and with it the lock."""
        self._connection.close()

    def lock(self) -> bool:
        """See the port. PostgreSQL frees the lock when the process dies. Raises PooledError."""
        return self._took(_LOCK_KEY)

    def unlock(self) -> None:
        """Let others write the tables again."""
        self._one("SELECT pg_advisory_unlock(%s)", _LOCK_KEY)

    def lock_files(self) -> bool:
        """Return whether this connection may remove the tables' files, or rely on them; until it is closed."""
        return self._took(_FILES_LOCK_KEY)

    def current(self) -> PublishedVersion | None:
        """See the port."""
        rows = self._rows(f"{_SELECT} JOIN published.pointer USING (version)")
        return _version(rows[0]) if rows else None

    def version(self, number: int) -> PublishedVersion | None:
        """See the port."""
        rows = self._rows(f"{_SELECT} WHERE version = %s", number)
        return _version(rows[0]) if rows else None

    def accepted_until(self, version: int) -> frozenset[LogPlace]:
        """See the port."""
        query = "SELECT accepted_late FROM published.versions WHERE version <= %s AND accepted_late IS NOT NULL"
        rows = self._rows(query, version)
        return frozenset((partition, offset) for (places,) in rows for partition, offset in places)

    def traffic_decided_until(self, version: int) -> frozenset[TrafficDecision]:
        """See the port."""
        query = "SELECT traffic_decisions FROM published.versions WHERE version <= %s AND traffic_decisions IS NOT NULL"
        rows = self._rows(query, version)
        return frozenset(TrafficDecision.from_json(each) for (decisions,) in rows for each in decisions)

    def versions(self, count: int) -> list[PublishedVersion]:
        """Return the newest versions, newest first."""
        return [_version(row) for row in self._rows(f"{_SELECT} ORDER BY version DESC LIMIT %s", count)]

    def runs(self, count: int) -> list[RunEntry]:
        """Return the newest runs, newest first."""
        query = "SELECT run_id, kind, state, version, started_at, ended_at, detail FROM published.runs"
        return [RunEntry(*row) for row in self._rows(f"{query} ORDER BY started_at DESC LIMIT %s", count)]

    def begin(self, entry: RunEntry) -> None:
        """See the port."""
        self._write(
            "INSERT INTO published.runs (run_id, kind, state, started_at, detail) VALUES (%s, %s, %s, %s, %s)",
            (entry.run_id, entry.kind, entry.state, entry.started_at, json.dumps(entry.detail)),
        )

    def end(self, run_id: str, state: str, detail: Mapping[str, Any]) -> None:
        """See the port. A published run stays published."""
        self._write(
            "UPDATE published.runs SET state = %s, ended_at = %s, detail = detail || %s "
            "WHERE run_id = %s AND state = 'running'",
            (state, datetime.now(UTC), json.dumps(detail), run_id),
        )

    def runs_in(self, state: str) -> list[str]:
        """See the port."""
        query = "SELECT run_id FROM published.runs WHERE state = %s ORDER BY run_id"
        return [row[0] for row in self._rows(query, state)]

    def drop_staged(self) -> None:
        """See the port."""
        self._write(DROP_STAGED, ())

    def publish(
        self,
        version: PublishedVersion,
        staged: StagedCounts,
        detail: Mapping[str, Any],
        archived: Mapping[str, ArchivedFile],
        replaced: Collection[str] = (),
        removal: Removal | None = None,
        findings: Collection[tuple[Period, TrafficFinding]] = (),
        tally: Collection[TallyRow] | None = None,
        forgotten: str | None = None,
    ) -> None:
        """See the port."""
        with translated(), self._connection, self._connection.cursor() as cursor:
            try:
                cursor.execute(
                    "INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, "
                    "content_hashes, day_rules, published_at, accepted_late, event_contracts, attesting_keys, "
                    "traffic_decisions) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    _row(version),
                )
                take_staged(cursor, version, staged)
                store_findings(cursor, version.version, findings)
                if tally is not None:
                    store_tally(cursor, version.version, tally)
                put_on_record(cursor, version.version, archived)
                if removal is not None:
                    record_removal(cursor, version.version, removal)
                    forgotten_key = None if forgotten is None else viewer_key(forgotten)
                    cursor.execute("SELECT published.forget_viewers(%s, %s)", (removal.before, forgotten_key))
                gone = ((path, version.version) for path in replaced)
                copy_rows(cursor, "published.replaced_files (path, version)", gone)
                cursor.execute(
                    "INSERT INTO published.pointer (version) VALUES (%s) "
                    "ON CONFLICT (only_row) DO UPDATE SET version = excluded.version",
                    (version.version,),
                )
            except psycopg2.DatabaseError as error:
                if not (is_refusal(error.pgcode) or error.pgcode == errorcodes.UNIQUE_VIOLATION):
                    raise
                raise RefusedError(
                    f"version {version.version} was not published: {error.diag.message_primary}"
                ) from error
            cursor.execute(
                "UPDATE published.runs SET state = 'published', version = %s, ended_at = %s, detail = detail || %s "
                "WHERE run_id = %s",
                (version.version, version.published_at, json.dumps(detail), version.run_id),
            )

    def _took(self, key: int) -> bool:
        # a pooler shows a number of its own; before the lock, which would stay with one of its sessions
        if self._one("SELECT pg_backend_pid()")[0] != self._connection.info.backend_pid:
            raise PooledError
        return bool(self._one("SELECT pg_try_advisory_lock(%s)", key)[0])

    def _one(self, query: str, *values: object) -> tuple[Any, ...]:
        return self._rows(query, *values)[0]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        with translated(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(query, values)


def _row(version: PublishedVersion) -> tuple[object, ...]:
    rules = {day.isoformat(): each.to_json() for day, each in sorted(version.day_rules.items())}
    return (
        version.version,
        version.run_id,
        json.dumps(version.offsets.to_json()),
        json.dumps([instant.isoformat() for instant in version.watermarks]),
        json.dumps(dict(version.snapshots)),
        json.dumps(dict(version.row_counts)),
        json.dumps(dict(version.content_hashes)),
        json.dumps(rules),
        version.published_at,
        json.dumps(version.accepted_late) if version.accepted_late else None,
        json.dumps(version.event_contracts.to_json()),
        None if version.attesting_keys is None else json.dumps(version.attesting_keys.to_json()),
        json.dumps([each.to_json() for each in version.traffic_decisions]) if version.traffic_decisions else None,
    )


def _version(row: tuple[Any, ...]) -> PublishedVersion:
    (
        number,
        run_id,
        offsets,
        watermarks,
        snapshots,
        row_counts,
        content_hashes,
        day_rules,
        published_at,
        accepted_late,
        event_contracts,
        attesting_keys,
        traffic_decisions,
    ) = row
    reach = OffsetVector.from_json(offsets)
    return PublishedVersion(
        version=number,
        run_id=run_id,
        offsets=reach,
        watermarks=tuple(datetime.fromisoformat(text) for text in watermarks),
        snapshots=snapshots,
        row_counts=row_counts,
        content_hashes=content_hashes,
        day_rules=rules_of(day_rules, reach.topic),
        published_at=published_at,
        accepted_late=tuple((partition, offset) for partition, offset in accepted_late or ()),
        event_contracts=EventContracts.from_json(event_contracts),
        attesting_keys=None if attesting_keys is None else AttestingKeys.from_json(attesting_keys),
        traffic_decisions=tuple(TrafficDecision.from_json(each) for each in traffic_decisions or ()),
    )
