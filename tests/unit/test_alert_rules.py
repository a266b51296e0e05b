"""The alerting rules: each has a page and cases, and asks for metrics that the code exports."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.cli import COMMANDS
from jobs.state_home import PROJECT

FOLDER = PROJECT / "deploy" / "prometheus"
PAGES = PROJECT / "docs" / "runbook"
FROM_ELSEWHERE = {"up", "process_start_time_seconds", "process_resident_memory_bytes"}
"""Made by Prometheus itself and by every process with a client library."""
SUFFIXES = ("_bucket", "_count", "_sum", "_total")
FUNCTIONS = (
    "(?:absent|avg|changes|count|delta|increase|max|min|rate|resets|sum|time|vector|histogram_quantile)(?:_over_time)?"
)
OPERATORS = {"and", "or", "unless", "bool", "offset"}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


RULES = rules()


def exported() -> set[str]:
    """Every metric's name as the code gives it to the client library; the batch run names some by its figures."""
    layers = ("ingestion", "speed_layer", "serving_layer", "batch_layer")
    texts = [path.read_text() for layer in layers for path in (PROJECT / layer).glob("prometheus_*.py")]
    found = {name for text in texts for name in re.findall(r'(?:Counter|Gauge|Histogram\w*)\(\s*"(\w+)"', text)}
    assert len(found) > 15
    return found | {f"viewledger_batch_{name}" for name in ("version", "archived_events")}


def asked_for(expression: str) -> Iterator[str]:
    """The metrics of an expression: words that are neither labels, nor functions, nor durations."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]|\b\d+\w*", " ", expression)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    for word in re.findall(r"[a-zA-Z_]\w*", re.sub(rf"\b{FUNCTIONS}\b\s*(?=\()", " ", bare)):
        if word not in OPERATORS:
            yield word


def page_of(alert: str) -> Path:
    return PAGES / (re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower() + ".md")


def test_every_alert_says_how_grave_it_is_and_where_its_page_is() -> None:
    assert len(RULES) > 20
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert PROJECT / rule["annotations"]["runbook"] == page_of(rule["alert"])
        assert page_of(rule["alert"]).is_file(), rule["alert"]


def test_every_page_belongs_to_an_alert_and_stands_in_the_index() -> None:
    pages = set(PAGES.glob("*.md")) - {PAGES / "README.md"}
    assert pages == {page_of(rule["alert"]) for rule in RULES}
    index = (PAGES / "README.md").read_text()
    assert not [page.name for page in pages if page.name not in index]


def test_every_metric_that_a_rule_asks_for_is_exported() -> None:
    known = exported() | FROM_ELSEWHERE
    names = {name for rule in RULES for name in asked_for(rule["expr"])}
    assert len(names) > 10
    unknown = {name for name in names if not known & {name, *(name.removesuffix(suffix) for suffix in SUFFIXES)}}
    assert not unknown


def test_every_alert_has_a_case_where_it_fires_and_one_where_it_is_silent() -> None:
    cases = [
        case
        for test in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == silent == {rule["alert"] for rule in RULES}


def test_the_pages_name_only_commands_that_exist() -> None:
    named = {word for page in PAGES.glob("*.md") for word in re.findall(r"\./viewledger (\w+)", page.read_text())}
    assert len(named) > 3
    assert named <= {*COMMANDS, "help"}


@pytest.mark.parametrize(
    "words", ["check rules alerts.yml", "check config prometheus.yml", "test rules alerts_test.yml"]
)
def test_promtool_agrees(words: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian's package prometheus has it")
    done = subprocess.run(
        [promtool, *words.split()], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
