"""The drill: events, a billed day, a backup, later events and a payout; everything is destroyed, and comes back.

It prints what was lost and how long it took; docs/operate/backup.md has these figures.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from faults.warm_driver import WarmDriver
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack, temporary_folder
from tests.account_reports import IBAN, balances, detail, entry, report, statement
from tests.batch_on_stack import Batch
from tests.billing_postgres import put_in_force
from tests.integration.test_speed_process import Running

TODAY = datetime.now(UTC).date()
DAY = TODAY - timedelta(days=3)
NOON = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
PERIOD = f"{DAY}/{DAY + timedelta(days=1)}"
WHO = ("--actor", "olga", "--reason", "everything burnt")
RATES = """
currency: EUR
contracts:
  - name: standard
    cards:
      - effective_from_on: 2020-01-01
        rate_per_thousand_micros: {default: 100_000_000}
"""
CREATE = ("billing", "payouts", "create", "--currency", "EUR", "--execution-on", str(TODAY + timedelta(days=1)))
DATA = ("kafka", "redis", "postgres", "hdfs-names", "hdfs-blocks", "prepared")


class Platform:
    """A stack that can be destroyed, and the commands on it."""

    def __init__(self, folder: Path, warm: WarmDriver) -> None:
        self.folder, self.warm = folder, warm
        self.stack = LocalStack.start(folder / "stack")
        self.batch = self.connected()

    def connected(self) -> Batch:
        environ = {**self.stack.environment, "VIEWLEDGER_PAYOUT_DEBTOR_NAME": "Viewledger"}
        environ |= {"VIEWLEDGER_PAYOUT_DEBTOR_IBAN": IBAN}
        producer = KafkaProducer(bootstrap_servers=environ["VIEWLEDGER_KAFKA_BOOTSTRAP"])
        return Batch(environ, "video-views", producer, self.warm)

    def destroy(self) -> None:
        """End every server and process, remove what they kept, and start empty ones at the same addresses."""
        self.batch.producer.close()
        ports = self.stack.ports
        self.stack.stop()
        for name in DATA:
            shutil.rmtree(self.folder / "stack" / name)
        self.stack = LocalStack.start(self.folder / "stack", ports=ports)
        self.batch = self.connected()

    def do(self, *words: str) -> dict[str, Any]:
        return self.batch.result(*words)

    def refused(self, *words: str) -> str:
        done = self.batch.run_warm(*words)
        assert done.returncode == ExitCode.REFUSED, done.stderr
        return done.stderr

    def import_terms(self) -> None:
        for name, text in (
            ("payees.csv", "payee_id,name,user_id\nann,Ann,\n"),
            ("videos.csv", "video_id,payee_id\n-video,ann\n"),
            ("rates.yaml", RATES),
            ("accounts.csv", "payee_id,holder_name,iban,bic\nann,Ann,DE89370400440532013000,\n"),
        ):
            (self.folder / name).write_text(text)
        files = [
            f"--{name.partition('.')[0]}={self.folder / name}" for name in ("payees.csv", "videos.csv", "rates.yaml")
        ]
        for words in (
            ("catalogue", "import", *files),
            ("bank-accounts", "import", f"--file={self.folder}/accounts.csv"),
        ):
            self.do("billing", *words)
            put_in_force(self.batch.environ["VIEWLEDGER_POSTGRES_URL"])

    def pay(self) -> str:
        """Send a batch to the bank; return the id of its payment."""
        batch = self.do(*CREATE, "--actor", "eve")["batch_id"]
        self.do("billing", "payouts", "approve", "--batch", batch, "--actor", "max")
        self.do("billing", "payouts", "file", "--batch", batch, "--out", str(self.folder / "out.xml"), "--actor", "eve")
        (payment,) = self.do("billing", "payouts", "show", "--batch", batch)["payments"]
        return str(payment["item_id"])


@contextmanager
def counting(environ: Mapping[str, str]) -> Iterator[None]:
    """Count provisionally inside the block."""
    speed = Running(dict(environ))
    try:
        yield
    finally:
        speed.child.kill()
        speed.child.communicate()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with temporary_folder() as folder, closing(WarmDriver(tmp_path / "driver.log")) as warm:
        made = Platform(folder, warm)
        try:
            yield made
        finally:
            made.batch.producer.close()
            made.stack.stop()


def test_everything_is_destroyed_after_a_later_payout_and_comes_back(platform: Platform) -> None:
    place = str(platform.folder / "backups")
    # 1. A billed day, and a backup.
    platform.import_terms()
    platform.batch.send(200, number=1, happened_at=NOON)
    assert platform.do("batch", "run", "--judge-period", PERIOD)["version"] == 1
    billed = platform.do("billing", "run", "--period", PERIOD, "--actor", "eve")
    assert (billed["posted_count"], billed["billable_views"]) == (1, 200)
    backed_up = platform.do("backup", "--to", place)
    # 2. Later: events, some of them in a version, and a payout.
    platform.batch.send(30, number=1_000)
    assert platform.do("batch", "run")["version"] == 2
    platform.batch.send(10, number=2_000)
    payment = platform.pay()
    lost_seconds = time.time() - datetime.strptime(backed_up["backup_id"], "%Y%m%dT%H%M%S%z").timestamp()
    # 3. Everything is destroyed, Kafka and Redis too.
    platform.destroy()
    begun = time.monotonic()
    restored = platform.do("restore", "--from", place, *WHO)
    assert restored["version"] == 1
    assert platform.batch.run_warm("topics", "new-generation", *WHO).returncode == ExitCode.OK
    with counting(platform.batch.environ):
        assert platform.do("rebuild", "speed")["events"] == 0
        assert platform.do("reconcile")["is_equal"]
        assert platform.do("billing", "proof", "verify")["problems"] == []
        recovered_seconds = time.monotonic() - begun
        # 4. Counting goes on in the new log; nobody is paid before the payout is found at the bank.
        platform.batch.send(7, number=3_000)
        assert platform.do("rebuild", "speed")["events"] == 7
        again = platform.do("batch", "run")
    assert (again["version"], again["archived_count"], again["verdicts"]["counted"]) == (2, 7, 207)
    assert "payouts wait; a second person releases them" in platform.refused(*CREATE, "--actor", "eve")
    debit = entry("-20.00", detail(payment), day=str(datetime.now(UTC).date()))
    (platform.folder / "camt.xml").write_text(report(statement([debit], of=balances("100.00", "80.00"))))
    platform.batch.run_warm("billing", "payouts", "import", "--file", str(platform.folder / "camt.xml"), *WHO[:2])
    release = ("billing", "payouts", "release", "--actor", "max", "--reason", "ann's payment is held back")
    assert "the bank booked -20.000000 EUR" in platform.refused(*release)
    hold = ("--payee", "ann", "--currency", "EUR", "--amount", "20.00", "--reason", "paid after the backup")
    platform.do("billing", "holds", "place", *hold, "--actor", "eve")
    assert platform.do("reconcile")["is_equal"]
    platform.do(*release, "--declare")
    assert platform.do(*CREATE, "--actor", "eve")["item_count"] == 0
    print(
        f"\nlost: {30 + 10} events and 1 payout of {lost_seconds:.0f} s; recovered after {recovered_seconds:.0f} s: "
        f"{restored['file_count']} files"
    )
