"""The e-mail of a notice, the address that it goes to, and the TLS that it goes by."""

import random
import ssl
import string
from collections.abc import Mapping
from dataclasses import replace
from email import message_from_bytes
from email.policy import SMTP, default
from pathlib import Path

import pytest

from billing.errors import ChannelRefusedError, NoticeRefusedError
from billing.notices.notice import ATTEMPTS_MAX, KINDS, mail_of
from billing.notices.smtp_mail import SmtpMail, SmtpServer
from billing.payouts.bank_data import email_problem
from faults.certificates import Authority
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.settings.declared.billing import NOTICES_FROM, SMTP_URL
from tests.payee_notices import FINAL_STATEMENT
from tests.smtp_server import smtp_server


def test_a_statement_is_told_with_its_days_its_amount_and_a_link() -> None:
    mail = mail_of(FINAL_STATEMENT, sender="payments@views.example", portal_url="https://views.example")
    assert dict(mail.items()) == {
        "From": "payments@views.example",
        "To": "ann@example.org",
        "Subject": "Your statement of 2026-10-01 to 2026-10-31 is final",
        "Date": "Tue, 03 Nov 2026 04:10:00 +0000",
        "Message-ID": "<0123456789abcdef0123456789abcdef@views.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert mail.get_content() == (
        "Your statement of 2026-10-01 to 2026-10-31 is final. It pays 12.500000 EUR.\n\n"
        "https://views.example/portal/statements/s1\n\n"
        "Notice 0123456789abcdef0123456789abcdef. It may arrive twice; its number is then the same.\n"
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_words_without_a_gap_and_is_the_same_each_time(kind: str) -> None:
    notice = replace(FINAL_STATEMENT, kind=kind)
    first, again = (mail_of(notice, sender="a@b.example", portal_url=None).as_bytes(policy=SMTP) for _ in range(2))
    assert first == again
    text = str(message_from_bytes(first, policy=default).get_content())
    assert not set("{}") & set(text)
    assert "http" not in text
    assert ("12.500000 EUR" in text) == (kind.split("_")[0] in ("statement", "payout", "hold"))


def test_a_notice_waits_until_it_is_delivered_or_refused_too_often() -> None:
    assert FINAL_STATEMENT.state == "waiting"
    assert replace(FINAL_STATEMENT, attempt_count=ATTEMPTS_MAX - 1).state == "waiting"
    assert replace(FINAL_STATEMENT, attempt_count=ATTEMPTS_MAX).state == "refused"
    assert (
        replace(FINAL_STATEMENT, attempt_count=ATTEMPTS_MAX, delivered_at=FINAL_STATEMENT.moved_at).state == "delivered"
    )
    assert FINAL_STATEMENT.masked == "a…@example.org"


@pytest.mark.parametrize(
    "email",
    [
        "", "ann", "ann@", "@example.org", "ann@example", "ann@-a.org", "ann@example..org", "a b@example.org",
        ".a@b.org", "a.@b.org", "ann@example.org\r\nBcc: all@example.org", "ann@example.org\n", "<ann@example.org>",
        "ann@a.org,b@b.org", "änn@example.org", "ann@exämple.org", "a@b@example.org", '"a"@example.org',
        "ann@[127.0.0.1]", "a" * 65 + "@example.org", "ann@" + "a." * 120 + "example",
    ],
)  # fmt: skip
def test_what_is_not_an_address_is_refused_and_never_repeated(email: str) -> None:
    allowed = "ASCII, at most 254 characters, like ann@example.org"
    assert email_problem(email) == f"not an e-mail address; allowed: {allowed}"


@pytest.mark.parametrize("seed", range(5))
def test_no_address_that_is_taken_ends_a_header_or_a_command(seed: int) -> None:
    chance = random.Random(seed)
    alphabet = string.ascii_lowercase * 2 + '@.@.-+ \r\n\0<>,;:"ä'
    for _ in range(500):
        email = "".join(chance.choices(alphabet, k=chance.randrange(5, 12))) + chance.choice(("", "@a.org", "a.org"))
        if email_problem(email) is None:
            assert email.count("@") == 1
            assert not set(' \r\n\0<>,;:"ä') & set(email)
            assert mail_of(replace(FINAL_STATEMENT, email=email), sender="a@b.example", portal_url=None)["To"] == email


def sent(url: str, ca_file: Path | None = None) -> None:
    with SmtpMail(SmtpServer(url, ca_file), timeout_seconds=60) as smtp:
        smtp.send(mail_of(FINAL_STATEMENT, sender="payments@views.example", portal_url=None))


@pytest.mark.parametrize(("scheme", "is_implicit"), [("smtp", False), ("smtps", True)])
def test_mail_goes_by_tls_to_a_server_whose_certificate_is_trusted(
    tmp_path: Path, scheme: str, is_implicit: bool
) -> None:
    authority, stranger = Authority(tmp_path / "one"), Authority(tmp_path / "other")
    certified = authority.certify("smtp")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certified.certificate, certified.key)
    with smtp_server(tls=tls, is_implicit=is_implicit) as server:
        server.password = "p@ss"
        url = f"{scheme}://ann:p%40ss@127.0.0.1:{server.port}"
        sent(url, authority.file)
        assert (len(server.accepted), server.secured) == (1, [True])
        with pytest.raises(ChannelRefusedError, match="has no certificate to trust"):
            sent(url, stranger.file)
        with pytest.raises(ChannelRefusedError, match="refuses the user or the password") as caught:
            sent(url.replace("p%40ss", "wrong"), authority.file)
        assert "wrong" not in str(caught.value).replace("wrong password", "")
        with pytest.raises(ChannelRefusedError, match="a user and a password in ASCII alone"):
            sent(url.replace("p%40ss", "p%C3%A4ss"), authority.file)
        assert len(server.accepted) == 1


def test_a_server_elsewhere_without_tls_is_not_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with smtp_server() as server:
        monkeypatch.setattr("billing.notices.smtp_mail.LOOPBACK", ())
        with pytest.raises(ChannelRefusedError, match="offers no TLS"):
            sent(f"smtp://127.0.0.1:{server.port}")
        assert server.accepted == []


def test_a_refused_receiver_is_not_a_fault_of_the_server_and_a_dead_server_is() -> None:
    with smtp_server() as server:
        server.refused.add("ann@example.org")
        with pytest.raises(NoticeRefusedError, match=r"^550 no such user$"):
            sent(f"smtp://127.0.0.1:{server.port}")
        port = server.port
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        sent(f"smtp://127.0.0.1:{port}")
    assert caught.value.part == Part.SMTP


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"VIEWLEDGER_SMTP_URL": "http://user:secret@a"},
            "VIEWLEDGER_SMTP_URL is not a usable URL; it must be like smtps:",
        ),
        ({}, "VIEWLEDGER_SMTP_URL is not set"),
    ],
)
def test_a_wrong_server_is_refused_without_its_password(environ: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as caught:
        SMTP_URL.read(environ)
    assert "secret" not in str(caught.value)


def test_the_sender_is_an_address_alone() -> None:
    with pytest.raises(CommandError, match="it must be an e-mail address alone"):
        NOTICES_FROM.read({"VIEWLEDGER_NOTICES_FROM": "Views <payments@example.org>"})
