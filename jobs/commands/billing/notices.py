"""`./viewledger billing notices send | sent`: notices to payees by e-mail or webhook."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC

from billing.notices.postgres_notices import PostgresNotices
from ingestion.contract.printable import counted
from jobs.commands.billing.figures import record_notices
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import WEBHOOK_SINCE
from jobs.wiring.billing_settings import NOTICES_ROLE, billing_connector, progress, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.notice_channels import read_channel

REPORTED_EVERY = 100


@billing_work
def send_notices(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Send what is due, oldest first; exit REFUSED if the server refused some. What was sent is not sent again."""
    channel, report, outcomes = read_channel(environ), progress(as_json=as_json), Counter[str]()
    notices = PostgresNotices(billing_connector(environ, NOTICES_ROLE), webhook_since=channel.since)
    due = notices.due()
    try:
        if due:
            report(f"{counted(len(due), 'notice')} to send")
            with channel.opened() as deliver:
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


@billing_work
def list_sent(environ: Mapping[str, str], *, payee: str | None, state: str | None, as_json: bool) -> ExitCode:
    """Print what payees are told, newest first, and whether it was delivered."""
    since = WEBHOOK_SINCE.read_if_set(environ)
    notices = PostgresNotices(billing_connector(environ, NOTICES_ROLE), webhook_since=since)
    found = [each for each in notices.of_payee(payee) if state in (None, each.state)]
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
