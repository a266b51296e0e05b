"""A stack with Prometheus, Alertmanager and exporters: each sees what it is there for, and all end with the stack."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
import yaml

from jobs.commands import up
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.http_probe import http_get
from jobs.local_stack.observers import MONITOR, RULES
from jobs.local_stack.profile import Profile
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.setup import debian_packages, programs_to_observe

SEEN_SECONDS_MAX = 60.0
"""Prometheus looks every 15 s."""

pytestmark = pytest.mark.skipif(
    bool(programs_to_observe.missing()), reason="the programs to observe a stack are missing"
)


@pytest.fixture(scope="module")
def observed() -> Iterator[LocalStack]:
    with (
        temporary_folder() as folder,
        LocalStack.start(folder / "stack", servers=("redis", "postgres"), is_observed=True) as running,
    ):
        yield running


def answer(stack: LocalStack, path: str) -> Any:
    body = http_get(f"http://127.0.0.1:{stack.ports.prometheus}/api/v1/{path}")
    assert body is not None
    return json.loads(body)["data"]


def eventually(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    ends = time.monotonic() + SEEN_SECONDS_MAX
    while not holds():
        assert time.monotonic() < ends, what()
        time.sleep(0.2)


def test_every_running_part_is_seen_and_no_other_is_looked_for(observed: LocalStack) -> None:
    def health() -> dict[str, str]:
        return {each["labels"]["job"]: each["health"] for each in answer(observed, "targets")["activeTargets"]}

    eventually(lambda: set(health().values()) == {"up"}, health)
    assert health().keys() == {"batch", "redis", "postgres"}
    for figure in ("redis_up", "pg_up"):
        (found,) = answer(observed, f"query?query={quote(figure)}")["result"]
        assert found["value"][1] == "1", figure


def test_figures_that_a_command_left_are_seen(observed: LocalStack) -> None:
    left = observed.folder / "metrics" / "left.prom"
    left.write_text("left_by_a_command 7\n")

    def value() -> list[Any]:
        return [each["value"][1] for each in answer(observed, "query?query=left_by_a_command")["result"]]

    eventually(lambda: value() == ["7"], value)


def test_all_rules_are_loaded_and_alerts_go_to_the_alertmanager(observed: LocalStack) -> None:
    written = [
        rule.get("alert") or rule.get("record")
        for name in ("alerts.yml", "slos.yml")
        for group in yaml.safe_load((RULES / name).read_text())["groups"]
        for rule in group["rules"]
    ]
    loaded = [rule["name"] for group in answer(observed, "rules")["groups"] for rule in group["rules"]]
    assert sorted(loaded) == sorted(written)

    def managers() -> list[str]:
        return [each["url"] for each in answer(observed, "alertmanagers")["activeAlertmanagers"]]

    port = observed.ports.alertmanager
    eventually(lambda: managers() == [f"http://127.0.0.1:{port}/api/v2/alerts"], managers)


def test_the_login_that_watches_postgresql_reads_no_table(observed: LocalStack) -> None:
    password = Profile(observed.folder, observed.ports).secret("monitor_password")
    url = f"postgresql://{MONITOR}:{password}@127.0.0.1:{observed.ports.postgres}/viewledger"
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) > 0 FROM pg_stat_activity")
        assert cursor.fetchone() == (True,)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("SELECT * FROM billing.statements")


def test_observing_without_the_programs_names_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIEWLEDGER_HOME", str(tmp_path))
    monkeypatch.setattr(programs_to_observe, "missing", lambda: ["prometheus", "prometheus-node-exporter"])
    monkeypatch.setattr(debian_packages, "why_not_installable", lambda: "not root, or no apt-get here")
    with pytest.raises(CommandError, match=r"^prometheus, prometheus-node-exporter are not installed, and ") as refused:
        up.run(servers_only=False, processes="", beside="observe")
    assert refused.value.code == ExitCode.SETUP_FAILED
    assert str(refused.value).endswith("apt-get install prometheus prometheus-node-exporter")
