"""What each role may do with each thing in the database is declared in one place, and is what a login of it can do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.role_matrix import (
    DECLARED,
    NOBODY,
    declaration_of,
    declared_rights,
    differences,
    rights_there_are,
    role_logins,
)
from faults.postgres_database import administer
from tests.billing_postgres import own_database

MAY_LOSE_ROWS = (
    "access.ended_sessions",  # what is over anyway
    "billing.estimates",  # no money
    "billing.group_evidence",  # no record
    "billing.waiting_counts",  # no money and no record, as the next one
    "billing.waiting_work",
    "iceberg_tables",
    "iceberg_namespace_properties",
)
MAY_BE_EMPTIED = (
    "staging.video_counts",
    "staging.video_day_changes",
    "staging.invalid_changes",
    "staging.viewer_changes",
)  # of a run that is not published
RIGHTS = declared_rights(DECLARED.read_text())


@pytest.fixture(scope="module")
def logins(postgres_url: str) -> Iterator[dict[str, str]]:
    with own_database(postgres_url) as url, role_logins(url) as urls:
        yield {"": url, **urls}


def of_roles(logins: dict[str, str]) -> dict[str, str]:
    return {role: url for role, url in logins.items() if role}


def test_every_login_can_do_what_is_declared_and_nothing_else(logins: dict[str, str], tmp_path: Path) -> None:
    found = rights_there_are(of_roles(logins))
    new = tmp_path / "rights.txt"
    new.write_text(declaration_of(found))
    assert differences(found, RIGHTS) == [], f"where it is meant so, declare it as in {new}"
    assert len(found) > 200


@pytest.mark.parametrize("name", RIGHTS)
def test_the_declaration_lets_nobody_change_what_is_kept(name: str) -> None:
    rights = {right.partition("(")[0] for right in RIGHTS[name]}
    kind, _, what = name.partition(" ")
    assert NOBODY not in " ".join(RIGHTS[name].values()).split()
    if kind == "table":
        assert not rights & {"TRIGGER", "ALTER", "DROP"}
        assert "TRUNCATE" not in rights or what in MAY_BE_EMPTIED
        assert "DELETE" not in rights or what in MAY_LOSE_ROWS + MAY_BE_EMPTIED
        assert (
            "UPDATE" not in rights
            or what in ("iceberg_tables", "iceberg_namespace_properties")
            or all("(" in right for right in RIGHTS[name] if right.startswith("UPDATE"))
        )
    elif kind == "function":
        assert rights <= {"EXECUTE"}
    elif kind == "view":
        assert rights <= {"SELECT"}
    elif kind == "role":
        assert RIGHTS[name] in ({}, {"SET": what.removeprefix("viewledger_")})
    else:
        assert not rights


@pytest.mark.parametrize(
    ("change", "undo", "sentence"),
    [
        (
            "GRANT UPDATE (amount_micros) ON billing.entries TO viewledger_billing",
            "REVOKE UPDATE (amount_micros) ON billing.entries FROM viewledger_billing",
            "billing can UPDATE(amount_micros) table billing.entries, which is not declared",
        ),
        (
            "CREATE TABLE billing.new (a integer)",
            "DROP TABLE billing.new",
            "table billing.new is in the database and not declared: nobody can anything",
        ),
        (
            "GRANT EXECUTE ON FUNCTION billing.lock_ledger() TO PUBLIC",
            "REVOKE EXECUTE ON FUNCTION billing.lock_ledger() FROM PUBLIC",
            "api can EXECUTE function billing.lock_ledger(), which is not declared",
        ),
        (
            "REVOKE SELECT ON billing.runs FROM viewledger_api",
            "GRANT SELECT ON billing.runs TO viewledger_api",
            "api cannot SELECT table billing.runs, which is declared",
        ),
    ],
)
def test_a_right_more_or_less_is_noticed(logins: dict[str, str], change: str, undo: str, sentence: str) -> None:
    administer(logins[""], change)
    try:
        assert sentence in differences(rights_there_are(of_roles(logins)), RIGHTS)
    finally:
        administer(logins[""], undo)
