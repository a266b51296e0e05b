import ast
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from jobs.child.process import bound_to_parent
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT, everybody_may_enter, state_home
from jobs.setup import bootstrap, programs
from jobs.setup.bootstrap import (
    alone,
    check_disk,
    classes_stamp,
    developing_stamp,
    install_system_packages,
    jars_stamp,
    lock_entry,
    set_up,
    venv_folder,
)
from jobs.setup.steps import run_step

LOCK = (
    "pip==1 \\\n    --hash=sha256:aa\nsetuptools==84.2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\nzope==1 \\\n"
)


def test_the_state_home_is_the_setting_when_there_is_one(tmp_path: Path) -> None:
    assert state_home({"VIEWLEDGER_HOME": str(tmp_path)}) == tmp_path


def test_the_state_home_is_inside_the_project_for_an_ordinary_user(tmp_path: Path) -> None:
    assert state_home({}, project=tmp_path, is_root=False) == tmp_path / ".viewledger"


def test_root_below_a_closed_folder_gets_a_home_of_its_own_that_servers_can_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    project = tmp_path / "clone"
    project.mkdir()
    name = hashlib.sha256(str(project).encode()).hexdigest()[:12]
    assert state_home({}, project=project, is_root=True) == Path("/var/lib/viewledger") / name
    assert not everybody_may_enter(project)


def test_every_system_package_that_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIEWLEDGER_APT", "0")
    monkeypatch.setattr(programs, "java", lambda: None)
    monkeypatch.setattr(programs, "redis_server", lambda: None)
    with pytest.raises(CommandError) as caught:
        install_system_packages(tmp_path, jars_wanted=False)
    assert caught.value.code is ExitCode.SETUP_FAILED
    assert "apt-get install openjdk-17-jre-headless redis-server" in str(caught.value)
    assert "VIEWLEDGER_APT=0" in str(caught.value)


def test_maven_is_wanted_only_while_the_jars_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "maven", lambda: None)
    assert "maven" not in bootstrap.missing_packages(jars_wanted=False)
    assert "maven" in bootstrap.missing_packages(jars_wanted=True)


def test_a_full_disk_is_named_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "FREE_GIB_NEEDED", 10**9)
    with pytest.raises(CommandError, match=r"GiB free .* needs 1000000000 GiB"):
        check_disk(tmp_path)


def test_stamps_change_with_the_content_they_were_made_from(tmp_path: Path) -> None:
    pinned = tmp_path / "pinned"
    pinned.write_text("a")
    before = venv_folder(tmp_path, pinned), jars_stamp(tmp_path, pinned)
    pinned.write_text("b")
    assert venv_folder(tmp_path, pinned) != before[0]
    assert jars_stamp(tmp_path, pinned) != before[1]


def finish(home: Path) -> Path:
    """Make the stamps of a set-up that is done, without what they stand for; return the environment."""
    venv, stamp = venv_folder(home, PROJECT / "requirements.lock"), jars_stamp(home, PROJECT / "pom.xml")
    venv.mkdir()
    (home / "venv").symlink_to(venv.name)
    stamp.parent.mkdir()
    for each in (venv / "complete", stamp, classes_stamp(venv)):
        each.touch()
    return venv


def test_a_finished_set_up_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv = finish(tmp_path)
    developing_stamp(venv, PROJECT / "requirements-dev.lock").touch()
    monkeypatch.setattr(subprocess, "Popen", lambda *_: pytest.fail("a program was started"))
    assert set_up(tmp_path) == tmp_path / "venv" / "bin" / "python"
    assert set_up(tmp_path, developing=True) == tmp_path / "venv" / "bin" / "python"


def test_an_environment_without_its_last_stamp_does_not_count_as_made(tmp_path: Path) -> None:
    venv = finish(tmp_path)
    stamps = [venv / "complete", jars_stamp(tmp_path, PROJECT / "pom.xml")]
    assert bootstrap.is_ready(tmp_path, venv, stamps)
    stamps[0].unlink()
    assert not bootstrap.is_ready(tmp_path, venv, stamps)


def test_another_java_gets_an_archive_of_its_own_and_starts_without_one_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(what: str, _command: list[str], **_: object) -> None:
        raise CommandError(f"{what} failed: no such flag", ExitCode.SETUP_FAILED)

    venv = finish(tmp_path)
    before = classes_stamp(venv)
    monkeypatch.setattr(programs, "java_release", lambda _program: 'JAVA_VERSION="21.0.1"')
    monkeypatch.setattr(bootstrap, "run_step", fails)
    set_up(tmp_path)
    assert "recording the classes of Spark" in capsys.readouterr().err
    assert (before.exists(), classes_stamp(venv).exists()) == (False, True)
    set_up(tmp_path)
    assert capsys.readouterr().err == ""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files of pins that set-up has pip install, in order; pip itself does not run."""
    names: list[str] = []
    monkeypatch.setattr(bootstrap, "run_step", lambda _what, command, **_: names.append(Path(command[-1]).name))
    monkeypatch.setattr(bootstrap, "install_system_packages", lambda *_, **__: None)
    return names


def test_what_only_developing_needs_is_added_once_and_when_a_command_asks_for_it(
    tmp_path: Path, installed: list[str]
) -> None:
    finish(tmp_path)
    set_up(tmp_path)
    assert installed == []
    set_up(tmp_path, developing=True)
    set_up(tmp_path, developing=True)
    assert installed == ["requirements-dev.lock"]


def test_an_interrupted_installation_for_developing_starts_again_and_stops_no_other_command(
    tmp_path: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_what: str, _command: list[str], **_: object) -> None:
        raise KeyboardInterrupt

    finish(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "run_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            set_up(tmp_path, developing=True)
    set_up(tmp_path)
    assert installed == []
    set_up(tmp_path, developing=True)
    assert installed == ["requirements-dev.lock"]


def test_another_lock_for_developing_is_installed_into_the_same_environment(
    tmp_path: Path, installed: list[str]
) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    for name in ("requirements.lock", "requirements-dev.lock", "pom.xml"):
        (project / name).write_bytes((PROJECT / name).read_bytes())
    venv = finish(home)
    set_up(home, project, developing=True)
    (project / "requirements-dev.lock").write_text("pytest==1")
    set_up(home, project, developing=True)
    assert installed == ["requirements-dev.lock", "requirements-dev.lock"]
    assert [each.name for each in venv.glob("developing-*")] == [
        developing_stamp(venv, project / "requirements-dev.lock").name
    ]


def test_a_step_that_fails_says_its_reason_the_remedy_and_where_the_rest_is(tmp_path: Path) -> None:
    log = tmp_path / "setup.log"
    script = "print('ERROR: no network'); print('trailing words'); raise SystemExit(3)"
    with pytest.raises(CommandError, match=r"^fetching failed: ERROR: no network; plug it in \(whole output: .*log\)$"):
        run_step("fetching", [sys.executable, "-c", script], log=log, remedy="plug it in")


def test_two_set_ups_at_once_wait_for_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    received = threading.Event()

    def second() -> None:
        with alone(tmp_path):
            order.append("second")

    def say(text: str) -> None:
        order.append(text)
        received.set()

    with pytest.MonkeyPatch.context() as patch, alone(tmp_path):
        patch.setattr(bootstrap, "say", say)
        thread = threading.Thread(target=second)
        thread.start()
        assert received.wait(60)
        order.append("first leaves")
    thread.join(60)
    assert order == ["another set-up is at work; waiting for it", "first leaves", "second"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CommandError, match="set VIEWLEDGER_HOME"), alone(tmp_path / "home"):
        pass


def test_the_build_tool_is_taken_from_the_lock_with_every_hash() -> None:
    assert lock_entry(LOCK, "setuptools") == ("setuptools==84.2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n")
    with pytest.raises(CommandError, match="pins no wheel"):
        lock_entry(LOCK, "wheel")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_names_no_index_and_no_path_of_a_machine(name: str) -> None:
    text = (PROJECT / name).read_text()
    assert "://" not in text
    assert "/home/" not in text
    assert "/root/" not in text
    assert "/tmp/" not in text  # noqa: S108  (a text, no folder)
    assert text.count("==") > 50
    assert text.count("--hash=sha256:") > text.count("==")


def pins(name: str) -> set[str]:
    """Every `package==version` of a lock file."""
    return set(re.findall(r"^\S+==\S+", (PROJECT / name).read_text(), re.MULTILINE))


def test_what_develops_runs_on_the_very_packages_that_run() -> None:
    assert pins("requirements.lock") < pins("requirements-dev.lock")


def test_the_lock_of_what_runs_pins_every_package_that_the_product_imports_and_none_for_tests() -> None:
    names = {each.partition("==")[0] for each in pins("requirements.lock")}
    ours = {path.name for path in PROJECT.iterdir()} | {"viewledger"}
    distributions = packages_distributions()
    imported = {
        module.split(".")[0]
        for folder in (
            "ingestion",
            "batch_layer",
            "speed_layer",
            "serving_layer",
            "billing",
            "jobs",
            "attacks",
            "faults",
        )
        for path in (PROJECT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    } - {*sys.stdlib_module_names, *ours}
    assert len(imported) > 20
    provided = {module: {canonical(each) for each in distributions.get(module, ())} for module in imported}
    assert {module for module, packages in provided.items() if not packages & names} == set()
    assert names.isdisjoint({"pytest", "hypothesis", "playwright", "ruff", "mypy", "locust", "mkdocs-material"})


def canonical(package: str) -> str:
    """A package's name as lock files spell it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def test_an_interrupted_step_takes_its_program_with_it(tmp_path: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path; from jobs.setup import bootstrap\n"
        "from jobs.setup.steps import run_step\n"
        "signal.signal(signal.SIGTERM, bootstrap.interrupted)\n"
        "program = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'\n"
        "run_step('waiting', [sys.executable, '-c', program], log=Path(sys.argv[1]), remedy='none')"
    )
    log = tmp_path / "setup.log"
    log.touch()
    step = subprocess.Popen(
        [sys.executable, "-c", script, str(log)],
        cwd=PROJECT,
        stderr=subprocess.DEVNULL,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )
    try:
        deadline = time.monotonic() + 60
        while not log.read_text().endswith("\n"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        step.terminate()
    assert step.wait(60) != 0
    assert not Path(f"/proc/{log.read_text().strip()}").exists()
