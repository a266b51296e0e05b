"""Figures of the last maintenance, as a text file for the node exporter's textfile collector."""

from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from batch_layer.maintaining.ports import Upkeep


class PrometheusMaintenanceMetrics:
    """See the port `MaintenanceMetrics`. The file is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, upkeep: Upkeep, snapshot_counts: Mapping[str, int]) -> None:
        """See the port."""
        registry = CollectorRegistry()
        _gauge(registry, "last_timestamp_seconds", "When the last maintenance ended").set_to_current_time()
        _gauge(registry, "kept_versions", "Versions that are kept").set(upkeep.kept_count)
        _gauge(registry, "expirable_versions", "Versions that should have expired").set(upkeep.expirable_count)
        oldest = _gauge(
            registry, "oldest_expirable_timestamp_seconds", "When the oldest of them was published; 0: there is none"
        )
        oldest.set(upkeep.oldest_expirable_at.timestamp() if upkeep.oldest_expirable_at else 0)
        snapshots = Gauge(
            "viewledger_maintenance_snapshots", "Snapshots that a table has", ["table"], registry=registry
        )
        for name, count in snapshot_counts.items():
            snapshots.labels(name).set(count)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(self._path), registry)


def _gauge(registry: CollectorRegistry, name: str, meaning: str) -> Gauge:
    return Gauge(f"viewledger_maintenance_{name}", meaning, registry=registry)
