"""Notices by webhook: body, signature, settings, and how each answer of a receiver is understood."""

import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from billing.errors import ChannelRefusedError, NoticeRefusedError
from billing.notices.http_webhook import REASON_CHARACTERS_MAX, HttpWebhook, WebhookReceiver
from billing.notices.notice import KINDS
from billing.notices.webhook import body_of, signed_headers
from faults.certificates import Authority
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.notice_channels import read_channel
from tests.payee_notices import FINAL_STATEMENT
from tests.webhook_server import WebhookReceiverOfTests, webhook_server

KEY = b"k" * 24
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
NEW_KEY = b"n" * 32
NEW_SECRET = f"whsec_{base64.b64encode(NEW_KEY).decode()}"
BODY = body_of(FINAL_STATEMENT, portal_url=None)
SETTINGS = {
    "VIEWLEDGER_WEBHOOK_URL": "https://views.example/hooks",
    "VIEWLEDGER_WEBHOOK_SECRET": SECRET,
    "VIEWLEDGER_WEBHOOK_SINCE": "2026-12-01",
}


def test_the_signature_is_that_of_the_vector_which_the_libraries_of_the_specification_test() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(
        [key, NEW_KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', attempted_at=1614265330
    )
    first, second = headers["Webhook-Signature"].split(" ")
    assert first == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert second.startswith("v1,")
    assert second != first
    assert (headers["Webhook-Id"], headers["Webhook-Timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


def test_a_statement_is_told_with_its_days_its_amount_and_a_link() -> None:
    assert json.loads(body_of(FINAL_STATEMENT, portal_url="https://views.example")) == {
        "type": "statement_final",
        "timestamp": "2026-11-03T04:10:00+00:00",
        "data": {
            "notice_id": "0123456789abcdef0123456789abcdef",
            "payee_id": "ann",
            "email": "ann@example.org",
            "subject_kind": "statement",
            "subject_id": "s1",
            "currency": "EUR",
            "amount_micros": 12_500_000,
            "period_start_on": "2026-10-01",
            "period_end_on": "2026-11-01",
            "link": "https://views.example/portal/statements/s1",
        },
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_body_that_is_the_same_each_time(kind: str) -> None:
    notice = replace(FINAL_STATEMENT, kind=kind, email=None, currency=None, amount_micros=None, period_start_on=None)
    first, again = (body_of(notice, portal_url="https://views.example") for _ in range(2))
    assert first == again
    data = json.loads(first)["data"]
    assert (data["email"], data["amount_micros"], data["period_start_on"]) == (None, None, None)
    assert data["link"].startswith("https://views.example/portal/")


def sent(server: WebhookReceiverOfTests, *, ca_file: Path | None = None, count: int = 1, **bounds: Any) -> None:
    with HttpWebhook(WebhookReceiver(server.url, (KEY, NEW_KEY), ca_file), **bounds) as webhook:
        for index in range(count):
            webhook.send(f"{FINAL_STATEMENT.notice_id}-{index}", BODY)


def test_an_accepted_notice_arrives_signed_by_both_keys_over_one_connection() -> None:
    with webhook_server() as server:
        server.answer = lambda _request: (200, b"thanks")
        sent(server, count=3, clock=lambda: 1_790_000_000.9)
        assert server.connection_count == 1
        first = server.received[0]
        assert (len(server.received), first.path, first.body) == (3, "/hooks/viewledger?from=tests", BODY)
        assert first.headers["content-type"] == "application/json"
        expected = signed_headers([KEY, NEW_KEY], f"{FINAL_STATEMENT.notice_id}-0", BODY, attempted_at=1_790_000_000)
        assert {name: first.headers[name.lower()] for name in expected} == dict(expected)


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (400, NoticeRefusedError, "^400 Bad Request no such payee$"),
        (409, NoticeRefusedError, "^409 Conflict no such payee$"),
        (422, NoticeRefusedError, "^422 Unprocessable Entity no such payee$"),
        (401, ChannelRefusedError, r"refuses this sender \(401 Unauthorized no such payee\)"),
        (404, ChannelRefusedError, r"refuses this sender \(404 Not Found"),
        (410, ChannelRefusedError, r"refuses this sender \(410 Gone"),
        (499, ChannelRefusedError, r"refuses this sender \(499 no such payee\)"),
        (302, ChannelRefusedError, r"redirects \(302\), which is not followed; name the last URL"),
        (429, UnavailableError, r"cannot take notices now \(429 Too Many Requests"),
        (408, UnavailableError, "cannot take notices now"),
        (500, UnavailableError, "cannot take notices now"),
        (503, UnavailableError, "cannot take notices now"),
    ],
)
def test_what_a_status_means(status: int, error: type[Exception], sentence: str) -> None:
    with webhook_server() as server:
        server.answer = lambda _request: (status, b"no\x00such\n  payee")
        server.headers = {"Location": server.url}
        with pytest.raises(error, match=sentence) as caught:
            sent(server)
        assert len(server.received) == 1
        if not isinstance(caught.value, NoticeRefusedError):
            assert str(caught.value).startswith(f"the webhook at http://127.0.0.1:{server.server_port} ")


def test_a_receiver_that_does_not_answer_in_time_or_is_not_there_is_away() -> None:
    with webhook_server() as server:
        server.is_slow_before = True
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            sent(server, whole_seconds_max=0.2)
        assert caught.value.part == Part.WEBHOOK
        server.is_slow_before, server.is_trickling = False, True
        with pytest.raises(UnavailableError, match="does not answer"):
            sent(server, whole_seconds_max=0.3)
    with pytest.raises(UnavailableError, match="does not answer"):
        sent(server)


def test_the_status_decides_even_if_the_rest_of_the_answer_never_comes_or_never_ends() -> None:
    with webhook_server() as server:
        server.answer = lambda _request: (200, b"x" * 10)
        server.is_slow_after = True
        sent(server, whole_seconds_max=0.2)
    with webhook_server() as server:
        server.answer = lambda _request: (400, b"x" * 50_000_000)
        with pytest.raises(NoticeRefusedError) as caught:
            sent(server)
        assert str(caught.value) == f"400 Bad Request {'x' * REASON_CHARACTERS_MAX}"


def test_https_needs_a_certificate_to_trust(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "one"), Authority(tmp_path / "other")
    certified = authority.certify("webhook")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certified.certificate, certified.key)
    with webhook_server(tls) as server:
        sent(server, ca_file=authority.file)
        for ca_file in (stranger.file, None):
            with pytest.raises(ChannelRefusedError, match="has no certificate to trust"):
                sent(server, ca_file=ca_file)
        assert len(server.received) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"VIEWLEDGER_WEBHOOK_URL": "http://views.example/hooks"}, "VIEWLEDGER_WEBHOOK_URL must be https: others"),
        ({"VIEWLEDGER_WEBHOOK_URL": "https://ann:pass@views.example"}, "it must be like https://host/path in ASCII"),
        ({"VIEWLEDGER_WEBHOOK_URL": "https://views.example/#a"}, "without a user or a fragment"),
        ({"VIEWLEDGER_WEBHOOK_URL": "https://viéws.example/"}, "it must be like https://host/path in ASCII"),
        ({"VIEWLEDGER_PORTAL_URL": "https://views.example/portal"}, "VIEWLEDGER_PORTAL_URL is not a usable URL; it"),
        ({"VIEWLEDGER_PORTAL_URL": "https://views.example/?a=b"}, "or http://host:port, without a path"),
        ({"VIEWLEDGER_WEBHOOK_URL": "https://views.example/a b"}, "it must be like https://host/path"),
        ({"VIEWLEDGER_WEBHOOK_URL": ""}, "VIEWLEDGER_WEBHOOK_URL is not set, but VIEWLEDGER_WEBHOOK_SECRET is"),
        ({"VIEWLEDGER_WEBHOOK_SECRET": ""}, "VIEWLEDGER_WEBHOOK_SECRET is not set, but VIEWLEDGER_WEBHOOK_URL is"),
        ({"VIEWLEDGER_WEBHOOK_SECRET": "pass"}, "VIEWLEDGER_WEBHOOK_SECRET has a wrong value; it must be whsec_ and"),
        ({"VIEWLEDGER_WEBHOOK_SECRET": "whsec_cGFzcw=="}, "it must be whsec_ and 24 to 64 bytes in base64"),
        ({"VIEWLEDGER_WEBHOOK_SECRET": SECRET + "x"}, "VIEWLEDGER_WEBHOOK_SECRET has a wrong value"),
        ({"VIEWLEDGER_WEBHOOK_SECRET": f"{SECRET} {SECRET} {SECRET}"}, "or two of them with a space in between"),
        ({"VIEWLEDGER_WEBHOOK_SINCE": ""}, "VIEWLEDGER_WEBHOOK_SINCE is not set, but VIEWLEDGER_WEBHOOK_URL is"),
        ({"VIEWLEDGER_WEBHOOK_SINCE": "yesterday"}, "VIEWLEDGER_WEBHOOK_SINCE is 'yesterday'; it must be a day like"),
        ({"VIEWLEDGER_WEBHOOK_CA_FILE": "/none.pem"}, "'/none.pem'; it must be a file with certificates in PEM form"),
        ({"VIEWLEDGER_WEBHOOK_CA_FILE": __file__}, "it must be a file with certificates in PEM form"),
        ({"VIEWLEDGER_SMTP_URL": "smtps://a:pass@m"}, "VIEWLEDGER_SMTP_URL and VIEWLEDGER_WEBHOOK_URL are both set; "),
        (dict.fromkeys(SETTINGS, ""), "set VIEWLEDGER_SMTP_URL for e-mail or VIEWLEDGER_WEBHOOK_URL for a webhook"),
        (
            dict.fromkeys(SETTINGS, "") | {"VIEWLEDGER_SMTP_URL": "smtps://a:pass@m"},
            "VIEWLEDGER_NOTICES_FROM is not set, but VIEWLEDGER_SMTP_URL is",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_without_a_secret(changes: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as caught:
        read_channel({**SETTINGS, **changes})
    assert caught.value.code == ExitCode.BAD_INPUT
    assert not any(word in str(caught.value) for word in ("pass", "cGFz", SECRET.removeprefix("whsec_")))


def test_the_settings_of_a_webhook_and_of_one_on_this_machine_are_taken() -> None:
    for url in ("https://views.example/hooks?a=b", "http://localhost:8080/", "http://[::1]:8080"):
        channel = read_channel(
            SETTINGS | {"VIEWLEDGER_WEBHOOK_URL": url, "VIEWLEDGER_WEBHOOK_SECRET": f"{NEW_SECRET} {SECRET}"}
        )
        assert str(channel.since) == "2026-12-01"
    with (
        webhook_server() as server,
        read_channel(
            SETTINGS | {"VIEWLEDGER_WEBHOOK_URL": server.url, "VIEWLEDGER_PORTAL_URL": "https://views.example/"}
        ).opened() as deliver,
    ):
        deliver(FINAL_STATEMENT)
        assert server.received[0].headers["webhook-id"] == FINAL_STATEMENT.notice_id
        assert json.loads(server.received[0].body)["data"]["link"] == "https://views.example/portal/statements/s1"
