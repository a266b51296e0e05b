"""The stack for Docker Swarm that is made from docker-compose.yml."""

import os
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.settings.state_home import PROJECT
from tests.unit.test_compose_file import COMPOSE, KEY_SETTINGS, ONE_TIME, SERVICES

SWARM: dict[str, Any] = runpy.run_path(str(PROJECT / "deploy" / "compose" / "swarm.py"))
STACK: dict[str, Any] = SWARM["stack_of"](COMPOSE, {})


def test_it_has_every_service_but_those_that_a_person_starts() -> None:
    assert set(STACK["services"]) == set(SERVICES) - SWARM["BY_HAND"]
    assert SWARM["ONCE"] == ONE_TIME - SWARM["BY_HAND"]


@pytest.mark.parametrize("name", STACK["services"])
def test_a_service_keeps_its_limits_and_starts_again_until_others_are_there(name: str) -> None:
    service, original = STACK["services"][name], SERVICES[name]
    assert not set(service) & set(SWARM["UNKNOWN"])
    assert service["deploy"]["resources"] == original["deploy"]["resources"]
    assert service["deploy"]["restart_policy"]["condition"] == ("on-failure" if name in ONE_TIME else "any")
    assert service["deploy"]["placement"] == {"constraints": ["node.labels.viewledger == true"]}
    assert service.get("read_only") == original.get("read_only")
    assert ("/tmp" in service.get("volumes", [])) == bool(original.get("tmpfs"))  # noqa: S108 - a path in a container


def test_keys_are_given_only_where_their_variable_is_set() -> None:
    assert STACK["secrets"] == {}
    assert STACK["services"]["api"]["secrets"] == []
    assert STACK["services"]["billing-nightly"]["command"] == ["billing nightly", ""]
    assert STACK["services"]["notices"]["command"] == ["", ""]
    assert STACK["services"]["schema"]["environment"]["VIEWLEDGER_NOTICES_POSTGRES_URL"] == ""
    given = SWARM["stack_of"](COMPOSE, {name: f"/keys/{name}" for name in KEY_SETTINGS})
    assert set(given["secrets"]) == set(COMPOSE["secrets"])
    assert given["secrets"]["play-keys"] == {"file": "/keys/VIEWLEDGER_PLAY_KEYS_FILE"}
    for name, service in given["services"].items():
        assert service["secrets"] == SERVICES[name].get("secrets", [])
    assert given["services"]["api"]["environment"]["VIEWLEDGER_PLAY_KEYS_FILE"] == "/run/secrets/play-keys"
    assert given["services"]["billing-nightly"]["command"][1] == "billing proof checkpoint --to /checkpoints"
    assert given["services"]["notices"]["command"] == ["billing notices send"] * 2
    with_login = SWARM["stack_of"](COMPOSE, {"VIEWLEDGER_NOTICES_PASSWORD": "x"})["services"]["schema"]["environment"]
    login = "postgresql://notices_process:${VIEWLEDGER_NOTICES_PASSWORD}@postgres:5432/viewledger"
    assert with_login["VIEWLEDGER_NOTICES_POSTGRES_URL"] == login


def test_secrets_are_still_asked_for_and_no_other_variable_is_left_in_a_form_that_swarm_does_not_know() -> None:
    text = yaml.safe_dump(STACK)
    assert "${VIEWLEDGER_API_PASSWORD:?" in text
    assert ":+" not in text


def test_the_docker_client_reads_the_stack_where_it_is_installed(tmp_path: Path) -> None:
    if (docker := shutil.which("docker")) is None:
        pytest.skip("docker is not installed")
    known = subprocess.run([docker, "stack", "config", "--help"], capture_output=True, text=True, timeout=60)
    if "--compose-file" not in known.stdout:
        pytest.skip("this docker has no `stack config` (24 and newer have it)")
    path = tmp_path / "stack.yml"
    path.write_text(yaml.safe_dump(STACK))
    secrets = {f"VIEWLEDGER_{name}_PASSWORD": "x" for name in (
        "POSTGRES_SUPERUSER", "POSTGRES", "SPEED", "API", "SQL", "PIPELINE", "BILLING", "MONITOR"
    )}  # fmt: skip
    secrets |= {f"VIEWLEDGER_{name}_KEY": "x" for name in ("PSEUDONYM", "TRAITS", "API_CURSOR")}
    words = [docker, "stack", "config", "--compose-file", str(path)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | secrets
    result = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
