"""`./viewledger billing notices send | sent`: notices to payees by e-mail."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC

from billing.notices.notice import PayeeNotice, mail_of
from billing.notices.postgres_notices import PostgresNotices
from billing.notices.smtp_mail import SmtpMail, SmtpServer
from ingestion.contract.printable import counted
from jobs.commands.billing.figures import record_notices
from jobs.commands.billing.tables import aligned
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.api import PORTAL_URL
from jobs.settings.declared.billing import NOTICES_FROM, SMTP_CA_FILE, SMTP_URL
from jobs.wiring.billing_settings import NOTICES_ROLE, billing_connector, progress, show
from jobs.wiring.billing_work import billing_work

REPORTED_EVERY = 100


@billing_work
def send_notices(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Send what is due, oldest first; exit REFUSED if the server refused some. What was sent is not sent again."""
    server, sender, portal_url = _server(environ), NOTICES_FROM.read(environ), PORTAL_URL.read_if_set(environ)
    origin, report = portal_url.rstrip("/") if portal_url else None, progress(as_json=as_json)
    notices, outcomes = PostgresNotices(billing_connector(environ, NOTICES_ROLE)), Counter[str]()
    due = notices.due()
    try:
        if due:
            report(f"{counted(len(due), 'notice')} to send")
            with SmtpMail(server) as mail:

                def deliver(notice: PayeeNotice) -> None:
                    mail.send(mail_of(notice, sender=sender, portal_url=origin))

                for index, each in enumerate(due, start=1):
                    if outcome := notices.attempt(each, deliver):
                        outcomes[outcome] += 1
                    if index % REPORTED_EVERY == 0:
                        report(f"{index} of {len(due)}")
    finally:
        # also when the server does not answer: that is what must be seen
        left = notices.due()
        record_notices(environ, left)
    document = {
        "delivered_count": outcomes["delivered"],
        "refused_count": outcomes["refused"],
        "waiting_count": len(left),
    }
    show(
        document,
        lambda: (
            f"{counted(outcomes['delivered'], 'notice')} sent, {outcomes['refused']} refused, {len(left)} left to send"
        ),
        as_json=as_json,
    )
    return ExitCode.REFUSED if outcomes["refused"] else ExitCode.OK


def _server(environ: Mapping[str, str]) -> SmtpServer:
    authorities = SMTP_CA_FILE.read_if_set(environ)
    if authorities is not None and not authorities.is_file():
        raise CommandError(
            f"{SMTP_CA_FILE.name} is {str(authorities)!r}; it must be a file with certificates in PEM form",
            ExitCode.BAD_INPUT,
        )
    return SmtpServer(SMTP_URL.read(environ), authorities)


@billing_work
def list_sent(environ: Mapping[str, str], *, payee: str | None, state: str | None, as_json: bool) -> ExitCode:
    """Print what payees are told, newest first, and whether it was delivered."""
    notices = PostgresNotices(billing_connector(environ, NOTICES_ROLE)).of_payee(payee)
    found = [each for each in notices if state in (None, each.state)]
    rows = [
        (
            f"{each.moved_at:%Y-%m-%d %H:%M}",
            each.payee_id,
            each.kind,
            each.masked,
            each.state,
            str(each.attempt_count),
            each.amount,
            each.last_error or "",
        )
        for each in found
    ]
    document = {
        "notices": [
            {
                "notice_id": each.notice_id,
                "kind": each.kind,
                "subject_id": each.subject_id,
                "payee_id": each.payee_id,
                "address": each.masked,
                "moved_at": each.moved_at.isoformat(),
                "state": each.state,
                "attempt_count": each.attempt_count,
                "delivered_at": each.delivered_at.astimezone(UTC).isoformat() if each.delivered_at else None,
                "error": each.last_error,
                "currency": each.currency,
                "amount_micros": each.amount_micros,
            }
            for each in found
        ]
    }
    header = ("since (UTC)", "payee", "notice", "to", "state", "attempts", "amount", "refused because")
    show(document, lambda: aligned(header, rows, left=5) if rows else "there are no such notices", as_json=as_json)
    return ExitCode.OK
