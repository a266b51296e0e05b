"""Figures of the last batch run, as a text file for the node exporter's textfile collector."""

from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

OUTCOMES = ("published", "nothing_new", "gate_failed", "failed")


class PrometheusBatchMetrics:
    """See the port `RunMetrics`. The file is replaced as a whole; the counts of runs continue from the former file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, outcome: str, figures: Mapping[str, float], stage_seconds: Mapping[str, float]) -> None:
        """See the port."""
        counts = self._counts_so_far()
        counts[outcome] = counts.get(outcome, 0) + 1
        registry = CollectorRegistry()
        # gauges, since they are read from a file and written again; by their names they only grow
        runs = Gauge("viewledger_batch_runs_total", "Batch runs by outcome", ["outcome"], registry=registry)
        for name in OUTCOMES:
            runs.labels(name).set(counts.get(name, 0))
        failures = Gauge("viewledger_gate_failures_total", "Batch runs that the gate refused", registry=registry)
        failures.set(counts.get("gate_failed", 0))
        Gauge(
            "viewledger_batch_last_run_timestamp_seconds", "When the last run ended", registry=registry
        ).set_to_current_time()
        Gauge("viewledger_batch_last_run_seconds", "How long the last run took", registry=registry).set(
            sum(stage_seconds.values())
        )
        stages = Gauge(
            "viewledger_batch_stage_seconds", "How long each stage of the last run took", ["stage"], registry=registry
        )
        for stage, seconds in stage_seconds.items():
            stages.labels(stage).set(seconds)
        for name, value in figures.items():
            Gauge(f"viewledger_batch_{name}", f"{name.replace('_', ' ')} of the last run", registry=registry).set(value)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(self._path), registry)

    def _counts_so_far(self) -> dict[str, float]:
        if not self._path.exists():
            return {}
        families = text_string_to_metric_families(self._path.read_text())
        return {
            sample.labels["outcome"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "viewledger_batch_runs_total"
        }
