"""Books that come back from a backup: whole, with their rules, and nothing is paid until somebody has compared them."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest

from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.proof.ed25519_keys import create_key
from faults.postgres_database import administer, queries
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.release import release
from jobs.wiring.backup_database import database_state, dump, dump_path, restore, what_is_there
from jobs.wiring.backup_manifest import BackedUpFile, Manifest, hash_of
from jobs.wiring.migrations import migrate
from tests.account_reports import balances, detail, entry, report, statement
from tests.billing_postgres import database_of, in_database, put_in_force
from tests.command_runs import RunsCommands
from tests.payout_office import payable_books
from tests.postgres_people import person
from tests.serving_postgres import publish

TODAY = datetime.now(UTC).date()
CREATE = ("payouts", "create", "--currency", "EUR", "--execution-on", str(TODAY + timedelta(days=1)), "--actor", "eve")
PUT_IN = (
    "INSERT INTO billing.payout_items (item_id, batch_id, payee_id, account_version, amount_micros) "
    "SELECT repeat('a', 32), batch_id, 'zoe', 1, 5000000 FROM billing.payout_batches"
)
WAIT = ("payouts", "wait", "--actor", "olga", "--reason", "recovered from the log", "--since")
RELEASE = ("payouts", "release", "--actor", "max", "--reason", "ann's payment is held back")


class Office(RunsCommands):
    """Books in which ann is owed 25 EUR and bob 2.50 EUR."""

    group = "billing"

    def __init__(self, url: str, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.url, self.folder, self.capture = url, folder, capture

    def back_up(self) -> Manifest:
        """Back up the database alone."""
        path = dump_path("20261129T020000Z")
        (self.folder / path).parent.mkdir()
        with database_state(self.url) as state:
            dump(state, self.folder / path)
        return Manifest(
            format=1,
            backup_id="20261129T020000Z",
            made_at=datetime.now(UTC),
            product=release(),
            migration=state.migration,
            installation_id=state.installation_id,
            login=state.login,
            warehouse="",
            version=state.version,
            keys={},
            folders=[],
            database=BackedUpFile(path, *hash_of(self.folder / path)),
            files=[],
        )

    def destroy(self) -> None:
        """Drop the database, and make an empty one with the schema."""
        server = in_database(self.url, "/viewledger")
        administer(server, f"DROP DATABASE {database_of(self.url)} WITH (FORCE)")
        administer(server, f"CREATE DATABASE {database_of(self.url)}")
        migrate(self.url)

    def come_back(self, manifest: Manifest) -> None:
        """Lose the database, and restore it."""
        self.destroy()
        restore(self.url, self.folder, manifest, actor="olga", reason="the disks burnt")

    def pay(self) -> str:
        """Send a batch to the bank; return the id of ann's payment."""
        batch = self.document(*CREATE)["batch_id"]
        self.document("payouts", "approve", "--batch", batch, "--actor", "max")
        self.document("payouts", "file", "--batch", batch, "--out", str(self.folder / "out.xml"))
        payments = self.document("payouts", "show", "--batch", batch)["payments"]
        return next(str(each["item_id"]) for each in payments if each["payee_id"] == "ann")


@pytest.fixture
def office(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Office]:
    with payable_books(postgres_url, monkeypatch) as url:
        yield Office(url, tmp_path, capsys)


def test_a_payout_after_the_backup_is_found_at_the_bank_before_anything_is_paid_again(office: Office) -> None:
    key, kept = office.folder / "key", office.folder / "kept"
    create_key(key)
    checkpoint = ("proof", "checkpoint", "--to", str(kept), "--key", str(key), "--day")
    office.document(*checkpoint, str(TODAY - timedelta(days=1)))
    # 1. A backup, then a payout that only the bank will know.
    before = office.document("ledger", "balances", "--as-of", str(TODAY))
    manifest = office.back_up()
    lost_payment = office.pay()
    office.document(*checkpoint, str(TODAY))
    # 2. Everything is gone and comes back, once; the rules of the database hold as before.
    office.destroy()
    assert what_is_there(office.url) is None
    restore(office.url, office.folder, manifest, actor="olga", reason="the disks burnt")
    assert what_is_there(office.url) is not None
    assert office.document("ledger", "balances", "--as-of", str(TODAY)) == before
    assert office.document("proof", "verify")["problems"] == []
    # 3. Nothing is paid, by whichever way.
    code, _, error = office.run(*CREATE)
    assert (code, "payouts wait; a second person releases them" in error) == (ExitCode.REFUSED, True)
    # 4. What is lost is named: no bank file, then the payment that the books do not know, and the checkpoint.
    code, _, error = office.run(*RELEASE, "--kept", str(kept))
    assert (code, "no movement of the bank was imported since the restore" in error) == (ExitCode.REFUSED, True)
    booked_on = datetime.now(UTC).date()
    debit = entry("-25.00", detail(lost_payment), day=str(booked_on))
    (office.folder / "camt.xml").write_text(report(statement([debit], of=balances("100.00", "75.00"))))
    office.run("payouts", "import", "--file", str(office.folder / "camt.xml"), "--actor", "eve")
    code, _, error = office.run(*RELEASE, "--kept", str(kept))
    assert code == ExitCode.REFUSED
    assert f"the bank booked -25.000000 EUR on {booked_on} (R1), unexplained by the books" in error
    assert "link 2 of the checkpoints was kept outside and is later than the backup" in error
    # 5. Declared by a second person, after ann's payment is held back: bob is paid, and ann not a second time.
    office.document("holds", "place", "--payee", "ann", "--amount", "25.00", "--currency", "EUR",
                    "--actor", "eve", "--reason", "paid after the backup")  # fmt: skip
    released = office.document(*RELEASE, "--kept", str(kept), "--declare")
    assert len(released["declared"]) == 2
    made = office.document(*CREATE)
    assert (made["item_count"], [each["payee_id"] for each in made["left"]]) == (1, ["ann"])
    assert office.document("proof", "verify")["problems"] == []


def test_a_restore_that_fails_changes_nothing(office: Office) -> None:
    manifest = office.back_up()
    content = (office.folder / manifest.database.path).read_bytes()
    (office.folder / manifest.database.path).write_bytes(content[: len(content) * 2 // 3])
    office.destroy()
    with pytest.raises(CommandError):
        restore(office.url, office.folder, manifest, actor="olga", reason="the disks burnt")
    assert what_is_there(office.url) is None
    assert migrate(office.url) == ()
    (office.folder / manifest.database.path).write_bytes(content)
    restore(office.url, office.folder, manifest, actor="olga", reason="the disks burnt")
    assert json.loads(json.dumps(office.document("proof", "verify")["problems"])) == []


def test_a_batch_stays_closed_when_a_later_transaction_has_the_number_of_the_one_that_made_it(
    office: Office, superuser_url: str
) -> None:
    office.pay()
    PostgresPayouts(connector(office.url, "viewledger_billing")).import_accounts(
        [BankAccount("zoe", "Zoe", "DE89370400440532013000")], "eve"
    )
    put_in_force(office.url)
    with person(office.url, "viewledger_billing") as login, closing(psycopg2.connect(login)) as late:
        with late.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            ((number,),) = cursor.fetchall()
            # as a dump brings it from another server
            administer(
                f"{superuser_url}/{database_of(office.url)}",
                f"SET session_replication_role = replica; UPDATE billing.payout_batches SET created_by = '{number}'",
            )
            with pytest.raises(psycopg2.Error, match="the payout batch is already made") as found:
                cursor.execute(PUT_IN)
        assert found.value.pgcode == "VL411"


def test_while_payouts_wait_no_payment_joins_a_batch_and_no_file_is_written_again(office: Office) -> None:
    office.pay()
    ((batch,),) = queries(office.url, "SELECT batch_id FROM billing.payout_batches")
    file = ("payouts", "file", "--batch", batch, "--out", str(office.folder / "again.xml"))
    office.document(*file)
    (office.folder / "again.xml").unlink()
    office.come_back(office.back_up())
    code, _, error = office.run(*file)
    assert code == ExitCode.REFUSED
    assert f"the file of payout batch {batch} was written before the restore and may be at the bank" in error
    assert not (office.folder / "again.xml").exists()
    with person(office.url, "viewledger_billing") as login, pytest.raises(psycopg2.Error) as found:
        administer(login, PUT_IN)
    assert found.value.pgcode == "VL414"


def test_payouts_wait_in_books_that_came_back_from_the_log_of_the_server(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for since, words in (
        ("2026-11-29", "is not an instant: '2026-11-29'; give it with its zone"),
        ("9990-01-01T00:00:00Z", "has not come yet; give the instant of the last transaction"),
    ):
        code, _, error = office.run(*WAIT, since)
        assert (code, words in error) == (ExitCode.BAD_INPUT, True), error
    with person(office.url, "viewledger_billing") as login, monkeypatch.context() as own:
        own.setenv("VIEWLEDGER_POSTGRES_URL", login)
        code, _, error = office.run(*WAIT, "2026-11-29T03:10:00Z")
        assert (code, "may not act as viewledger_owner" in error) == (ExitCode.REFUSED, True), error
    assert office.document(*WAIT, "2026-11-29T03:10:00Z")["payouts_wait"]
    code, _, error = office.run(*CREATE)
    assert (code, "from a backup of 2026-11-29 03:10 UTC, and payouts wait" in error) == (ExitCode.REFUSED, True)
    assert office.document(*RELEASE, "--declare")["released"] == ["20261129T031000Z"]
    assert office.document(*CREATE)["item_count"] == 2


def test_a_release_names_movements_since_the_earliest_instant_that_payouts_wait_for(office: Office) -> None:
    debit = entry("-25.00", detail("f" * 32), day=str(TODAY - timedelta(days=2)))
    (office.folder / "camt.xml").write_text(report(statement([debit], of=balances("100.00", "75.00"))))
    office.document(*WAIT, f"{TODAY}T00:00:00Z")
    office.run("payouts", "import", "--file", str(office.folder / "camt.xml"), "--actor", "eve")
    office.document(*WAIT, f"{TODAY - timedelta(days=5)}T00:00:00Z")  # it was longer ago
    code, _, error = office.run(*RELEASE)
    assert code == ExitCode.REFUSED
    assert f"the bank booked -25.000000 EUR on {TODAY - timedelta(days=2)} (R1), unexplained by the books" in error
    assert "no movement of the bank was imported since the restore" in error, "none since the second"


def test_payouts_wait_until_a_step_of_another_session_is_over(office: Office) -> None:
    batch = office.document(*CREATE)["batch_id"]
    office.document("payouts", "approve", "--batch", batch, "--actor", "max")
    waits = (
        "INSERT INTO billing.restores (backup_id, backed_up_at, actor, reason) "
        "VALUES ('20261129T031000Z', '2026-11-29 03:10+00', 'olga', 'recovered')"
    )
    written = (
        "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) "
        f"VALUES ('payout_batch', '{batch}', 2, 'approved', 'written', 'eve')"
    )
    with person(office.url, "viewledger_billing") as login, closing(psycopg2.connect(login)) as writer:
        with writer.cursor() as cursor:
            cursor.execute(written)
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                administer(office.url, f"SET lock_timeout = '200ms'; {waits}")
        writer.rollback()
        administer(office.url, waits)
        with pytest.raises(psycopg2.Error) as found, writer.cursor() as cursor:
            cursor.execute(written)
        assert found.value.pgcode == "VL414"


def test_payouts_are_released_while_batch_runs_publish_if_everything_was_compared_since(office: Office) -> None:
    publish(office.url, {"a": (1, 1)})

    def compare(kind: str, received_day: str = "NULL", differences: str = "[]") -> None:
        administer(
            office.url,
            "INSERT INTO published.reconciliations (version, kind, received_day, differences) "
            f"SELECT version, '{kind}', {received_day}, '{differences}' FROM published.pointer",
        )

    compare("command")
    office.come_back(office.back_up())
    release = (*RELEASE, "--declare")

    def refused(words: str) -> None:
        code, _, error = office.run(*release)
        assert (code, words in error) == (ExitCode.REFUSED, True), error

    refused("nothing was compared in full since the restore; run `reconcile`")
    compare("run")
    compare("command", received_day="'2026-11-28'")
    refused("nothing was compared in full since the restore; run `reconcile`")
    compare("command")
    publish(office.url, {"a": (2, 2)})  # a run that publishes meanwhile
    compare("run", differences='["one row is missing"]')
    refused("a comparison found a difference, and none has found everything equal since")
    compare("command")
    publish(office.url, {"a": (3, 3)})
    assert office.document(*release)["released"] == ["20261129T020000Z"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE SCHEMA crm", "the schema crm, which is not of viewledger"),
        ("CREATE TABLE public.customers (name text)", "public.customers, which is not of viewledger"),
        ("CREATE SEQUENCE public.numbers", "public.numbers, which is not of viewledger"),
        (
            "INSERT INTO billing.policies (kind, policy_version, first_on, document, content_hash, actor) SELECT kind, "
            "2, '2027-01-01', document, content_hash, 'eve' FROM billing.policies WHERE kind = 'counting'",
            "1 row of billing.policies",
        ),
    ],
)
def test_a_database_with_anything_else_in_it_is_not_empty(office: Office, statement: str, words: str) -> None:
    office.destroy()
    assert what_is_there(office.url) is None
    administer(office.url, statement)
    assert what_is_there(office.url) == words


def test_a_restore_removes_only_what_migrations_make(office: Office) -> None:
    manifest = office.back_up()
    office.destroy()
    migrations = (
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1"
    )
    made = queries(office.url, migrations)
    administer(office.url, "CREATE SCHEMA crm CREATE TABLE customers (name text)")
    restore(office.url, office.folder, manifest, actor="olga", reason="the disks burnt")
    assert queries(office.url, migrations) == sorted([*made, ("crm",)])
    assert queries(office.url, "SELECT count(*) FROM crm.customers") == [(0,)]
