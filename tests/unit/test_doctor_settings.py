"""The checks of the settings by `doctor`."""

import json
from pathlib import Path

from jobs.checkup.checks import CheckRow, CheckVerdict
from jobs.checkup.machine import ports_rows
from jobs.checkup.settings import setting_rows
from jobs.commands.doctor import key_rows
from jobs.commands.receipt_keys import create
from jobs.settings.declared.pipeline import PLAY_KEYS_FILE, RECEIPT_KEYS_FILE


def rows_of(verdict: CheckVerdict, own: dict[str, str], running: dict[str, str] | None = None) -> list[CheckRow]:
    return [row for row in setting_rows(own, running or {}) if row.verdict is verdict]


def test_what_is_set_is_shown_with_its_value() -> None:
    (row,) = setting_rows({"VIEWLEDGER_API_PORT": "8080", "PATH": "/bin", "VIEWLEDGER_APT": ""}, {})
    assert (row.verdict, row.found) == (CheckVerdict.OK, "VIEWLEDGER_API_PORT=8080 in the environment")


def test_nothing_set_is_said_as_well() -> None:
    (row,) = setting_rows({}, {})
    assert row.found == "none in the environment"


def test_the_settings_of_a_running_stack_are_counted() -> None:
    _, row = rows_of(CheckVerdict.OK, {}, {"VIEWLEDGER_API_PORT": "17070", "VIEWLEDGER_SQL_PORT": "17073"})
    assert row.found.startswith("2 from the running stack")


def test_a_wrong_value_is_bad_and_says_what_is_allowed() -> None:
    (row,) = rows_of(CheckVerdict.BAD, {"VIEWLEDGER_DRAIN_SECONDS": "soon"})
    assert row.found == "VIEWLEDGER_DRAIN_SECONDS is 'soon'; it must be a number from 0 to 300"
    assert "docs/reference/settings.md" in row.remedy


def test_a_wrong_value_of_a_running_stack_is_bad_unless_the_environment_says_something_else() -> None:
    running = {"VIEWLEDGER_DRAIN_SECONDS": "soon"}
    assert len(rows_of(CheckVerdict.BAD, {}, running)) == 1
    assert not rows_of(CheckVerdict.BAD, {"VIEWLEDGER_DRAIN_SECONDS": "2"}, running)


def test_an_unknown_name_is_a_warning_that_names_the_one_that_was_meant() -> None:
    (row,) = rows_of(CheckVerdict.WARN, {"VIEWLEDGER_API_PROT": "8080"})
    assert row.found == "VIEWLEDGER_API_PROT is set, and no setting has this name"
    assert row.remedy == "did you mean VIEWLEDGER_API_PORT?"
    (row,) = rows_of(CheckVerdict.WARN, {"VIEWLEDGER_MOON": "full"})
    assert row.remedy == "unset it; the settings are in docs/reference/settings.md"


def test_a_wrong_base_of_ports_spoils_its_own_row_only() -> None:
    (row,) = ports_rows({"VIEWLEDGER_PORT_BASE": "x"}, running={})
    assert (row.subject, row.verdict) == ("ports", CheckVerdict.BAD)
    assert "from 1024 to" in row.found


def test_no_secret_is_ever_shown_right_or_wrong() -> None:
    own = {
        "VIEWLEDGER_PSEUDONYM_KEY": "sesame",
        "VIEWLEDGER_API_CURSOR_KEY": "5e5a3e" * 10 + "0000",
        "VIEWLEDGER_POSTGRES_URL": "postgresql://u:sesame@h:1/d",
        "VIEWLEDGER_REDIS_URL": "sesame",
        "VIEWLEDGER_OIDC_CLIENT_SECRET": "sesame",
        "VIEWLEDGER_API_PASSWORD": "sesame",
        "VIEWLEDGER_PSEUDONYM_KEYS": "sesame",
    }
    shown = json.dumps([row.found + row.remedy for row in setting_rows(own, own)])
    assert "sesame" not in shown
    assert "5e5a3e" not in shown
    assert "VIEWLEDGER_POSTGRES_URL=(secret)" in shown


def test_the_file_of_a_secret_is_known_and_a_wrong_one_is_bad(tmp_path: Path) -> None:
    own = {"VIEWLEDGER_REDIS_URL_FILE": str(tmp_path / "none"), "VIEWLEDGER_API_PORT_FILE": "/p"}
    (row,) = rows_of(CheckVerdict.BAD, own, {"VIEWLEDGER_REDIS_URL": "redis://127.0.0.1:1/0"})
    assert row.found.startswith("VIEWLEDGER_REDIS_URL_FILE names a file that cannot be read")
    (unknown,) = rows_of(CheckVerdict.WARN, own)
    assert unknown.found == "VIEWLEDGER_API_PORT_FILE is set, and no setting has this name"


def test_every_file_of_keys_that_is_set_is_read(tmp_path: Path) -> None:
    assert key_rows({}) == []
    create(key=tmp_path / "keys.json", kid="a", as_json=False)
    environ = {RECEIPT_KEYS_FILE.name: str(tmp_path / "keys.json"), PLAY_KEYS_FILE.name: str(tmp_path)}
    wrong, right = key_rows(environ)
    assert (wrong.verdict, right.verdict) == (CheckVerdict.BAD, CheckVerdict.OK)
    assert PLAY_KEYS_FILE.name in wrong.found
