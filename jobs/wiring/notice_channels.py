"""The channel of notices to payees that the settings name: e-mail, or a webhook."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from billing.notices.http_webhook import HttpWebhook, WebhookReceiver
from billing.notices.notice import PayeeNotice, mail_of
from billing.notices.smtp_mail import SmtpMail, SmtpServer
from billing.notices.webhook import body_of
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.api import PORTAL_URL
from jobs.settings.declared.billing import (
    NOTICES_FROM,
    SMTP_CA_FILE,
    SMTP_URL,
    WEBHOOK_CA_FILE,
    WEBHOOK_SECRET,
    WEBHOOK_SINCE,
    WEBHOOK_URL,
)
from jobs.settings.kinds import LocalPath, Setting, Value
from jobs.wiring.oidc_settings import is_safe_url

Deliver = Callable[[PayeeNotice], None]
"""Hand over one notice; see `SmtpMail.send` and `HttpWebhook.send` for its errors."""


@dataclass(frozen=True)
class NoticeChannel:
    """How notices are sent."""

    opened: Callable[[], AbstractContextManager[Deliver]]
    since: date | None
    """The first day of which a webhook tells; None: the channel is e-mail."""


def read_channel(environ: Mapping[str, str]) -> NoticeChannel:
    """Return the channel; raise CommandError(BAD_INPUT) where both are named, none is, or a setting of it is wrong."""
    origin = PORTAL_URL.read_if_set(environ)
    if not WEBHOOK_URL.is_set(environ):
        for each in (WEBHOOK_SECRET, WEBHOOK_SINCE):
            if each.is_set(environ):
                _needed(WEBHOOK_URL, environ, by=each)
        if not SMTP_URL.is_set(environ):
            raise CommandError(
                f"nothing says how notices are sent; set {SMTP_URL.name} for e-mail or {WEBHOOK_URL.name} for a "
                "webhook (docs/operate/billing-operations.md)",
                ExitCode.BAD_INPUT,
            )
        server = SmtpServer(SMTP_URL.read(environ), _authorities(SMTP_CA_FILE, environ))
        return NoticeChannel(partial(_mail, server, _needed(NOTICES_FROM, environ, by=SMTP_URL), origin), None)
    if SMTP_URL.is_set(environ):
        raise CommandError(
            f"{SMTP_URL.name} and {WEBHOOK_URL.name} are both set; set one: each notice is sent by one channel",
            ExitCode.BAD_INPUT,
        )
    url = WEBHOOK_URL.read(environ)
    if not is_safe_url(url):
        raise CommandError(
            f"{WEBHOOK_URL.name} must be https: others could read the notices on their way", ExitCode.BAD_INPUT
        )
    keys = _needed(WEBHOOK_SECRET, environ, by=WEBHOOK_URL)
    receiver = WebhookReceiver(url, keys, _authorities(WEBHOOK_CA_FILE, environ))
    return NoticeChannel(partial(_webhook, receiver, origin), _needed(WEBHOOK_SINCE, environ, by=WEBHOOK_URL))


@contextmanager
def _mail(server: SmtpServer, sender: str, origin: str | None) -> Iterator[Deliver]:
    with SmtpMail(server) as mail:
        yield lambda notice: mail.send(mail_of(notice, sender=sender, portal_url=origin))


@contextmanager
def _webhook(receiver: WebhookReceiver, origin: str | None) -> Iterator[Deliver]:
    with HttpWebhook(receiver) as webhook:
        yield lambda notice: webhook.send(notice.notice_id, body_of(notice, portal_url=origin))


def _authorities(setting: LocalPath, environ: Mapping[str, str]) -> Path | None:
    path = setting.read_if_set(environ)
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:  # SSLError is one, too
            raise CommandError(
                f"{setting.name} is {str(path)!r}; it must be a file with certificates in PEM form", ExitCode.BAD_INPUT
            ) from error
    return path


def _needed(setting: Setting[Value], environ: Mapping[str, str], *, by: Setting[Any]) -> Value:
    value = setting.read_if_set(environ)
    if value is None:
        raise CommandError(f"{setting.name} is not set, but {by.name} is; set both", ExitCode.BAD_INPUT)
    return value
