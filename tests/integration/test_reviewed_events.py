"""Events that wait for a decision, from the log to the payee: on the real servers, by the commands an operator uses."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from faults.warm_driver import WarmDriver
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent
from ingestion.intake import AdmittedEvent
from ingestion.jwt_receipts import public_key_set
from ingestion.receipts import ReceiptedEvent
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT
from tests.batch_on_stack import Batch, own_batch
from tests.receipt_makers import KEYS, line_of, line_over

RATE_MICROS = 1_234_567
"""Per 1,000 views without a country, in deploy/sample/rates.yaml."""


@pytest.fixture
def batch(stack_environment: Mapping[str, str], tmp_path: Path, warm_driver: WarmDriver) -> Iterator[Batch]:
    state = tmp_path / "state"
    state.mkdir()
    with own_batch(stack_environment, state, warm_driver) as own:
        yield own


def test_a_conflict_and_a_late_event_delay_nobody_and_the_accepted_one_is_paid_by_a_restatement(
    batch: Batch, tmp_path: Path
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    period = f"{today - timedelta(days=38):%Y-%m-%d}/{today - timedelta(days=32):%Y-%m-%d}"
    month = ("--period", period)
    import_catalogue(batch, tmp_path)
    batch.send(2, number=9001, video_id="_late", happened_at=today - timedelta(days=33))
    batch.send(1, number=9001, video_id="_late", happened_at=today - timedelta(days=33), view_duration=41)
    for days in (20, 10):  # one id on two days that no run compares
        batch.send(1, number=9009, video_id="_late", happened_at=today - timedelta(days=days))
    batch.send(1, number=9003, video_id="_late", happened_at=today - timedelta(days=37, hours=-3))
    verdicts = batch.result("batch", "run")["verdicts"]
    assert (verdicts["conflict"], verdicts["late_review"]) == (1, 1)
    billed = batch.result("billing", "run", *month, "--actor", "eve")
    assert (billed["billable_views"], billed["earned_micros"]) == (2, 2 * RATE_MICROS // 1000), "they delay nobody"
    assert [each.partition(":")[0] for each in billed["remarks"]] == ["late_review", "conflict"]
    decided = batch.result("billing", "conflicts", "decide", *month, "--reason", "a fixed player", "--actor", "max")
    assert decided["decided_count"] == 1

    reason = ("--reason", "a player that was offline", "--actor", "max")
    assert batch.result("billing", "late", "decide", *month, "--as", "accepted", *reason)["decided_count"] == 1
    counted = batch.result("batch", "run")
    assert (counted["archived_count"], counted["accepted_count"]) == (0, 1), "a decision alone makes a version"
    assert f"{today - timedelta(days=37):%Y-%m-%d}" in counted["judged_days"]
    restated = batch.result("billing", "restate", *month, "--cause", "one late view", "--actor", "eve")
    assert restated["billable_views"] == 3
    approved = batch.result("billing", "statements", "approve", *month, "--actor", "max")
    assert approved["posted_count"] == 1
    (notice,) = batch.result("billing", "notices", "list", "--payee", "ann")["notices"]
    assert notice["delta_micros"] == 3 * RATE_MICROS // 1000 - 2 * RATE_MICROS // 1000, "what one view is worth"

    assert batch.result("rebuild", "batch")["state"] == "equal"
    assert batch.result("reconcile")["is_equal"]
    audited = batch.run_warm("audit", "ids")
    assert audited.returncode == ExitCode.DIFFERENCE, audited.stderr
    assert f"event {uuid.UUID(int=9009)} is counted 2 times" in audited.stderr
    figures = Path(batch.environ["VIEWLEDGER_STATE_DIR"]) / "metrics" / "audit-ids.prom"
    assert "viewledger_repeated_ids 1.0" in figures.read_text()
    receipts = receipts_of(batch, tmp_path)
    found = batch.result("receipts", "check", str(receipts[0]), "--keys", str(receipts[1]))
    assert (found["in_log"], found["wrong"], found["not_settled"]) == (len(batch.sent), 0, 0)
    assert verified_bundle(batch, tmp_path, period, receipts) == 0
    with_one_more(receipts[0])
    checked = batch.run_warm("receipts", "check", str(receipts[0]), "--keys", str(receipts[1]))
    assert checked.returncode == ExitCode.DIFFERENCE
    assert f"event {uuid.UUID(int=9999)}, receipted at" in checked.stderr


def import_catalogue(batch: Batch, folder: Path) -> None:
    (folder / "payees.csv").write_text("payee_id,name\nann,Ann\n")
    (folder / "videos.csv").write_text("video_id,payee_id\n_late,ann\n")
    files = [f"--{name}={folder / name}.csv" for name in ("payees", "videos")]
    done = batch.run_warm(
        "billing", "catalogue", "import", *files, f"--rates={PROJECT / 'deploy' / 'sample' / 'rates.yaml'}"
    )
    assert done.returncode == ExitCode.OK, done.stderr


def receipts_of(batch: Batch, folder: Path) -> tuple[Path, Path]:
    """Receipts for every message, as a collector would have given them, and the keys that check them."""
    receipts, keys = folder / "receipts.jsonl", folder / "receipt-keys.json"
    keys.write_bytes(public_key_set(KEYS))
    receipts.write_bytes(b"".join(line_of([admitted(value)], at=datetime.now(UTC)) for value in batch.sent))
    return receipts, keys


def with_one_more(receipts: Path) -> None:
    """Adds the receipt of an event that is not in the log, given an hour before the log was archived."""
    event = json.loads(receipts.read_bytes().splitlines()[0])["events"][0]
    gone = ReceiptedEvent(str(uuid.UUID(int=9999)), "_late", date.fromisoformat(event["event_day"]), event["sha256"])
    with receipts.open("ab") as file:
        file.write(line_over([gone], at=datetime.now(UTC) - timedelta(hours=1)))


def admitted(value: bytes) -> AdmittedEvent:
    event = decode_view_event(value)
    assert not isinstance(event, RejectedEvent)
    return AdmittedEvent(str(event.event_id), event.video_id.encode(), value, event.timestamp)


def verified_bundle(batch: Batch, folder: Path, period: str, receipts: tuple[Path, Path]) -> int:
    """Signs the books, exports the period's bundle and returns the result of the stand-alone verifier."""
    key, bundle = folder / "key.pem", folder / "bundle"
    for words in (
        ("keys", "create", "--key", str(key)),
        ("checkpoint", "--to", str(folder / "checkpoints")),
        ("export", "--period", period, "--to", str(bundle)),
    ):
        done = batch.run_warm("billing", *words, VIEWLEDGER_SIGNING_KEY=str(key))
        assert done.returncode == ExitCode.OK, done.stderr
    program = PROJECT / "verifier" / "viewledger_verify.py"
    given = ("--receipts", receipts[0], "--receipt-keys", receipts[1])
    checked = subprocess.run(
        [sys.executable, program, bundle, "--pubkey", f"{key}.pub", "--json", *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in checked.stderr
    assert json.loads(checked.stdout)["receipted_events"] == 4, "those of the period, counted or not"
    return checked.returncode
