"""The metrics that processes and servers export, and what expressions of PromQL ask for."""

import ast
import inspect
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from batch_layer.errors import DifferenceError
from batch_layer.lake.tables import TABLES
from batch_layer.maintaining.compaction import TableFiles
from batch_layer.maintaining.ports import Upkeep
from batch_layer.maintaining.prometheus_maintenance_metrics import PrometheusMaintenanceMetrics
from batch_layer.run import run as batch_run
from batch_layer.run.prometheus_batch_metrics import PrometheusBatchMetrics
from billing.books.book_ports import Estimate
from billing.books.run_posting import RunSummary
from billing.books.states import ALLOWED
from billing.errors import Failure, Precondition, PreconditionsError
from billing.nightly import Night, NightOf
from billing.payouts.postgres_listed_batches import ListedBatch
from billing.period_billing import BilledPeriod
from ingestion.contract.plays import OTHER_PLAYER
from ingestion.prometheus_collector import CollectorMetrics
from jobs.commands.billing.figures import (
    record_estimates_and_payouts,
    record_notices,
    record_waiting,
    recorded_billing,
    run_figures,
)
from jobs.processes.batch_figures import BatchFigures
from jobs.resilience.circuit_breaker import BreakerState
from jobs.resilience.circuit_breaker_metrics import show_states
from jobs.telemetry.figures_file import (
    record_backup,
    record_halt,
    record_reconciled,
    record_repeated_ids,
    recorded_check,
    write_figures,
)
from serving_layer.counts.prometheus_api import ApiMetrics
from speed_layer.prometheus_speed_metrics import PrometheusSpeedMetrics
from tests.billing_fakes import NOVEMBER, run_of
from tests.payee_notices import FINAL_STATEMENT

SCRAPES = Path(__file__).parent / "unit" / "scrapes"
"""What exporters of servers answered, by server."""
MADE_BY_PROMETHEUS = {"up", "ALERTS"}
WORDS_OF_PROMQL = {"and", "or", "unless", "on", "ignoring", "by", "without", "offset", "bool"}

Exported = dict[str, dict[str, set[str]]]
"""Sample name → label → the values it was seen with."""


def exported_metrics(folder: Path) -> Exported:
    """Every sample that the processes' own classes and the servers' exporters write, read from the text format."""
    speed = CollectorRegistry()
    ProcessCollector(registry=speed)
    show_states(speed, {"redis": lambda: BreakerState.CLOSED})
    observer = PrometheusSpeedMetrics(speed)
    observer.lag_known(0, 0)
    observer.repaired(0)
    path = folder / "batch.prom"
    PrometheusBatchMetrics(path).record("published", dict.fromkeys(figures_of_a_run(), 0.0), {"cut": 1.0})
    PrometheusMaintenanceMetrics(path.parent / "metrics" / "maintenance.prom", timedelta(days=400)).record(
        Upkeep(1, 0, None), {name: 1 for name in TABLES}, {name: TableFiles(1, 0, 1, 0, 0) for name in TABLES}, None
    )
    with recorded_check(path.parent, "rebuild", DifferenceError):
        pass
    record_halt(path.parent, "OffsetsGoneError")
    record_reconciled(path.parent, differences=1, unreconciled_versions=1)
    record_repeated_ids(path.parent, 1)
    record_backup(path.parent, datetime(2026, 11, 29, tzinfo=UTC))
    environ = {"VIEWLEDGER_STATE_DIR": str(path.parent)}
    record_waiting(environ, overdue=1, bank_differences=1)
    estimated = NightOf(NOVEMBER, "estimated", "", estimates=(Estimate("ann", "EUR", 1, 1),))
    batch = ListedBatch("b1", "EUR", NOVEMBER.start_on, "ann", "written", "settled", 1, 1)
    record_estimates_and_payouts(environ, Night((estimated,), 0), [batch])
    record_notices(environ, [FINAL_STATEMENT])
    summary = RunSummary(state_counts=Counter(dict.fromkeys(ALLOWED["statement"], 1)))
    billed = BilledPeriod(run_of(), summary, {}, {}, dry_run=False)
    write_figures(path.parent / "metrics" / "posted.prom", run_figures(billed))
    with pytest.raises(PreconditionsError), recorded_billing(environ):
        raise PreconditionsError([Failure(Precondition.SETTLED, "not yet")])
    collector, api = CollectorMetrics(), ApiMetrics(now=lambda: 0.0)
    collector.acknowledged_plays([("DE", "web/1")])
    api.signed_plays([("DE", OTHER_PLAYER)])
    api.responded("/v1/views:lookup", 503)
    texts = (
        collector.exposition().decode(),
        api.exposition().decode(),
        generate_latest(speed).decode(),
        BatchFigures(every_seconds=300).exposition().decode(),
        path.read_text(),
        *(each.read_text() for each in path.parent.glob("metrics/*.prom")),
        *(each.read_text() for each in SCRAPES.glob("*.prom")),
    )
    found: Exported = defaultdict(lambda: defaultdict(set))
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = found[sample.name]
                for label, value in sample.labels.items():
                    labels[label].add(value)
    return found


def figures_of_a_run() -> list[str]:
    """The names that `run_once` gives to the figures of a run without an error."""
    for node in ast.walk(ast.parse(inspect.getsource(batch_run.run_once))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "figures":
            assert isinstance(node.value, ast.Dict)
            return [ast.literal_eval(key) for key in node.value.keys if key is not None]
    raise AssertionError("run_once names its figures no more; an alert depends on `version` being one of them")


def metric_names(expression: str) -> set[str]:
    """The metrics of an expression: what is left without selectors, ranges, label lists, functions and words."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", expression)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    names = re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return set(names) - WORDS_OF_PROMQL


def selectors(expression: str) -> list[tuple[str, str, str]]:
    """Every (metric, label, value or alternatives) that an expression selects by."""
    return [
        (metric, label, wanted)
        for metric, inner in re.findall(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}", expression)
        for label, wanted in re.findall(r'(\w+)\s*(?:=~?|!=)\s*"([^"]*)"', inner)
    ]


def unknown_values(metric: str, label: str, wanted: str, known: set[str]) -> list[str]:
    """A sentence for each value or alternative that a metric never has."""
    missing = [each for each in wanted.split("|") if not any(re.fullmatch(each, value) for value in known)]
    return [f"{metric} never has {label}={each}" for each in missing]
