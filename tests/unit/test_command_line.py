"""The words of the command line: what is declared fits the work, is explained, is light, and is completed."""

import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from batch_layer.lake.tables import OPEN_TABLES
from billing.books import states
from jobs import cli
from jobs.command_line import access, pipeline, values
from jobs.command_line.billing import proof, statements
from jobs.command_line.frame import Command
from jobs.command_line.old_spellings import OLD_SPELLINGS
from jobs.command_line.options import actor
from jobs.command_line.root import ROOT
from jobs.commands.sql.output import FORMATS
from jobs.exit_codes import ExitCode
from jobs.settings.declared.machine import PORT_BASE
from jobs.settings.state_home import PROJECT
from jobs.wiring.checkpoint_places import ALLOWED
from serving_layer.access.access import GRANTS, Scope
from serving_layer.access.api_keys import LIVE_MAX
from serving_layer.access.claims import SUBJECT_LENGTH_MAX
from serving_layer.access.jwt_local_issuer import LIFETIME_MAX
from serving_layer.money.proofs import AFTER_MAX, is_statement_id
from tests.command_lines import every_command, parsed

EVERYTHING = {" ".join(words): command for words, command in every_command()}
COMMANDS = {words: command for words, command in EVERYTHING.items() if isinstance(command, Command)}

HEAVY = {
    "pyspark", "great_expectations", "kafka", "psycopg2", "redis", "alembic", "fastapi", "starlette", "uvicorn",
    "cryptography", "jwt", "schwifty", "pyarrow", "pandas", "numpy", "msgspec", "pycountry", "httpx", "yaml",
}  # fmt: skip
"""What a declaration may not wait for."""
MODULES_MAX = 330
START_MODULES_MAX = 700


def test_nothing_else_declares_commands() -> None:
    assert all(isinstance(command, Command | click.Group) for command in EVERYTHING.values())
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("words", COMMANDS)
def test_the_work_of_a_command_takes_exactly_what_is_declared(words: str) -> None:
    command = COMMANDS[words]
    declared = {param.name for param in command.params if param.expose_value}
    taken = inspect.signature(command.work()).parameters.values()
    assert {each.name for each in taken if each.kind is inspect.Parameter.KEYWORD_ONLY} == declared
    assert [each.name for each in taken if each.kind is not inspect.Parameter.KEYWORD_ONLY] in (
        [],
        ["environ"],
        ["_environ"],
    )


@pytest.mark.parametrize("words", EVERYTHING)
def test_every_command_and_flag_is_explained_in_its_help(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = EVERYTHING[words]
    assert cli.main([*words.split(), "--help"]) == ExitCode.OK
    shown = " ".join(capsys.readouterr().out.split())
    assert command.help
    assert command.help[0].isupper()
    assert command.help.endswith(".")
    assert " ".join(command.help.split()) in shown
    if isinstance(command, click.Group):
        assert all(f"{name} " in shown for name in command.commands)
    for param in command.params:
        if not getattr(param, "hidden", False):
            assert param.help
            assert " ".join(param.help.split()) in shown


@pytest.mark.parametrize("group", [words for words in EVERYTHING if words not in COMMANDS])
def test_a_noun_alone_shows_its_verbs_and_does_nothing(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    if any(spelling.old == group for spelling in OLD_SPELLINGS):
        return  # it still is the command that it was
    assert cli.main(group.split()) == ExitCode.BAD_INPUT
    assert "Commands:" in capsys.readouterr().err


def test_words_that_are_declared_are_those_that_the_work_knows() -> None:
    assert tuple(sorted(GRANTS)) == access.ROLES
    assert tuple(sorted(Scope)) == access.SCOPES
    assert access.KEYS_OF_AN_OWNER == LIVE_MAX
    assert SUBJECT_LENGTH_MAX == access.SUBJECT_CHARACTERS_MAX
    assert LIFETIME_MAX.total_seconds() / 60 == access.TOKEN_MINUTES_MAX
    assert tuple(sorted(FORMATS)) == pipeline.SQL_FORMATS
    assert tuple(sorted(states.ALLOWED["statement"].keys() - {states.OPEN} | {"superseded"})) == statements.STATES
    assert proof.PLACES == ALLOWED
    assert proof.AFTER_MAX == AFTER_MAX
    assert values.RUN == states.RUN
    assert f"{PORT_BASE.name} ({PORT_BASE.default})" in str(COMMANDS["up"].help)
    assert is_statement_id("0f" * 16)


OLD_LINES = {
    "billing import": ["--rates", "rates.yml"],
    "billing proposals": [],
    "billing proposal": ["--proposal", "catalogue:3"],
    "billing proposal-approve": ["--proposal", "catalogue:3"],
    "billing proposal-refuse": ["--proposal", "catalogue:3", "--reason", "wrong"],
    "billing limits set": ["--set", "EUR=5000,*=1000", "--reason", "new"],
    "billing limits show": [],
    "billing statements": ["--state", "held"],
    "billing statement": ["--payee", "ann", "--period", "2026-10"],
    "billing approve": ["--period", "2026-10", "--payee", "ann", "--payee", "bob"],
    "billing void": ["--period", "2026-10"],
    "billing review": ["--period", "2026-10"],
    "billing notices": ["--payee", "ann"],
    "billing show": ["--json"],
    "billing books": ["--as-of", "2026-11-01"],
    "billing late": ["--period", "2026-10"],
    "billing late-decide": ["--period", "2026-10", "--as", "accepted", "--reason", "real", "--event", "1:2"],
    "billing conflicts": ["--period", "2026-10"],
    "billing conflict-decide": ["--period", "2026-10", "--reason", "the first is right"],
    "billing holds": [],
    "billing hold": ["--payee", "ann", "--currency", "EUR", "--amount", "1", "--reason", "fraud?"],
    "billing hold-decide": ["--hold", "7", "--as", "voided", "--reason", "it was"],
    "billing appeals": [],
    "billing appeal": ["--statement", "ab", "--objection", "too few"],
    "billing appeal-decide": ["--appeal", "7", "--as", "rejected", "--reason", "right as it is"],
    "billing bank-accounts": ["--file", "accounts.csv"],
    "billing payouts show": ["--batch", "7"],
    "billing payouts list": ["--json"],
    "billing payout-create": ["--currency", "EUR", "--execution-on", "2026-12-01"],
    "billing payout-approve": ["--batch", "7"],
    "billing payout-void": ["--batch", "7", "--reason", "wrong day"],
    "billing payout-file": ["--batch", "7", "--out", "batch.xml"],
    "billing payout-import": ["--file", "answer.xml"],
    "billing payout-reconcile": [],
    "billing keys": ["create", "--key", "key.pem"],
    "billing checkpoint": ["--to", "kept"],
    "billing verify": ["--kept", "kept"],
    "billing export": ["--period", "2026-10", "--to", "bundle"],
    "billing events": ["--statement", "0f" * 16],
    "billing event": ["8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"],
}
"""A line of the last version for each old spelling; the new one where two begin with the same words."""


@pytest.mark.parametrize("spelling", OLD_SPELLINGS, ids=lambda each: each.new)
def test_an_old_spelling_works_and_names_the_new_one_on_stderr(
    spelling: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = OLD_LINES.get(spelling.old) if spelling.old in OLD_LINES else OLD_LINES[spelling.new]
    assert flags is not None
    command, params = parsed([*spelling.old.split(), *flags])
    shown = capsys.readouterr()
    assert shown.err == f"`{spelling.old}` is `{spelling.new}` now; the old spelling works in this version only\n"
    assert shown.out == ""
    new_flags = [flag for flag in flags if flag != "--set"]
    assert parsed([*spelling.new.split(), *new_flags]) == (command, params)
    assert capsys.readouterr().err == ""


def test_every_old_spelling_is_tried() -> None:
    assert {each.new if each.old not in OLD_LINES else each.old for each in OLD_SPELLINGS} == set(OLD_LINES)


@pytest.mark.parametrize("words", [["billing", "statements", "--help"], ["billing", "payouts", "-h"]])
def test_the_help_of_a_noun_is_not_an_old_spelling(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == ExitCode.OK
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "approve" in shown.out


def in_a_process_of_its_own(program: str, *flags: str) -> dict[str, Any]:
    """What a program that prints one JSON document says after it imported nothing but what it needs."""
    environ = {**os.environ, "VIEWLEDGER_HOME": "/nonexistent", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-P", *flags, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


HELP_OF_ALL = """
import contextlib, io, json, sys
from jobs.cli import main
codes = []
with contextlib.redirect_stdout(io.StringIO()):
    for words in LINES:
        codes.append(main([*words.split(), "--help"]))
print(json.dumps({"codes": codes, "modules": sorted(sys.modules)}))
"""


def test_help_waits_for_no_library_but_click() -> None:
    found = in_a_process_of_its_own(HELP_OF_ALL.replace("LINES", repr([*EVERYTHING])))
    assert set(found["codes"]) == {0}
    assert len(found["codes"]) == len(EVERYTHING)
    assert not HEAVY & {name.split(".")[0] for name in found["modules"]}
    assert len(found["modules"]) < MODULES_MAX


START = """
import json, os, sys
for name in list(os.environ):
    if name.startswith("VIEWLEDGER_") and name != "VIEWLEDGER_HOME":
        del os.environ[name]
from jobs.cli import main
code = main(WORDS)
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("billing statements list", ExitCode.BAD_INPUT),
        ("billing proof verify", ExitCode.BAD_INPUT),
        ("billing run --period 2026-10 --actor eve", ExitCode.BAD_INPUT),
        ("billing nightly --actor eve", ExitCode.BAD_INPUT),
        ("billing late list --period 2026-10", ExitCode.BAD_INPUT),
        ("billing proof export --period 2026-10 --to there", ExitCode.BAD_INPUT),
        ("billing events show 8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b", ExitCode.BAD_INPUT),
        ("batch run", ExitCode.BAD_INPUT),
        ("batch versions", ExitCode.BAD_INPUT),
        ("rebuild batch", ExitCode.BAD_INPUT),
        ("sql SHOW", ExitCode.BAD_INPUT),
        ("keys list", ExitCode.BAD_INPUT),
        ("status", ExitCode.UNAVAILABLE),
    ],
)
def test_a_command_without_servers_starts_neither_spark_nor_what_judges_and_checks_banks(line: str, code: int) -> None:
    found = in_a_process_of_its_own(START.replace("WORDS", repr(line.split())))
    assert found["code"] == code
    assert not {"pyspark", "great_expectations", "schwifty", "pandas"} & set(found["modules"])


@pytest.mark.parametrize(
    ("line", "code", "needed"),
    [
        ("reconcile", ExitCode.BAD_INPUT, {"psycopg2", "msgspec"}),
        ("audit ids", ExitCode.BAD_INPUT, {"psycopg2", "msgspec"}),
        ("run api", ExitCode.BAD_INPUT, {"uvicorn", "starlette", "jwt", "cryptography", "msgspec"}),
        ("run collector", ExitCode.BAD_INPUT, {"uvicorn", "starlette", "kafka", "msgspec"}),
        ("topics check", ExitCode.BAD_INPUT, {"kafka"}),
        ("token --role finance", ExitCode.REFUSED, {"jwt", "cryptography", "uvicorn", "psycopg2", "msgspec"}),
        ("demo --events 3", ExitCode.BAD_INPUT, set()),
    ],
)
def test_a_refusal_waits_for_no_client_but_those_of_its_first_steps(line: str, code: int, needed: set[str]) -> None:
    found = in_a_process_of_its_own(START.replace("WORDS", repr(line.split())))
    assert found["code"] == code
    assert HEAVY & {name.split(".")[0] for name in found["modules"]} <= needed
    assert len(found["modules"]) < START_MODULES_MAX


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_this_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == ExitCode.OK
    script = capsys.readouterr().out
    assert f"_VIEWLEDGER_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("billing st", ["statements"]),
        ("billing statements ", ["list", "show", "approve", "void", "review"]),
        ("billing payouts create --cur", ["--currency"]),
        ("billing statements list --state h", ["held"]),
        ("do", ["docs", "down", "doctor"]),
        ("billing statements show --pay", ["--payee"]),
    ],
)
def test_a_shell_is_offered_what_can_come_next(
    typed: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_VIEWLEDGER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"viewledger {typed}")
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ") + 1))
    assert cli.main([]) == ExitCode.OK
    assert capsys.readouterr().out.split() == [f"plain,{word}" for word in offered]


def test_bash_itself_completes_by_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program := tmp_path / "viewledger").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m jobs.cli "$@"\n')
    program.chmod(0o755)
    assert cli.main(["completion", "bash"]) == ExitCode.OK
    typed = "COMP_WORDS=(viewledger billing st); COMP_CWORD=2; _viewledger_completion ./viewledger"
    script = f'{capsys.readouterr().out}\n{typed}; echo "${{COMPREPLY[@]}}"'
    environ = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "statements\n"


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("bash", 'bash_complete "${1/#\\~/$HOME}")'),
        ("fish", "(string replace -r '^~' $HOME -- (commandline -opc)[1]));"),
        ("zsh", 'zsh_complete ${(Q)~words[1]})}")'),
    ],
)
def test_a_script_asks_the_program_that_is_typed_not_one_on_the_path(
    shell: str, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["completion", shell]) == ExitCode.OK
    script = capsys.readouterr().out
    assert asked in script
    assert "$+commands[" not in script


@pytest.mark.parametrize(
    ("words", "shown"), [("help billing", "Usage: ./viewledger billing "), ("help topics check", "check")]
)
def test_help_before_a_command_is_its_help(words: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words.split()) == ExitCode.OK
    before = capsys.readouterr().out
    assert shown in before
    assert cli.main([*words.split()[1:], "--help"]) == ExitCode.OK
    assert capsys.readouterr().out == before


def test_help_for_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", "biling"]) == ExitCode.BAD_INPUT
    assert "unknown command: 'biling'; did you mean billing?" in capsys.readouterr().err


def test_a_process_that_cannot_be_started_is_refused_before_any_server_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIEWLEDGER_HOME", str(tmp_path / "home"))
    assert cli.main(["up", "--processes", "api,lunch"]) == ExitCode.BAD_INPUT
    assert "--processes names no process: lunch; give some of collector, speed, api" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


LAUNCHER = PROJECT / "viewledger"


def launched(home: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "VIEWLEDGER_HOME": str(home), "VIEWLEDGER_PYTHON": sys.executable, **more}
    return subprocess.run([LAUNCHER, *words], env=environ, capture_output=True, text=True, check=False)


def test_the_launcher_completes_and_makes_nothing_where_nothing_is_set_up(tmp_path: Path) -> None:
    asked = {"_VIEWLEDGER_COMPLETE": "bash_complete", "COMP_WORDS": "viewledger billing st", "COMP_CWORD": "2"}
    done = launched(tmp_path / "home", **asked)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.OK, "", "")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("words", [[], ["help"], ["-h"], ["--help"]])
def test_the_overview_needs_no_set_up(words: list[str], tmp_path: Path) -> None:
    done = launched(tmp_path / "home", *words)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert all(f"\n  {name} " in done.stdout for name in ROOT.commands)
    assert not (tmp_path / "home").exists()


def test_the_overview_imports_the_standard_library_alone() -> None:
    program = START.replace("WORDS", "['help']")
    found = in_a_process_of_its_own(program, "-S")
    assert found["code"] == ExitCode.OK
    ours = {path.name for path in PROJECT.iterdir()}
    assert {name.split(".")[0] for name in found["modules"]} <= {*sys.stdlib_module_names, *ours, "__main__"}


def test_in_an_image_what_is_not_shipped_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(name: str, *_: Any) -> Any:
        if name.split(".")[0] in ("faults", "attacks"):
            raise ModuleNotFoundError(f"No module named {name.split('.')[0]!r}", name=name.split(".")[0])
        return imported(name)

    imported: Callable[[str], Any] = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", without)
    for name in ("faults", "attacks"):
        assert cli.main([name, "--list"]) == ExitCode.BAD_INPUT
        assert capsys.readouterr().err == (
            f"viewledger: `{name}` is not part of this image; run it from a checkout of the project\n"
        )


@pytest.mark.parametrize("failure", [OSError("no tty"), KeyError("getpwuid(): uid not found")])
def test_who_has_no_login_name_is_asked_for_one(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody() -> str:
        raise failure

    monkeypatch.setattr("getpass.getuser", nobody)
    assert cli.main(["billing", "nightly"]) == ExitCode.BAD_INPUT
    assert "--actor is missing, and this user has no login name; give --actor NAME" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", " ", "run", "RUN ", "a\x1b[2J", "x" * 101])
def test_an_actor_is_the_name_of_a_person(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["billing", "nightly", "--actor", name]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith("viewledger: --actor is ")


def test_the_name_of_an_actor_is_kept_without_the_space_around_it() -> None:
    context = click.Context(ROOT)
    assert actor("who").type_cast_value(context, "  Eve Smith ") == "Eve Smith"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (["traffic", "appeals", "list", "--payee", "ann\udcff"], "--payee"),
        (["billing", "proposals", "refuse", "--proposal", "a", "--proposal", "\udcff", "--reason", "r"], "--proposal"),
        (["keys", "revoke", "\udcff"], "KEY-ID"),
        (["sql", "SELECT '\udcff'"], "STATEMENT"),
    ],
)
def test_bytes_that_are_not_utf_8_are_refused_but_in_the_name_of_a_file(
    line: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith(f"viewledger: {name} is not text in UTF-8: ")
    assert parsed(["backup", "--to", "/\udcff"])[1]["to"] == Path("/\udcff")


def test_a_path_is_a_path() -> None:
    _, params = parsed(["billing", "proof", "export", "--period", "2026-10", "--to", "there"])
    assert params["to"] == Path("there")
    assert str(params["period"]) == "2026-10-01/2026-11-01"
    assert OPEN_TABLES, "and `export` takes all of them where --tables is not given"
    assert parsed(["export", "--to", "x"])[1]["tables"] is None
