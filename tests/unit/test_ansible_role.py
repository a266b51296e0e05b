"""The role for plain machines: it installs units that exist, and its example covers the pipeline."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from jobs.settings.declared import SETTINGS
from jobs.settings.state_home import PROJECT
from tests.unit.test_systemd_units import FOLDER as UNITS
from tests.unit.test_systemd_units import SERVICES, values

FOLDER = PROJECT / "deploy" / "ansible"
ROLE = FOLDER / "roles" / "viewledger"
TASKS: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
OPTIONS: dict[str, Any] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"][
    "options"
]
EXAMPLE: dict[str, Any] = yaml.safe_load((FOLDER / "inventory.yml").read_text())["viewledger"]


def test_the_example_runs_every_part_of_the_pipeline_on_three_machines_by_units_that_exist() -> None:
    machines = [host["viewledger_units"] for host in EXAMPLE["hosts"].values()]
    assert len(machines) == 3
    files = {re.sub(r"@\w+\.", "@.", unit) for units in machines for unit in units}
    assert all((UNITS / name).is_file() for name in files)
    started = {name.removeprefix("viewledger-").rpartition(".")[0].rstrip("@") for name in files}
    assert started == set(SERVICES) - {"webhook"}, "notices go by one channel, and the example's is e-mail"


def test_what_is_required_is_given_by_the_example_and_settings_exist() -> None:
    required = {name for name, option in OPTIONS.items() if option.get("required")}
    assert required == {"viewledger_repository", "viewledger_version", "viewledger_units"}
    assert required - {"viewledger_units"} <= set(EXAMPLE["vars"])
    assert set(EXAMPLE["vars"]["viewledger_settings"]) <= SETTINGS.keys()


def test_secrets_are_readable_by_root_alone_and_no_log_shows_them() -> None:
    (task,) = (each for each in TASKS if "/etc/viewledger/secrets/" in str(each))
    assert task["no_log"] is True
    assert task["ansible.builtin.copy"]["mode"] == "0400"
    places = {place for path in SERVICES.values() for place in values(path, "LoadCredential")}
    assert all(":/etc/viewledger/secrets/" in place for place in places)


def test_packages_are_installed_like_in_the_image() -> None:
    image = (PROJECT / "deploy" / "Dockerfile").read_text()
    (script,) = (each["ansible.builtin.shell"] for each in TASKS if "ansible.builtin.shell" in each)
    assert script.count("--require-hashes --only-binary=:all:") == 1
    for part in ("dependency-plugin:3.8.1:copy-dependencies", "--no-binary=pyspark --no-build-isolation"):
        assert part in image
        assert part in script


def test_ansible_lint_is_content() -> None:
    if (program := shutil.which("ansible-lint")) is None:
        pytest.skip("ansible-lint is not installed")
    words = [program, "--offline", "--nocolor", "--profile", "production", "."]
    result = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
