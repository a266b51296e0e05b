"""Logins with fewer rights: what is refused before PostgreSQL is called."""

from pathlib import Path

import pytest

from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from jobs.local_stack.profile import LOGINS, Profile
from jobs.local_stack.servers import our_environment, process_unit
from jobs.settings import login_setting
from jobs.wiring.postgres_logins import ROLES, in_database, make_logins

OURS = "postgresql://viewledger:secret@127.0.0.1:1/viewledger"


@pytest.mark.parametrize(
    "url", [OURS, "postgresql://127.0.0.1:1/viewledger", "postgresql://reader@127.0.0.1:1/viewledger"]
)
def test_a_setting_must_name_another_login_with_its_password(url: str) -> None:
    with pytest.raises(CommandError, match="VIEWLEDGER_SQL_POSTGRES_URL must name a login of its own") as refused:
        make_logins(OURS, {"VIEWLEDGER_SQL_POSTGRES_URL": url})
    assert refused.value.code is ExitCode.BAD_INPUT
    assert "secret" not in str(refused.value)


def test_without_a_setting_no_login_is_made() -> None:
    assert make_logins(OURS, {}) == ()


def test_every_login_of_the_local_stack_has_the_roles_of_its_work_and_no_other() -> None:
    assert {login_setting(name) for name in map(str.upper, LOGINS)} <= {each.name for each in ROLES}
    assert "viewledger_owner" not in {role for roles in ROLES.values() for role in roles}
    both = [login.name for login, roles in ROLES.items() if {"viewledger_billing", "viewledger_approver"} <= set(roles)]
    assert both == ["VIEWLEDGER_API_POSTGRES_URL"], "it approves what others made, and nothing that came in through it"


def test_settings_for_another_database_keep_every_login() -> None:
    environ = {"VIEWLEDGER_POSTGRES_URL": "x", "VIEWLEDGER_API_POSTGRES_URL": "postgresql://web:p@h:1/a", "OTHER": "y"}
    moved = in_database(environ, "postgresql://owner:q@127.0.0.1:2/b")
    assert moved == {
        "VIEWLEDGER_POSTGRES_URL": "postgresql://owner:q@127.0.0.1:2/b",
        "VIEWLEDGER_API_POSTGRES_URL": "postgresql://web:p@127.0.0.1:2/b",
        "OTHER": "y",
    }


def test_a_command_comes_with_the_login_of_its_work_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "is_running", lambda _: True)
    monkeypatch.setattr(
        settings,
        "read_environment",
        lambda _: {
            "VIEWLEDGER_POSTGRES_URL": "postgresql://all@stack/d",
            "VIEWLEDGER_BILLING_POSTGRES_URL": "postgresql://finance@stack/d",
        },
    )
    for name in ("VIEWLEDGER_POSTGRES_URL", "VIEWLEDGER_BILLING_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    assert settings.environment("BILLING")["VIEWLEDGER_POSTGRES_URL"] == "postgresql://finance@stack/d"
    assert settings.environment("KEYS")["VIEWLEDGER_POSTGRES_URL"] == "postgresql://all@stack/d"
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", "postgresql://all@another/d")
    assert settings.environment("BILLING")["VIEWLEDGER_POSTGRES_URL"] == "postgresql://all@another/d"
    monkeypatch.setenv("VIEWLEDGER_BILLING_POSTGRES_URL", "postgresql://finance@another/d")
    assert settings.environment("BILLING")["VIEWLEDGER_POSTGRES_URL"] == "postgresql://finance@another/d"


@pytest.mark.parametrize(
    ("process", "received"),
    [
        ("speed", ["VIEWLEDGER_POSTGRES_URL"]),
        ("api", ["VIEWLEDGER_API_POSTGRES_URL"]),
        ("sql", ["VIEWLEDGER_SQL_POSTGRES_URL"]),
    ],
)
def test_a_process_of_the_local_stack_is_told_its_own_login_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: str, received: list[str]
) -> None:
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", "postgresql://somebody:secret@127.0.0.1:1/elsewhere")
    profile = Profile(tmp_path, free_ports())
    unit = process_unit(profile, process, after=(), environ=our_environment(profile))
    assert [name for name in unit.environ if name.endswith("POSTGRES_URL")] == received


def test_the_login_of_a_work_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "is_running", lambda _: False)
    (tmp_path / "finance").write_text("postgresql://finance@h/d\n")
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL_FILE", str(tmp_path / "all"))
    monkeypatch.setenv("VIEWLEDGER_BILLING_POSTGRES_URL_FILE", str(tmp_path / "finance"))
    for name in ("VIEWLEDGER_POSTGRES_URL", "VIEWLEDGER_BILLING_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    environ = settings.environment("BILLING")
    assert environ["VIEWLEDGER_POSTGRES_URL"] == "postgresql://finance@h/d"
    assert "VIEWLEDGER_POSTGRES_URL_FILE" not in environ
