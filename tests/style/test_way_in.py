"""What a stranger meets first: the licence, the hooks, and the commands that other machines call."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.contract.decoding import NEWEST, decode_view_event
from ingestion.contract.event import ViewEvent
from ingestion.contract.traffic import invalid_reason
from jobs.settings.state_home import PROJECT

WORKFLOW = PROJECT / ".github" / "workflows" / "ci.yml"
NIGHTLY = PROJECT / ".github" / "workflows" / "nightly.yml"
PIPELINE = PROJECT / ".gitlab-ci.yml"
FIRST_DAY = PROJECT / "docs" / "start" / "first-day.md"
PAGES = (PROJECT / "README.md", PROJECT / "CONTRIBUTING.md")


def commands_of_the_workflow() -> Iterator[str]:
    """Every command line of the GitHub workflow, with the values of its matrix put in."""
    for job in yaml.safe_load(WORKFLOW.read_text())["jobs"].values():
        for values in job["strategy"]["matrix"]["include"]:
            for step in job["steps"]:
                if "run" in step:
                    yield re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda found: str(values[found[1]]), step["run"])  # noqa: B023


def commands_of_the_pipeline() -> Iterator[str]:
    """Every command line of the GitLab pipeline."""
    for name, job in yaml.safe_load(PIPELINE.read_text()).items():
        if name != "default":
            yield from job["script"]


CALLED = sorted({*commands_of_the_workflow(), *commands_of_the_pipeline(), ".ci/run"})


def test_both_pipelines_call_the_same_commands() -> None:
    assert sorted(commands_of_the_workflow()) == sorted(commands_of_the_pipeline())
    assert {"./viewledger check", "./viewledger test"} <= set(CALLED)


@pytest.mark.parametrize("line", CALLED)
def test_a_command_that_a_pipeline_calls_exists_and_is_in_the_pages_that_a_person_reads(line: str) -> None:
    program, *words = line.split()
    assert os.access(PROJECT / program, os.X_OK)
    assert any(line in page.read_text() for page in PAGES)
    if words:
        help_of = [sys.executable, "-P", "-m", "jobs.cli", *words, "--help"]
        answer = subprocess.run(help_of, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
        assert answer.returncode == 0, answer.stderr


def test_every_night_the_commits_of_a_day_are_compared_by_a_command_of_the_project() -> None:
    (job,) = yaml.safe_load(NIGHTLY.read_text())["jobs"].values()
    *_, line = [step["run"] for step in job["steps"] if "run" in step]
    assert line.startswith(".viewledger/venv/bin/python -m bench.compare ")
    assert (PROJECT / "bench" / "compare.py").is_file()


def test_caches_are_named_by_what_set_up_installs_from() -> None:
    locks = ("requirements.lock", "requirements-dev.lock", "pom.xml")
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["viewledger"]["steps"]
    (key,) = [step["with"]["key"] for step in steps if "cache" in step.get("uses", "")]
    assert all(f"'{name}'" in key and (PROJECT / name).is_file() for name in locks)
    cache: dict[str, Any] = yaml.safe_load(PIPELINE.read_text())["default"]["cache"]
    assert cache["key"]["files"] == ["requirements-dev.lock", "pom.xml"]


def test_every_action_of_others_is_pinned_by_its_commit() -> None:
    used = re.findall(r"uses: (\S+)", WORKFLOW.read_text() + NIGHTLY.read_text())
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each) for each in used)


def test_the_hooks_are_valid_and_fetch_nothing() -> None:
    path = PROJECT / ".pre-commit-config.yaml"
    checked = [sys.executable, "-m", "pre_commit", "validate-config", str(path)]
    assert subprocess.run(checked, capture_output=True, timeout=60, check=False).returncode == 0
    repositories = yaml.safe_load(path.read_text())["repos"]
    assert {each["repo"] for each in repositories} == {"local"}
    assert [hook["entry"] for each in repositories for hook in each["hooks"]] == ["./viewledger check"]


def test_the_view_that_the_first_day_sends_is_one_that_counts() -> None:
    """Curl in its own name would be a script, whose views count nothing."""
    (command,) = re.findall(r"^curl [^\n]*/v1/events.*?}'$", FIRST_DAY.read_text(), re.DOTALL | re.MULTILINE)
    words = shlex.split(command.replace("'$(date -u +%FT%TZ)'", "2026-11-29T12:00:00Z").replace("\\\n", " "))
    fields = json.loads(words[words.index("-d") + 1])
    event = decode_view_event(json.dumps(fields | {"user_agent": words[words.index("-A") + 1]}).encode())
    assert isinstance(event, ViewEvent)
    assert invalid_reason(event, NEWEST) is None


def test_the_licence_is_the_one_that_the_project_names() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    text = Path(PROJECT, *project["license-files"]).read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
