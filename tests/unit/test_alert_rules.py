"""The alerting rules, their cases and their runbook pages: they fit each other and the metrics the code exports."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.contract.topics import PARTITION_COUNT, TOPIC_VIDEO_VIEWS
from jobs.checkup.topics import DAY_MS, required_topics
from jobs.settings.state_home import PROJECT
from jobs.setup import programs
from tests.command_lines import parsed
from tests.exported_metrics import (
    MADE_BY_PROMETHEUS,
    Exported,
    exported_metrics,
    metric_names,
    selectors,
    unknown_values,
)

FOLDER = PROJECT / "deploy" / "prometheus"
RUNBOOK = PROJECT / "docs" / "operate" / "runbook"
RULE_FILES = ("alerts.yml", "slos.yml")
CASE_FILES = tuple(sorted(path.name for path in FOLDER.glob("*_test.yml")))
ALL_RULES: list[dict[str, Any]] = [
    rule
    for name in RULE_FILES
    for group in yaml.safe_load((FOLDER / name).read_text())["groups"]
    for rule in group["rules"]
]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in ALL_RULES if "record" in rule}
CASES: list[dict[str, Any]] = [
    case
    for name in CASE_FILES
    for test in yaml.safe_load((FOLDER / name).read_text())["tests"]
    for case in test.get("alert_rule_test", ())
]
SCRAPED: dict[str, list[str]] = {
    job["job_name"]: [target for config in job["static_configs"] for target in config["targets"]]
    for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
}
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
PAGES = sorted(path for path in RUNBOOK.glob("*.md") if path.name != "README.md")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported_metrics(tmp_path_factory.mktemp("metrics"))


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
    assert sum("alert" in rule for rule in ALL_RULES) == len(RULES)


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


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_of_a_rule_is_exported_or_recorded(rule: dict[str, Any], exported: Exported) -> None:
    names = metric_names(rule["expr"])
    assert names or rule["expr"].startswith("vector(")
    assert names - MADE_BY_PROMETHEUS - RECORDED <= exported.keys()
    for metric, label, wanted in selectors(rule["expr"]):
        known = set(SCRAPED) if label == "job" else exported[metric][label]
        assert unknown_values(metric, label, wanted, known) == []


def test_every_objective_has_its_two_rates_and_its_budget() -> None:
    by_record = {record: [] for record in ("slo:budget:ratio", "slo:all:rate5m", "slo:failed:rate5m")}
    for rule in ALL_RULES:
        if rule.get("record") in by_record:
            by_record[rule["record"]].append(rule["labels"]["slo"])
    assert all(objectives == ["reads", "freshness", "settled"] for objectives in by_record.values())


def test_prometheus_loads_every_file_of_rules() -> None:
    assert yaml.safe_load((FOLDER / "prometheus.yml").read_text())["rule_files"] == list(RULE_FILES)


def test_a_minute_fails_by_the_condition_of_the_alert_on_settled_counts() -> None:
    (rule,) = (
        each for each in ALL_RULES if each.get("labels") == {"slo": "settled"} and "or vector(0)" in each["expr"]
    )
    bare, alert = (re.sub(r"\s+", " ", each).strip() for each in (rule["expr"], RULES["SettledCountsStale"]["expr"]))
    assert bare == f"0 * ( {alert} ) + 1 or vector(0)"


@pytest.mark.parametrize("name", RULES)
def test_every_alert_has_a_case_where_it_fires_and_one_where_it_is_silent(name: str) -> None:
    fires = [bool(case["exp_alerts"]) for case in CASES if case["alertname"] == name]
    assert set(fires) == {True, False}


def test_every_case_belongs_to_an_alert() -> None:
    assert {case["alertname"] for case in CASES} <= RULES.keys()


def test_the_numbers_in_the_rules_are_those_of_the_topic() -> None:
    (topic,) = (topic for topic in required_topics(PARTITION_COUNT) if topic.name == TOPIC_VIDEO_VIEWS)
    assert f"vector({topic.partition_count})" in RULES["SpeedPartitionsUncounted"]["expr"]
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
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):  # the site's build checks the headings
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
        *(("check", "rules", name) for name in RULE_FILES),
        *(("test", "rules", name) for name in CASE_FILES),
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


def test_pods_of_the_chart_are_scraped_under_the_names_of_jobs_that_alerts_know(tmp_path: Path) -> None:
    template = (PROJECT / "deploy" / "helm" / "templates" / "processes.yaml").read_text()
    jobs = set(re.findall(r'"job" "(\w+)"', template))
    assert set(SCRAPED) - {"redis", "postgres"} == (jobs - {"sql"}) | {"batch"}
    text = (FOLDER / "kubernetes.yml").read_text()
    promtool = programs.promtool()
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus)")
    # Debian builds it without the discovery of pods; everything else is checked
    known = text.replace("kubernetes_sd_configs: [{ role: pod }]", 'static_configs: [{ targets: ["pod:1"] }]')
    assert known != text
    for name in ("alerts.yml", "slos.yml"):
        (tmp_path / name).symlink_to(FOLDER / name)
    (tmp_path / "prometheus.yml").write_text(known)
    words = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
