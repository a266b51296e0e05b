"""A backup of real servers, everything destroyed, and the restore: whole, or refused with one sentence."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from batch_layer.versions.postgres_versions import PostgresVersionStore
from billing.postgres_session import connector
from billing.proof.postgres_rules import problems_of_rules
from faults.hdfs_programs import FILES, hdfs
from faults.postgres_database import administer, queries
from faults.warm_driver import WarmDriver
from jobs.commands.billing.proof import RULES
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from tests.batch_on_stack import Batch, own_batch
from tests.billing_postgres import database_of, in_database
from tests.postgres_people import second_person

WHO = ("--actor", "olga", "--reason", "the disks burnt")
POSTGRES = "VIEWLEDGER_POSTGRES_URL"


@pytest.fixture
def own(
    stack_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory, warm_driver: WarmDriver
) -> Iterator[Batch]:
    with own_batch(stack_environment, tmp_path_factory.mktemp("state"), warm_driver) as made:
        yield made


def destroy(own: Batch, stack: LocalStack) -> None:
    """Drop the database, and make an empty one of the same name; remove the warehouse."""
    url = own.environ[POSTGRES]
    server = in_database(url, "/viewledger")
    administer(server, f"DROP DATABASE {database_of(url)} WITH (FORCE)")
    administer(server, f"CREATE DATABASE {database_of(url)}")
    hdfs(stack.folder, FILES, "-rm", "-r", "-skipTrash", f"/{own.topic}")


def one_sentence(done: "object", code: ExitCode, words: str) -> None:
    assert (done.returncode, done.stderr.count("viewledger: ")) == (code, 1), done.stderr  # type: ignore[attr-defined]
    assert words in done.stderr  # type: ignore[attr-defined]


def test_what_a_backup_holds_comes_back_after_everything_is_destroyed(
    own: Batch, stack: LocalStack, tmp_path: Path
) -> None:
    place, keys = tmp_path / "backups", tmp_path / "keys"
    url = own.environ[POSTGRES]
    # 1. A version and its backup, then another one: only what is new is copied.
    own.send(30, number=1)
    assert own.result("batch", "run")["version"] == 1
    first = own.result("backup", "--to", str(place), "--keys-to", str(keys))
    assert (first["version"], first["file_count"]) == (1, first["new_file_count"])
    assert (keys / "VIEWLEDGER_TRAITS_KEY").read_text().strip() == own.environ["VIEWLEDGER_TRAITS_KEY"]
    assert own.environ["VIEWLEDGER_TRAITS_KEY"] not in (place / first["backup_id"] / "manifest.json").read_text()
    own.send(10, number=100)
    assert own.result("batch", "run")["version"] == 2
    second = own.result("backup", "--to", str(place))
    assert second["version"] == 2
    assert 0 < second["new_file_count"] < second["file_count"]
    own.send(5, number=200)
    assert own.result("batch", "run")["version"] == 3
    # 2. Into an installation that is in use nothing is restored.
    restore = ("restore", "--from", str(place), *WHO)
    one_sentence(own.run(*restore), ExitCode.REFUSED, "the database is in use, it has 3 rows of published.versions")
    # 3. A changed file is found before anything changes.
    destroy(own, stack)
    damaged = next((place / "warehouse").rglob("*.parquet"))
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    one_sentence(own.run(*restore), ExitCode.BAD_INPUT, f"{damaged} is not the file that was backed up")
    damaged.write_bytes(content)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('billing')")
        assert cursor.fetchone() == (None,)
    # 4. The restore; rules, rights and owners are those of the release.
    restored = own.result(*restore)
    assert (restored["version"], restored["payouts_wait"]) == (2, True)
    assert list(problems_of_rules(connector(url), json.loads(RULES.read_bytes()))) == []
    # 5. Counting goes on from the backup's version, with what came later, and everything agrees.
    again = own.result("batch", "run")
    assert (again["version"], again["archived_count"], again["gap_count"]) == (3, 5, 0)
    # 6. Payouts wait until a second person has compared the books.
    approver = {"VIEWLEDGER_APPROVER_POSTGRES_URL": second_person(url)}
    release = ("billing", "payouts", "release", "--reason", "compared with the bank")
    declared = (*release, "--declare", "--actor", "paula")
    one_sentence(own.run(*release, "--actor", "paula", **approver), ExitCode.REFUSED, "give --kept PLACE")
    one_sentence(own.run(*declared, **approver), ExitCode.REFUSED, "run `reconcile`")
    assert own.result("reconcile")["is_equal"]
    same_login = {"VIEWLEDGER_APPROVER_POSTGRES_URL": url}
    one_sentence(own.run(*declared, **same_login), ExitCode.REFUSED, "another login must approve it")
    one_sentence(
        own.run(*release, "--declare", "--actor", "olga", **approver), ExitCode.REFUSED, "someone else must approve it"
    )
    released = own.run(*declared, **approver)
    assert released.returncode == ExitCode.OK, released.stderr
    assert queries(url, "SELECT count(*) FROM billing.waiting_restores") == [(0,)]
    one_sentence(own.run(*declared, **approver), ExitCode.REFUSED, "no restore is open")
    assert own.result("rebuild", "batch")["state"] == "equal"


def test_maintenance_waits_for_a_backup_and_batch_runs_do_not(own: Batch) -> None:
    with closing(PostgresVersionStore(own.environ[POSTGRES])) as backup:
        assert backup.lock()
        assert backup.lock_files()
        one_sentence(own.run("batch", "run"), ExitCode.REFUSED, "a batch run or a maintenance is at work")
        backup.unlock()
        one_sentence(own.run("maintain"), ExitCode.REFUSED, "a backup copies the files of the tables")
        with closing(PostgresVersionStore(own.environ[POSTGRES])) as run:
            assert run.lock()
