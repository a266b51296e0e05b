"""Batch runs, versions and comparisons, from PostgreSQL."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from ingestion.contract.day_ranges import day_ranges
from serving_layer.access.postgres_reads import PostgresReads
from serving_layer.portal.records import ReconciliationRow, RunRow, VersionRow

ROWS_MAX = 100

_RUNS = "SELECT run_id, kind, state, version, started_at, ended_at, detail FROM published.runs"
_VERSIONS = """
    SELECT v.version, v.run_id, v.published_at, v.watermarks, v.offsets, v.row_counts, v.content_hashes,
           p.version IS NOT NULL, e.expired_at, l.label
    FROM published.versions v LEFT JOIN published.pointer p USING (version)
    LEFT JOIN published.expired_versions e USING (version)
    LEFT JOIN published.current_labels l USING (version) ORDER BY v.version DESC LIMIT %s"""
_RECONCILIATIONS = """
    SELECT reconciled_at, version, differences FROM published.reconciliations
    ORDER BY reconciliation_id DESC LIMIT %s"""


class PostgresOperations:
    """The journal of the batch layer, newest first, at most 100 rows of each."""

    def __init__(self, url: str) -> None:
        self._reads = PostgresReads(url)

    def runs(self) -> Sequence[RunRow]:
        """Return the newest runs."""
        return [_run(row) for row in self._reads.query(f"{_RUNS} ORDER BY started_at DESC LIMIT %s", (ROWS_MAX,))]

    def run(self, run_id: str) -> RunRow | None:
        """Return one run."""
        return next((_run(row) for row in self._reads.query(f"{_RUNS} WHERE run_id = %s", (run_id,))), None)

    def versions(self) -> Sequence[VersionRow]:
        """Return the newest versions."""
        return [_version(row) for row in self._reads.query(_VERSIONS, (ROWS_MAX,))]

    def reconciliations(self) -> Sequence[ReconciliationRow]:
        """Return the newest comparisons."""
        rows = self._reads.query(_RECONCILIATIONS, (ROWS_MAX,))
        return [
            ReconciliationRow(at, version, not differences, "; ".join(differences) or "everything agrees")
            for at, version, differences in rows
        ]

    def close(self) -> None:
        """Disconnect."""
        self._reads.close()


def _run(row: tuple[Any, ...]) -> RunRow:
    """Return a run; its stages keep their order, and its days are ranges."""
    run_id, kind, state, version, started_at, ended_at, detail = row
    if isinstance(stages := detail.get("stage_seconds"), list):
        detail["stage_seconds"] = {stage: f"{seconds:,.1f} s" for stage, seconds in stages}
    if days := detail.get("judged_days"):
        detail["judged_days"] = day_ranges(map(date.fromisoformat, days))
    return RunRow(run_id, kind, state, version, started_at, ended_at, detail)


def _version(row: tuple[Any, ...]) -> VersionRow:
    version, run_id, published_at, watermarks, offsets, row_counts, content_hashes, is_current, expired_at, label = row
    settled_until = min(map(datetime.fromisoformat, watermarks))
    return VersionRow(
        version,
        run_id,
        published_at,
        settled_until,
        tuple(offsets["ends"]),
        row_counts,
        content_hashes,
        is_current,
        expired_at,
        label,
    )
