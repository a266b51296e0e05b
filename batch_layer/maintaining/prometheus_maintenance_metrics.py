"""Figures of the last maintenance, as a text file for the node exporter's textfile collector."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from batch_layer.maintaining.compaction import TableFiles
from batch_layer.maintaining.ports import Upkeep


class PrometheusMaintenanceMetrics:
    """See the port `MaintenanceMetrics`. The file is replaced as a whole."""

    def __init__(self, path: Path, retention: timedelta) -> None:
        self._path, self._retention = path, retention

    def record(
        self,
        upkeep: Upkeep,
        snapshot_counts: Mapping[str, int],
        files: Mapping[str, TableFiles],
        oldest_raw_on: date | None,
    ) -> None:
        """See the port."""
        registry = CollectorRegistry()
        _gauge(registry, "last_timestamp_seconds", "When the last maintenance ended").set_to_current_time()
        _gauge(registry, "kept_versions", "Versions that are kept").set(upkeep.kept_count)
        _gauge(registry, "expirable_versions", "Versions that should have expired").set(upkeep.expirable_count)
        oldest = _gauge(
            registry, "oldest_expirable_timestamp_seconds", "When the oldest of them was published; 0: there is none"
        )
        oldest.set(upkeep.oldest_expirable_at.timestamp() if upkeep.oldest_expirable_at else 0)
        raw = _gauge(
            registry,
            "oldest_raw_timestamp_seconds",
            "The day of receipt of the oldest raw event; 0: there is none",
        )
        raw.set(datetime.combine(oldest_raw_on, time(), UTC).timestamp() if oldest_raw_on else 0)
        kept = _gauge(registry, "raw_retention_seconds", "How long raw events are kept")
        kept.set(self._retention.total_seconds())
        snapshots = _gauge(registry, "snapshots", "Snapshots that a table has", "table")
        for name, count in snapshot_counts.items():
            snapshots.labels(name).set(count)
        debt = _gauge(registry, "compaction_debt_files", "Files beyond those that the rows of each part need", "table")
        due = _gauge(registry, "compaction_due_parts", "Days of a table, or whole tables, to be compacted", "table")
        deletes = _gauge(registry, "delete_files", "Files that name deleted rows", "table")
        for name, each in files.items():
            debt.labels(name).set(each.debt)
            due.labels(name).set(each.due_count)
            deletes.labels(name).set(each.delete_file_count)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(self._path), registry)


def _gauge(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"viewledger_maintenance_{name}", meaning, labels, registry=registry)
