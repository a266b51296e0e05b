"""The units of systemd: least rights, commands that exist, and what systemd itself says of them."""

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from jobs.settings.declared import SETTINGS
from jobs.settings.state_home import PROJECT
from tests.command_lines import parsed
from tests.unit.test_compose_file import KEY_SETTINGS, OWN_SECRETS, SMTP_URL, WEBHOOK_SECRET

FOLDER = PROJECT / "deploy" / "systemd"
PROGRAM = "/opt/viewledger/.viewledger/venv/bin/python -P -m jobs.cli "
SERVICES = {path.stem.removeprefix("viewledger-").rstrip("@"): path for path in sorted(FOLDER.glob("*.service"))}
OF_COMPOSE = {name: name for name in ("collector", "speed", "api", "sql", "batch", "billing", "notices", "backup")}
OF_COMPOSE |= dict.fromkeys(("maintain", "reconcile", "audit"), "nightly") | {"webhook": "notices"}
CHANNELS = {"notices": SMTP_URL.removesuffix("_FILE"), "webhook": WEBHOOK_SECRET.removesuffix("_FILE")}
"""Unit → the secret of its channel; of the two one is turned on."""


def values(path: Path, key: str) -> list[str]:
    """Every value of a key that may come several times."""
    return re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)


def test_everything_that_compose_runs_has_a_unit() -> None:
    assert SERVICES.keys() == OF_COMPOSE.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_runs_a_command_that_exists(name: str) -> None:
    (line,) = values(SERVICES[name], "ExecStart")
    assert line.startswith(PROGRAM)
    command, _ = parsed(line.removeprefix(PROGRAM).split())
    assert command.work()


@pytest.mark.parametrize("name", SERVICES)
def test_a_process_gets_the_secrets_that_it_gets_under_compose_as_credentials(name: str) -> None:
    given = [each.partition(":") for each in values(SERVICES[name], "LoadCredential")]
    assert all(place == f"/etc/viewledger/secrets/{setting}" for setting, _, place in given)
    named = {setting for setting, _, _ in given}
    redis = set() if name in ("collector", "sql", *CHANNELS) else {"VIEWLEDGER_REDIS_URL"}
    channel = {CHANNELS[name]} if name in CHANNELS else set()
    assert named == (OWN_SECRETS[OF_COMPOSE[name]] - set(KEY_SETTINGS)) | redis | channel
    assert all(SETTINGS[setting].is_secret for setting in named)
    files = [each for each in values(SERVICES[name], "Environment") if "_FILE=" in each]
    assert files == [f"{setting}_FILE=%d/{setting}" for setting, _, _ in given]


def test_what_holds_for_all_takes_every_right_away() -> None:
    common = (FOLDER / "viewledger-.service.d" / "common.conf").read_text().splitlines()
    assert {"NoNewPrivileges=true", "CapabilityBoundingSet=", "ProtectSystem=strict", "User=viewledger"} <= set(common)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.timer")), ids=lambda path: path.stem)
def test_a_night_has_its_service_and_a_time_in_utc(path: Path) -> None:
    service = path.with_suffix(".service")
    assert "RuntimeMaxSec=6h" in service.read_text()
    # a server was away, or another command was at work; what billing refuses is work for a person
    again = "4" if service.stem in ("viewledger-billing", "viewledger-notices", "viewledger-webhook") else "4 5"
    assert values(service, "RestartForceExitStatus") == [again]
    (when,) = values(path, "OnCalendar")
    assert re.fullmatch(r"\*-\*-\* 0[1-6]:10:00 UTC", when)


@pytest.mark.parametrize("name", ["collector", "api"])
def test_a_socket_outlives_the_processes_that_share_it(name: str) -> None:
    unit = RawConfigParser()
    unit.read(FOLDER / f"viewledger-{name}.socket")
    port = SETTINGS[f"VIEWLEDGER_{name.upper()}_PORT"].default
    assert unit["Socket"]["ListenStream"] == f"127.0.0.1:{port}"
    assert values(SERVICES[name], "Sockets") == [f"viewledger-{name}.socket"]
    assert any("VIEWLEDGER_LISTEN_FD=3" in each for each in values(SERVICES[name], "Environment"))


def test_systemd_is_content(tmp_path: Path) -> None:
    if (program := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed (Debian: the package systemd)")
    for path in FOLDER.rglob("*.*"):
        if path.is_file():
            target = tmp_path / path.relative_to(FOLDER)
            target.parent.mkdir(exist_ok=True)
            # the program must be there for systemd to be content
            target.write_text(path.read_text().replace(PROGRAM.partition(" ")[0], sys.executable))
    units = [str(path) for path in tmp_path.iterdir() if path.is_file()]
    for template in [each for each in units if "@." in each]:
        units[units.index(template)] = template.replace("@.", "@1.")
    words = [program, "verify", "--man=no", *units]
    environ = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"}
    result = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    ours = [line for line in result.stderr.splitlines() if "viewledger" in line]
    assert ours == []
    assert result.returncode == 0, result.stderr
