"""Notices to payees by webhook on a real PostgreSQL and an HTTP server: signed, once, and also without an address."""

import base64
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.notices.postgres_notices import PostgresNotices
from billing.postgres_session import connector, one_transaction
from jobs.exit_codes import ExitCode
from jobs.wiring.notice_channels import read_channel
from tests.notices_command import Run, bill_and_pay, books_with_accounts, notices_command
from tests.smtp_server import smtp_server
from tests.webhook_server import Received, WebhookReceiverOfTests, webhook_server

KEY = b"a key of twenty-four b.."
SINCE = "VIEWLEDGER_WEBHOOK_SINCE"


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with books_with_accounts(postgres_url) as url:
        yield url


@pytest.fixture
def receiver() -> Iterator[WebhookReceiverOfTests]:
    with webhook_server() as server:
        yield server


@pytest.fixture
def run(
    url: str,
    receiver: WebhookReceiverOfTests,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Run]:
    (tmp_path / "secret").write_text(f"whsec_{base64.b64encode(KEY).decode()}\n")
    monkeypatch.setenv("VIEWLEDGER_WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("VIEWLEDGER_WEBHOOK_URL", receiver.url)
    monkeypatch.setenv(SINCE, f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
    with notices_command(url, monkeypatch, capsys, tmp_path) as command:
        yield command


def notices_of(requests: list[Received]) -> list[tuple[str, str, str | None]]:
    """Payee, kind and address of each request."""
    bodies = [json.loads(each.body) for each in requests]
    return sorted((each["data"]["payee_id"], each["type"], each["data"]["email"]) for each in bodies)


def test_every_payee_with_an_account_is_told_once_with_or_without_an_address(
    url: str, run: Run, receiver: WebhookReceiverOfTests
) -> None:
    bill_and_pay(url)
    code, out, _ = run("send", "--json")
    assert (code, json.loads(out)) == (ExitCode.OK, {"delivered_count": 6, "refused_count": 0, "waiting_count": 0})
    assert json.loads(run("send", "--json")[1])["delivered_count"] == 0
    assert notices_of(receiver.received) == [
        ("ann", "account_in_force", "ann@old.example"),
        ("ann", "payout_instructed", "ann@old.example"),
        ("ann", "statement_final", "ann@old.example"),
        ("bob", "account_in_force", None),
        ("bob", "payout_instructed", None),
        ("bob", "statement_final", None),
    ]
    with one_transaction(connector(url)) as cursor:
        cursor.execute("SELECT DISTINCT channel FROM billing.notice_attempts")
        assert cursor.fetchall() == [("webhook",)]


def test_nothing_from_before_the_first_day_is_told_and_what_one_channel_delivered_the_other_does_not_send(
    run: Run, receiver: WebhookReceiverOfTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, since = receiver.url, os.environ[SINCE]
    monkeypatch.setenv(SINCE, f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}")
    code, out, _ = run("send", "--json")
    assert (code, json.loads(out)["delivered_count"], receiver.received) == (ExitCode.OK, 0, [])
    assert json.loads(run("sent", "--json")[1])["notices"] == []
    with smtp_server() as smtp:
        for name in ("VIEWLEDGER_WEBHOOK_URL", "VIEWLEDGER_WEBHOOK_SECRET_FILE", SINCE):
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("VIEWLEDGER_SMTP_URL", f"smtp://127.0.0.1:{smtp.port}")
        monkeypatch.setenv("VIEWLEDGER_NOTICES_FROM", "payments@views.example")
        assert json.loads(run("sent", "--json")[1])["notices"][0]["address"] == "a…@old.example"
        assert json.loads(run("send", "--json")[1]) == {"delivered_count": 1, "refused_count": 0, "waiting_count": 0}
        monkeypatch.setenv("VIEWLEDGER_WEBHOOK_URL", here)
        assert run("send")[0] == ExitCode.BAD_INPUT
        monkeypatch.setenv("VIEWLEDGER_SMTP_URL", "")
    monkeypatch.setenv("VIEWLEDGER_WEBHOOK_SECRET", f"whsec_{base64.b64encode(KEY).decode()}")
    monkeypatch.setenv(SINCE, since)
    assert json.loads(run("send", "--json")[1])["delivered_count"] == 1
    assert notices_of(receiver.received) == [("bob", "account_in_force", None)]
    assert [each["state"] for each in json.loads(run("sent", "--json")[1])["notices"]] == ["delivered"] * 2


def test_a_refused_notice_costs_an_attempt_and_a_receiver_that_is_away_or_refuses_all_costs_none(
    url: str, run: Run, receiver: WebhookReceiverOfTests
) -> None:
    bill_and_pay(url)
    receiver.answer = lambda _request: (503, b"")
    assert run("send")[0] == ExitCode.UNAVAILABLE
    receiver.answer = lambda _request: (401, b"wrong signature")
    code, _, error = run("send")
    assert (code, "refuses this sender (401 Unauthorized wrong signature)" in error) == (ExitCode.REFUSED, True), error
    assert len(receiver.received) == 2
    receiver.received.clear()
    receiver.answer = lambda request: (
        (422, b"unknown") if json.loads(request.body)["data"]["payee_id"] == "ann" else (200, b"")
    )
    for attempt in range(10):
        code, out, _ = run("send", "--json")
        expected = {
            "delivered_count": 0 if attempt else 3,
            "refused_count": 3,
            "waiting_count": 0 if attempt == 9 else 3,
        }
        assert (code, json.loads(out)) == (ExitCode.REFUSED, expected)
    assert json.loads(run("send", "--json")[1]) == {"delivered_count": 0, "refused_count": 0, "waiting_count": 0}
    found = json.loads(run("sent", "--state", "refused", "--json")[1])["notices"]
    assert [(each["payee_id"], each["attempt_count"], each["error"]) for each in found] == [
        ("ann", 10, "422 Unprocessable Entity unknown")
    ] * 3
    ids = {each.headers["webhook-id"] for each in receiver.received}
    assert (len(ids), len(receiver.received)) == (6, 33)


def test_two_senders_at_once_send_each_notice_once(url: str, run: Run, receiver: WebhookReceiverOfTests) -> None:
    bill_and_pay(url)
    login = os.environ["VIEWLEDGER_NOTICES_POSTGRES_URL"]
    channel, outcomes = read_channel(os.environ), list[str | None]()
    both_read = threading.Barrier(2, timeout=30)

    def sender() -> None:
        notices = PostgresNotices(connector(login, "viewledger_notices"), webhook_since=channel.since)
        due = notices.due()
        both_read.wait()
        with channel.opened() as deliver:
            outcomes.extend(notices.attempt(each, deliver) for each in due)

    threads = [threading.Thread(target=sender) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(map(str, outcomes)) == ["None"] * 6 + ["delivered"] * 6
    assert len({each.headers["webhook-id"] for each in receiver.received}) == len(receiver.received) == 6
