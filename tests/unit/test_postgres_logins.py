"""Logins with fewer rights: what is refused before PostgreSQL is asked."""

import pytest

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.postgres_logins import make_logins

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
