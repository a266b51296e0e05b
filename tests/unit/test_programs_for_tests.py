import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.settings.state_home import PROJECT
from jobs.setup import programs, programs_for_tests

APT_GET = """#!/bin/sh
case "$1" in
  update) exit 0 ;;
  install) printf '#!/bin/sh\\n' > "{folder}/chromium"; chmod 755 "{folder}/chromium" ;;
  download) cp "{folder}/$3_1_all.deb" . ;;
esac
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder programs are found in: what set-up needs and observers are there, no program of `NEEDED_BY`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "mktemp", "rm", "cp", "chmod", "tar", "dpkg-deb"):
        if (found := shutil.which(program)) is not None:
            (folder / program).symlink_to(found)
    for name in programs.OBSERVERS:
        put_program(folder, name)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("VIEWLEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VIEWLEDGER_APT", raising=False)
    return folder


def put_program(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    (folder / name).chmod(0o755)


def put_apt_get(folder: Path, text: str) -> None:
    (folder / "apt-get").write_text(text)
    (folder / "apt-get").chmod(0o755)


def test_where_nothing_may_be_installed_the_tests_that_are_skipped_and_the_remedy_are_named(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs_for_tests.provide(tmp_path / "home", ())
    received = capsys.readouterr().err
    assert "tests that need chromium, prometheus, pgbouncer will be skipped" in received
    assert "run as root: apt-get update && apt-get install chromium prometheus pgbouncer" in received


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="makes a Debian package")
def test_root_gets_the_browser_and_two_programs_alone_without_the_servers_they_come_with(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, folder, files in (
        ("prometheus", "bin", ("promtool", "prometheus")),
        ("pgbouncer", "sbin", ("pgbouncer", "another")),
    ):
        tree = tmp_path / name
        for each in files:
            file = tree / "usr" / folder / each
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("#!/bin/sh\n")
            file.chmod(0o755)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: test\n"
        )
        package = path / f"{name}_1_all.deb"
        subprocess.run(["dpkg-deb", "--build", "-Znone", str(tree), str(package)], check=True, capture_output=True)
    put_apt_get(path, APT_GET.format(folder=path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs_for_tests.provide(tmp_path / "home", ())
    assert programs_for_tests.missing(()) == []
    assert programs.promtool() == str(tmp_path / "home" / "tools" / "usr" / "bin" / "promtool")
    assert programs.pgbouncer() == str(tmp_path / "home" / "tools" / "usr" / "sbin" / "pgbouncer")
    got = sorted(each.name for each in (tmp_path / "home" / "tools").rglob("*") if each.is_file())
    assert got == ["pgbouncer", "promtool"]
    assert "skipped" not in capsys.readouterr().err


def test_a_failing_apt_ends_no_test_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_apt_get(path, "#!/bin/sh\necho 'E: no network'\nexit 100\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs_for_tests.provide(tmp_path / "home", ())
    received = capsys.readouterr().err
    assert "reading the package lists failed: E: no network" in received
    assert "tests that need chromium, prometheus, pgbouncer will be skipped" in received


def test_nothing_is_done_when_everything_is_there(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("chromium", "promtool", "pgbouncer"):
        put_program(path, name)
    programs_for_tests.provide(tmp_path / "home", ())
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["tests/unit/test_nearest.py"],
        ["tests/contract", "-x"],
        ["-k", "nearest"],
        ["tests/unit/test_nearest.py::test_browser"],
    ],
)
def test_other_tests_get_no_browser_and_no_promtool(
    words: list[str], path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs_for_tests.provide(tmp_path / "home", words)
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "packages"),
    [
        ([], ["chromium", "prometheus", "pgbouncer"]),
        (["tests"], ["chromium", "prometheus", "pgbouncer"]),
        (["tests/integration"], ["pgbouncer"]),
        (["./tests/e2e/"], ["chromium"]),
        (["-x", "tests/unit/test_alert_rules.py::test_promtool_is_content"], ["prometheus"]),
        (["-k", "browser"], ["chromium"]),
    ],
)
def test_tests_that_are_asked_for_by_path_or_name_get_what_they_need(
    words: list[str], packages: list[str], path: Path
) -> None:
    assert programs_for_tests.missing(words) == packages


def test_a_test_of_an_observed_stack_needs_every_program_that_observes(path: Path) -> None:
    for name in programs.OBSERVERS[1:]:
        (path / name).unlink()
    put_program(path, "prometheus-redis-exporter")
    needed = ["prometheus-alertmanager", "prometheus-node-exporter", "prometheus-postgres-exporter"]
    assert programs_for_tests.missing([programs_for_tests.OBSERVED]) == needed


def test_the_files_that_need_a_program_are_there() -> None:
    files = [path for paths in programs_for_tests.NEEDED_BY.values() for path in paths]
    assert all((PROJECT / path).is_file() for path in [*files, programs_for_tests.OBSERVED])
