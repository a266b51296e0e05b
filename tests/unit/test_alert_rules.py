"""The alerting rules, their cases and their runbook pages: they fit each other and the metrics the code exports."""

import ast
import inspect
import os
import re
import shlex
import subprocess
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from batch_layer.errors import DifferenceError
from batch_layer.lake.tables import TABLES
from batch_layer.maintaining.compaction import TableFiles
from batch_layer.maintaining.ports import Upkeep
from batch_layer.maintaining.prometheus_maintenance_metrics import PrometheusMaintenanceMetrics
from batch_layer.run import run as batch_run
from batch_layer.run.prometheus_batch_metrics import PrometheusBatchMetrics
from billing.books.run_posting import RunSummary
from billing.books.states import ALLOWED
from billing.errors import Failure, Precondition, PreconditionsError
from billing.period_billing import BilledPeriod
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from ingestion.prometheus_collector import CollectorMetrics
from jobs.checkup.topics import DAY_MS, TOPICS
from jobs.commands.billing.figures import record_overdue, recorded_billing, run_figures
from jobs.processes.batch_figures import BatchFigures
from jobs.resilience.circuit_breaker import BreakerState
from jobs.resilience.circuit_breaker_metrics import show_states
from jobs.settings.state_home import PROJECT
from jobs.setup import programs
from jobs.telemetry.figures_file import (
    record_halt,
    record_reconciled,
    record_repeated_ids,
    recorded_check,
    write_figures,
)
from serving_layer.counts.prometheus_api import ApiMetrics
from speed_layer.prometheus_speed_metrics import PrometheusSpeedMetrics
from tests.billing_fakes import run_of
from tests.command_lines import parsed

FOLDER = PROJECT / "deploy" / "prometheus"
RUNBOOK = PROJECT / "docs" / "operate" / "runbook"
GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
CASES: list[dict[str, Any]] = [
    case
    for name in ("alerts_test.yml", "alerts_days_test.yml", "alerts_weeks_test.yml")
    for test in yaml.safe_load((FOLDER / name).read_text())["tests"]
    for case in test["alert_rule_test"]
]
SCRAPED: dict[str, list[str]] = {
    job["job_name"]: [target for config in job["static_configs"] for target in config["targets"]]
    for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
}
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
PAGES = sorted(path for path in RUNBOOK.glob("*.md") if path.name != "README.md")

MADE_BY_PROMETHEUS = {"up"}
WORDS_OF_PROMQL = {"and", "or", "unless", "on", "ignoring", "by", "without", "offset", "bool"}


Exported = dict[str, dict[str, set[str]]]
"""Sample name → label → the values it was seen with."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Every sample that the processes' own classes write, read back from the text format."""
    speed = CollectorRegistry()
    ProcessCollector(registry=speed)
    show_states(speed, {"redis": lambda: BreakerState.CLOSED})
    observer = PrometheusSpeedMetrics(speed)
    observer.lag_known(0, 0)
    observer.repaired(0)
    path = tmp_path_factory.mktemp("metrics") / "batch.prom"
    PrometheusBatchMetrics(path).record("published", dict.fromkeys(figures_of_a_run(), 0.0), {"cut": 1.0})
    PrometheusMaintenanceMetrics(path.parent / "metrics" / "maintenance.prom", timedelta(days=400)).record(
        Upkeep(1, 0, None), {name: 1 for name in TABLES}, {name: TableFiles(1, 0, 1, 0, 0) for name in TABLES}, None
    )
    with recorded_check(path.parent, "rebuild", DifferenceError):
        pass
    record_halt(path.parent, "OffsetsGoneError")
    record_reconciled(path.parent, differences=1, unreconciled_versions=1)
    record_repeated_ids(path.parent, 1)
    record_overdue({"VIEWLEDGER_STATE_DIR": str(path.parent)}, 1)
    summary = RunSummary(state_counts=Counter(dict.fromkeys(ALLOWED["statement"], 1)))
    billed = BilledPeriod(run_of(), summary, {}, {}, dry_run=False)
    write_figures(path.parent / "metrics" / "posted.prom", run_figures(billed))
    with pytest.raises(PreconditionsError), recorded_billing({"VIEWLEDGER_STATE_DIR": str(path.parent)}):
        raise PreconditionsError([Failure(Precondition.SETTLED, "not yet")])
    collector, api = CollectorMetrics(), ApiMetrics(now=lambda: 0.0)
    collector.acknowledged_plays(["DE"])
    api.signed_plays(["DE"])
    texts = (
        collector.exposition().decode(),
        api.exposition().decode(),
        generate_latest(speed).decode(),
        BatchFigures(every_seconds=300).exposition().decode(),
        path.read_text(),
        *(each.read_text() for each in path.parent.glob("metrics/*.prom")),
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
        for label, wanted in re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', inner)
    ]


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def commands_of(page: Path) -> list[list[str]]:
    """The words of every command on a page, in blocks and in sentences; one with an ellipsis is not meant literally."""
    parts = re.split(r"^ *```(?:sh)?\n", page.read_text(), flags=re.MULTILINE)
    lines = [line for block in parts[1::2] for line in block.splitlines()]
    lines += [span for prose in parts[::2] for span in re.findall(r"`([^`]+)`", prose)]
    return [shlex.split(re.split(r" [<|] ", line)[0]) for line in lines if "…" not in line]


def test_the_reader_of_expressions_sees_metrics_and_nothing_else() -> None:
    expression = 'sum by (le) (rate(a_total{b="c"}[5m] offset 2h)) / on (d) max(e) > 2 * 60 and f:g unless time() == 1'
    assert metric_names(expression) == {"a_total", "e", "f:g"}
    assert selectors(expression) == [("a_total", "b", "c")]


def test_no_two_alerts_share_a_name() -> None:
    assert sum(len(group["rules"]) for group in GROUPS) == len(RULES)


@pytest.mark.parametrize("name", RULES)
def test_every_alert_says_how_urgent_it_is_and_what_it_means(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("name", RULES)
def test_every_alert_has_a_runbook_page_of_its_name(name: str) -> None:
    page = RULES[name]["annotations"]["runbook"]
    assert page == f"docs/operate/runbook/{kebab(name)}.md"
    text = (PROJECT / page).read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Look", "Fix", "Never"]


def test_every_runbook_page_belongs_to_an_alert_and_stands_in_the_index() -> None:
    assert {page.stem for page in PAGES} == {kebab(name) for name in RULES}
    rows = re.findall(r"^\| \[(\w+)\]\(([\w-]+)\.md\) \| (\w+) \|", (RUNBOOK / "README.md").read_text(), re.MULTILINE)
    assert rows == [(name, kebab(name), rule["labels"]["severity"]) for name, rule in RULES.items()]


@pytest.mark.parametrize("name", RULES)
def test_every_metric_of_an_alert_is_exported(name: str, exported: Exported) -> None:
    expression = RULES[name]["expr"]
    names = metric_names(expression)
    assert names
    assert names - MADE_BY_PROMETHEUS <= exported.keys()
    for metric, label, wanted in selectors(expression):
        known = set(SCRAPED) if label == "job" else exported[metric][label]
        assert set(wanted.split("|")) <= known, f"{metric} never has {label}={wanted}"


@pytest.mark.parametrize("name", RULES)
def test_every_alert_has_a_case_where_it_fires_and_one_where_it_is_silent(name: str) -> None:
    fires = [bool(case["exp_alerts"]) for case in CASES if case["alertname"] == name]
    assert set(fires) == {True, False}


def test_every_case_belongs_to_an_alert() -> None:
    assert {case["alertname"] for case in CASES} <= RULES.keys()


def test_the_numbers_in_the_rules_are_those_of_the_topic() -> None:
    (topic,) = (topic for topic in TOPICS if topic.name == TOPIC_VIDEO_VIEWS)
    assert f") < {topic.partition_count}\n" in RULES["SpeedPartitionsUncounted"]["expr"]
    assert "> 5 * 86400\n" in RULES["SettledNearRetention"]["expr"]
    assert topic.retention_ms == 7 * DAY_MS, "the rule warns two days before the log deletes"


@pytest.mark.parametrize(
    ("process", "job"), [("collector", "collector"), ("speed", "speed"), ("api", "api"), ("batch", "batch_driver")]
)
def test_prometheus_scrapes_every_process_where_the_compose_file_runs_it(process: str, job: str) -> None:
    port = SERVICES[process]["environment"][f"VIEWLEDGER_{process.upper()}_METRICS_PORT"]
    assert SCRAPED[job] == [f"{process}:{port}"]
    assert not [each for each in SERVICES[process].get("ports", []) if str(port) in each], "it is for Prometheus alone"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_exists(page: Path) -> None:
    commands = commands_of(page)
    for words in commands:
        if "./viewledger" in words:
            command, _ = parsed(words[words.index("./viewledger") + 1 :])
            assert command.work()
    assert any("./viewledger" in words or words[:1] == ["docker"] for words in commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_container_that_a_page_names_is_in_the_compose_file(page: Path) -> None:
    for _, _, action, *words in (words for words in commands_of(page) if words[:2] == ["docker", "compose"]):
        plain = [word for word in words if re.fullmatch("[a-z]+", word)]
        named = plain if action == "logs" else plain[:1]
        assert set(named) <= SERVICES.keys()


@pytest.mark.parametrize("page", [*PAGES, RUNBOOK / "README.md"], ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / target).exists()


def test_every_setting_that_a_page_names_is_read_by_the_code() -> None:
    sources = "".join(path.read_text() for path in (PROJECT / "jobs").rglob("*.py"))
    named = {name for page in PAGES for name in re.findall(r"VIEWLEDGER_[A-Z_]+", page.read_text())}
    assert named
    assert {name for name in named if f'"{name}"' not in sources} == set()


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
        ("test", "rules", "alerts_days_test.yml"),
        ("test", "rules", "alerts_weeks_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    promtool = programs.promtool()
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus)")
    environ = {**os.environ, "GOGC": "400"}  # it need not spare memory: a fifth less CPU
    result = subprocess.run([promtool, *words], cwd=FOLDER, env=environ, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
