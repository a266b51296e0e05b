"""The dashboards: Grafana can load them, and every query asks for a metric that exists."""

import json
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.settings.state_home import PROJECT
from jobs.setup import programs
from tests.exported_metrics import (
    MADE_BY_PROMETHEUS,
    Exported,
    exported_metrics,
    metric_names,
    selectors,
    unknown_values,
)
from tests.unit.test_alert_rules import RECORDED, SCRAPED

FILES = sorted((PROJECT / "deploy" / "grafana").glob("*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FILES}
PANELS = [(name, panel) for name, board in DASHBOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
QUERIES = [(f"{name}: {panel['title']}", each["expr"]) for name, panel in PANELS for each in panel["targets"]]
ASKED_BY_BUSINESS = {
    "view_events_total": "views and invalid events",
    "viewledger_billing_billable_views": "billable views",
    "viewledger_billing_statements": "held statements",
    "viewledger_billing_earned_micros": "earnings",
    "viewledger_payout_micros": "payouts",
}


def plain(expression: str) -> str:
    """The expression with Grafana's variable replaced, as it replaces it."""
    return expression.replace("$__rate_interval", "1m")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported_metrics(tmp_path_factory.mktemp("metrics"))


def test_there_is_one_for_the_system_and_one_for_the_business() -> None:
    assert list(DASHBOARDS) == ["business", "system"]
    assert [board["uid"] for board in DASHBOARDS.values()] == ["viewledger-business", "viewledger-system"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_numbers_of_their_own_and_cover_each_other_nowhere(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=lambda each: each if isinstance(each, str) else each["title"])
def test_a_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_prometheus(
    name: str, panel: dict[str, Any]
) -> None:
    assert panel["type"] in ("timeseries", "stat")
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
    assert [each["name"] for each in DASHBOARDS[name]["templating"]["list"]] == ["datasource"]
    references = [each["refId"] for each in panel["targets"]]
    assert references == [chr(ord("A") + index) for index in range(len(references))]


@pytest.mark.parametrize(("place", "expression"), QUERIES)
def test_every_metric_of_a_query_is_exported_or_recorded(place: str, expression: str, exported: Exported) -> None:
    names = metric_names(plain(expression))
    assert names, place
    assert names - MADE_BY_PROMETHEUS - RECORDED <= exported.keys()
    for metric, label, wanted in selectors(plain(expression)):
        if metric not in MADE_BY_PROMETHEUS:
            known = set(SCRAPED) if label == "job" else exported[metric][label]
            assert unknown_values(metric, label, wanted, known) == []


def test_the_business_sees_views_money_and_payouts() -> None:
    shown = {name for place, expression in QUERIES if place.startswith("business") for name in metric_names(expression)}
    assert ASKED_BY_BUSINESS.keys() <= shown


def test_every_objective_is_shown() -> None:
    shown = {name for place, expression in QUERIES if place.startswith("system") for name in metric_names(expression)}
    assert {"slo:budget_left:ratio", "slo:failed:ratio_1h", "slo:differences:sum"} <= shown


def test_promtool_parses_every_query(tmp_path: Path) -> None:
    promtool = programs.promtool()
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus)")
    rules = [{"record": f"query:{number}", "expr": plain(query)} for number, (_, query) in enumerate(QUERIES)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    result = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
