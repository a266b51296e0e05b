"""Groups of traffic that people decide on after their period was billed: every place that shows a number agrees."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from faults.warm_driver import WarmDriver
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT
from serving_layer.access.access import Role
from tests.batch_on_stack import Batch, own_batch
from tests.integration.test_portal import signed_in, token
from tests.server_process import ServerProcess, server_process

RATE_MICROS = 1_234_567
"""Per 1,000 views without a country, in deploy/sample/rates.yaml."""
LONG = 30_000
"""Seconds of a view, of which four on one day are more hours than a person watches, and three are not."""
PAYEES = ("ann", "bob", "cat", "dan")
LONG_VIEWS = 4
AT = datetime.combine(datetime.now(UTC).date() - timedelta(days=33), time(0), UTC)
"""Late enough that every instant but the last at which its day is judged has passed."""
PERIOD = f"{AT - timedelta(days=5):%Y-%m-%d}/{AT + timedelta(days=1):%Y-%m-%d}"
MONTH = ("--period", PERIOD)


@dataclass(frozen=True)
class Shown:
    """What is shown of a payee's views."""

    views: int
    billable: int

    @property
    def micros(self) -> int:
        """What they earn."""
        return self.billable * RATE_MICROS // 1_000


BILLED = {"ann": Shown(7, 3), "bob": Shown(7, 3), "cat": Shown(6, 2), "dan": Shown(3, 3)}
"""Four views of ann, bob and cat are under review, and three of dan are not yet."""
DECIDED = {"ann": Shown(7, 7), "bob": Shown(3, 3), "cat": Shown(6, 2), "dan": Shown(0, 0)}
"""ann's group is released; bob's, and dan's of four views by now, are confirmed; nobody decided on cat's."""


@pytest.fixture
def batch(stack_environment: Mapping[str, str], tmp_path: Path, warm_driver: WarmDriver) -> Iterator[Batch]:
    state = tmp_path / "state"
    state.mkdir()
    ruled_from = AT.date() - timedelta(days=30)
    with own_batch(stack_environment, state, warm_driver, traffic_ruled_from=ruled_from) as own:
        yield own


def test_decisions_after_billing_move_their_events_and_money_moves_by_a_restatement(
    batch: Batch, tmp_path: Path
) -> None:
    import_catalogue(batch, tmp_path)
    send_views(batch)
    assert batch.result("batch", "run")["judged_days"] == [f"{AT:%Y-%m-%d}"]
    billed = batch.result("billing", "run", *MONTH, "--actor", "eve")
    assert billed["earned_micros"] == sum(each.micros for each in BILLED.values())
    assert balances(batch) == {payee: each.micros for payee, each in BILLED.items()}

    send_long_view(batch, "dan", 3, number=99)
    judged = batch.result("batch", "run", "--judge-period", PERIOD)
    assert judged["archived_count"] == 1
    prices_a_policy(batch, tmp_path)
    decide_on_groups(batch)
    assert batch.result("batch", "run")["archived_count"] == 0, "decisions alone make a version"
    assert balances(batch) == {payee: each.micros for payee, each in BILLED.items()}, "no money moves by itself"

    restate = ("restate", *MONTH, "--cause", "groups of traffic were decided on", "--actor", "eve")
    batch.result("billing", *restate)
    assert batch.result("billing", "statements", "approve", *MONTH, "--actor", "max")["posted_count"] == 2
    assert balances(batch) == {payee: each.micros for payee, each in DECIDED.items()}, "paid + correction"
    assert_statements_are_right(batch)
    assert all(each["difference_nanomicros"] == 0 for each in batch.result("billing", "ledger", "totals").values())
    assert batch.result("reconcile")["is_equal"]
    assert batch.result("rebuild", "batch")["state"] == "equal"
    assert_bundles_are_right(batch, tmp_path)
    with api_of(batch) as api:
        assert_api_shows(api, batch, DECIDED)
        assert_portal_shows(api, batch)


def import_catalogue(batch: Batch, folder: Path) -> None:
    (folder / "payees.csv").write_text("payee_id,name\n" + "".join(f"{each},{each.title()}\n" for each in PAYEES))
    videos = [f"{payee}-{number},{payee}\n" for payee in PAYEES for number in range(LONG_VIEWS)]
    (folder / "videos.csv").write_text("video_id,payee_id\n" + "".join(videos))
    files = [f"--{name}={folder / name}.csv" for name in ("payees", "videos")]
    rates = f"--rates={PROJECT / 'deploy' / 'sample' / 'rates.yaml'}"
    done = batch.run_warm("billing", "catalogue", "import", *files, rates)
    assert done.returncode == ExitCode.OK, done.stderr


def send_views(batch: Batch) -> None:
    for index, (payee, honest, long) in enumerate((("ann", 3, 4), ("bob", 3, 4), ("cat", 2, 4), ("dan", 0, 3))):
        batch.send(honest, number=10 * index + 1, video_id=f"{payee}-0", happened_at=AT)
        for number in range(long):
            send_long_view(batch, payee, number, number=10 * index + 5 + number)


def send_long_view(batch: Batch, payee: str, video: int, *, number: int) -> None:
    begun = AT + timedelta(hours=5 * video)
    viewer = f"long viewer of {payee}"
    batch.send(1, number=number, video_id=f"{payee}-{video}", happened_at=begun, view_duration=LONG, user_id=viewer)


def decide_on_groups(batch: Batch) -> None:
    groups = {each["payee_id"]: each for each in batch.result("traffic", "review")["groups"]}
    assert {payee: each["event_count"] for payee, each in groups.items()} == dict.fromkeys(PAYEES, LONG_VIEWS)
    for payee, decision in (("ann", "--release"), ("bob", "--confirm"), ("dan", "--confirm")):
        words = ("--group", groups[payee]["group"], decision, "--reason", "looked at them", "--actor", "max")
        assert batch.result("traffic", "decide", *words)["event_count"] == LONG_VIEWS


def prices_a_policy(batch: Batch, folder: Path) -> None:
    """A policy by which nobody watches too long pays all sixteen views that are under review; nothing is written."""
    before = batch.current()
    file = folder / "changes.yaml"
    file.write_text("hours_review: 90\nhours_invalid: 99\n")
    found = batch.result("billing", "backtest", *MONTH, "--traffic-policy", str(file))
    (move,) = found["moves"]
    assert (move["now"], move["proposed"], move["all"]["event_count"]) == ("under_review", "paid", 16)
    assert move["all"]["micros"] == 16 * RATE_MICROS // 1_000
    assert (found["groups_now"], found["groups_proposed"]) == (4, 0)
    assert (found["now"]["views"], found["proposed"]["views"]) == (8, 24)
    assert batch.current() == before


def balances(batch: Batch) -> dict[str, int]:
    """What is owed to each payee by the ledger."""
    found = batch.result("billing", "ledger", "balances")["balances"]
    return {payee: sum(-each["balance_micros"] for each in found if each["account"].endswith(f":{payee}"))
            for payee in PAYEES}  # fmt: skip


def statement_of(batch: Batch, payee: str, *restatement: str) -> dict[str, Any]:
    return batch.result("billing", "statements", "show", "--payee", payee, *MONTH, *restatement)


def assert_statements_are_right(batch: Batch) -> None:
    """ann and dan have a second statement and a notice; of bob and cat the first one stays: no money moves."""
    for payee in PAYEES:
        first, newest = statement_of(batch, payee, "--restatement", "0"), statement_of(batch, payee)
        moved = DECIDED[payee].micros - BILLED[payee].micros
        assert_is_of(first, BILLED[payee])
        assert_is_of(newest, DECIDED[payee] if moved else BILLED[payee])
        assert (newest["restatement_number"], newest["state"]) == (int(moved != 0), "finalised")
        notices = batch.result("billing", "notices", "list", "--payee", payee)["notices"]
        assert [each["delta_micros"] for each in notices] == ([moved] if moved else [])


def assert_is_of(statement: Mapping[str, Any], shown: Shown) -> None:
    """The chain ends at the billable views, and the lines come to what they earn."""
    chain = {each["name"]: each["events"] for each in statement["chain"]}
    assert (chain["counted"], chain["billable"]) == (shown.views, shown.billable), chain
    assert sum(each["amount_micros"] for each in statement["lines"]) == statement["earned_micros"] == shown.micros


def api_of(batch: Batch) -> Any:
    return server_process("jobs.processes.api", "VIEWLEDGER_API_PORT", batch.environ)


def assert_api_shows(api: ServerProcess, batch: Batch, shown: Mapping[str, Shown]) -> None:
    for payee, each in shown.items():
        headers = {"Authorization": f"Bearer {token(batch.environ, Role.CREATOR, payee)}"}
        counts = api.client.get(f"/v1/channels/{payee}/views", headers=headers).json()
        assert (counts["settled_views"], counts["billable_views"]) == (each.views, each.billable), (payee, counts)


def assert_portal_shows(api: ServerProcess, batch: Batch) -> None:
    """The newest statement of a payee, from the events received down to the amount."""
    chains = {
        "ann": ["Events received 7", "Views 7", "Billable views 7"],
        "dan": ["Events received 4", "Views 0", "Billable views 0"],
    }
    for payee, links in chains.items():
        with signed_in(api, token(batch.environ, Role.CREATOR, payee)) as creator:
            statement_id = statement_of(batch, payee)["statement_id"]
            page = creator.get(f"/portal/statements/{statement_id}").text
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
        for link in links:
            assert link in text, (payee, text)


def assert_bundles_are_right(batch: Batch, folder: Path) -> None:
    """A payee's bundle has no threshold; an auditor's has what finds every reason again; both verify alone."""
    key = folder / "key.pem"
    for words in (("keys", "create", "--key", str(key)), ("checkpoint", "--to", str(folder / "checkpoints"))):
        done = batch.run_warm("billing", "proof", *words, VIEWLEDGER_SIGNING_KEY=str(key))
        assert done.returncode == ExitCode.OK, done.stderr
    for reader in ("payee", "auditor"):
        bundle = folder / f"for-{reader}"
        batch.result("billing", "proof", "export", *MONTH, "--for", reader, "--to", str(bundle))
        found = verified(bundle, key, reader)
        has_thresholds = b"hours_review" in (bundle / "records.jsonl").read_bytes()
        assert (found["for"], found["events"], has_thresholds) == (reader, 24, reader == "auditor")
    assert (found["days_judged_again"], found["events_judged_again"], found["judged_days_left_out"]) == (1, 24, 0)


def verified(bundle: Path, key: Path, reader: str) -> dict[str, Any]:
    program = PROJECT / "verifier" / "viewledger_verify.py"
    words = [sys.executable, program, bundle, "--pubkey", f"{key}.pub", "--for", reader, "--json"]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return dict(json.loads(checked.stdout))
