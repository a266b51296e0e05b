"""Which rules PostgreSQL keeps is on record with the release; `billing proof verify` names every one that is another.

python -m tests.integration.test_database_rules URL     rewrites the record from a migrated database
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from billing.postgres_session import connector
from billing.proof.postgres_rules import problems_of_rules, rules_there_are, rules_to_file
from faults.postgres_database import administer
from jobs.commands.billing.proof import RULES
from jobs.setup import programs
from tests.billing_postgres import database_of, empty_database, own_database

AUDITOR = "viewledger_auditor"


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as own:
        yield own


def test_the_record_is_what_the_migrations_make(url: str, tmp_path: Path) -> None:
    made = rules_there_are(connector(url, AUDITOR))
    new = tmp_path / "rules.json"
    new.write_bytes(rules_to_file(made))
    assert made == json.loads(RULES.read_bytes()), f"a migration is new: look at it, then copy {new} to {RULES}"


def test_a_dump_restores_the_same_rules(url: str, postgres_url: str, superuser_url: str) -> None:
    """PostgreSQL writes some conditions in another form than it was given: `a BETWEEN 1 AND 2 AND b` is one."""
    folder = programs.postgres_folder()
    assert folder is not None
    dump = [folder / "pg_dump", f"{superuser_url}/{database_of(url)}"]
    text = subprocess.run(dump, capture_output=True, timeout=60, check=True).stdout
    with empty_database(postgres_url) as other:
        administer(other, f"REVOKE TEMPORARY, CREATE ON DATABASE {database_of(other)} FROM PUBLIC")
        restore = [folder / "psql", "--quiet", "--set=ON_ERROR_STOP=1", f"{superuser_url}/{database_of(other)}"]
        subprocess.run(restore, input=text, capture_output=True, timeout=60, check=True)
        assert rules_there_are(connector(other, AUDITOR)) == rules_there_are(connector(url, AUDITOR))


CHANGES = {
    "trigger billing.transitions transitions_follow": "ALTER TABLE billing.transitions DISABLE TRIGGER "
    "transitions_follow",
    "trigger billing.entries entries_append_only": "DROP TRIGGER entries_append_only ON billing.entries",
    "trigger billing.holds mine": "CREATE TRIGGER mine BEFORE INSERT ON billing.holds "
    "FOR EACH ROW EXECUTE FUNCTION billing.stamp_login()",
    "internal triggers of billing.transitions": "ALTER TABLE billing.transitions DISABLE TRIGGER ALL",
    "function billing.refuse_same_person(text,text,text,text)": "CREATE OR REPLACE FUNCTION billing.refuse_same_person("
    "what text, maker_login text, maker text, checker text) RETURNS void LANGUAGE sql "
    "SET search_path = pg_catalog, billing, pg_temp AS ''",
    "function billing.acts_as(name)": "ALTER FUNCTION billing.acts_as(name) OWNER TO postgres",
    "function billing.mine()": "CREATE FUNCTION billing.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "function billing.lock_ledger()": "GRANT EXECUTE ON FUNCTION billing.lock_ledger() TO PUBLIC",
    "constraint billing.holds holds_amount_micros_check": "ALTER TABLE billing.holds DROP CONSTRAINT "
    "holds_amount_micros_check",
    "rights on billing.entries": "GRANT UPDATE ON billing.entries TO viewledger_billing",
    "columns of billing.approval_limits": "GRANT INSERT (limit_micros) ON billing.approval_limits TO "
    "viewledger_billing",
    "columns of billing.runs": "ALTER TABLE billing.runs ALTER COLUMN actor SET DEFAULT 'run'",
    "sequence billing.journal_position_seq": "ALTER SEQUENCE billing.journal_position_seq CYCLE",
    "rule billing.entries mine": "CREATE RULE mine AS ON INSERT TO billing.entries DO INSTEAD NOTHING",
    "rule billing.current_states _RETURN": "CREATE OR REPLACE VIEW billing.current_states AS SELECT subject_kind, "
    "subject_id, "
    "transition_index, to_state AS state, actor, reason, moved_at FROM billing.transitions",
    "rights on schema billing": "GRANT CREATE ON SCHEMA billing TO viewledger_billing",
    "step statement in_review finalised": "INSERT INTO billing.allowed_transitions VALUES ('statement', "
    "'in_review', 'finalised')",
    "step statement in_review approved": "UPDATE billing.allowed_transitions SET roles = '{viewledger_billing}' "
    "WHERE subject_kind = 'statement' AND from_state = 'in_review' AND to_state = 'approved'",
    "step hold pending voided": "DELETE FROM billing.allowed_transitions WHERE subject_kind = 'hold' AND to_state = "
    "'voided'",
    "role viewledger_billing": "GRANT viewledger_approver TO viewledger_billing",
    "role viewledger_owner": "ALTER ROLE viewledger_owner LOGIN",
    "setting session_replication_role=replica of everybody": 'ALTER DATABASE "{name}" SET session_replication_role '
    "= replica",
}
"""The name of a rule → what a superuser does to it."""


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_superuser_changes_is_named(url: str, superuser_url: str, name: str) -> None:
    database = url.rpartition("/")[2]
    expected = json.loads(RULES.read_bytes())
    with closing(psycopg2.connect(f"{superuser_url}/{database}")) as connection, connection.cursor() as cursor:
        if name.startswith("step"):
            cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(CHANGES[name].format(name=database) if name.startswith("setting") else CHANGES[name])
        found = list(problems_of_rules(lambda: _Lent(connection), expected))
        connection.rollback()
    assert any(problem.startswith(name + " is") for problem in found), found
    if not name.startswith("internal"):
        assert len(found) == 1, found
    assert list(problems_of_rules(connector(url, AUDITOR), expected)) == []


class _Lent:
    """A connection inside a transaction that is undone afterwards: what was changed is seen by nobody else."""

    def __init__(self, connection: "psycopg2.extensions.connection") -> None:
        self._connection = connection

    def cursor(self) -> "psycopg2.extensions.cursor":
        return self._connection.cursor()

    def commit(self) -> None:
        """Nothing: the test undoes it."""

    def close(self) -> None:
        """Nothing: the test closes it."""


def test_a_database_that_was_not_migrated_says_so_in_one_sentence(url: str) -> None:
    expected = json.loads(RULES.read_bytes()) | {"migrations": "999"}
    (problem,) = problems_of_rules(connector(url, AUDITOR), expected)
    assert problem.endswith("this release's is 999: its rules were not compared")


if __name__ == "__main__":
    RULES.write_bytes(rules_to_file(rules_there_are(connector(sys.argv[1]))))
