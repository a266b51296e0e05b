"""Send e-mail by SMTP: one connection for many messages, with TLS to every other machine."""

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from billing.errors import ChannelRefusedError, NoticeRefusedError
from billing.notices.readable import readable
from ingestion.contract.unavailable import Part, UnavailableError, one_line

IMPLICIT_TLS = "smtps"
TIMEOUT_S = 20.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PORTS = {"smtp": 587, IMPLICIT_TLS: 465}


@dataclass(frozen=True, repr=False)
class SmtpServer:
    """Where e-mail is handed over, and as whom."""

    url: str
    """`smtps://user:password@host:port` speaks TLS from the start, `smtp://` begins it by STARTTLS."""
    ca_file: Path | None = None
    """The authorities that sign the server's certificate; None: those that the system trusts."""


class SmtpMail:
    """A connection to an SMTP server, open within `with`.

    Raises:
        UnavailableError: the server does not answer, or goes away.
        ChannelRefusedError: it refuses this client: TLS, the user, the password or the sender.
    """

    def __init__(self, server: SmtpServer, *, timeout_seconds: float = TIMEOUT_S) -> None:
        parts = urlsplit(server.url)
        self._server, self._scheme = server, parts.scheme
        self._host, self._port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._timeout_seconds = timeout_seconds
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        try:
            self._smtp = self._connected()
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise ChannelRefusedError(f"{self._named} has no certificate to trust ({one_line(error)})") from error
        except smtplib.SMTPAuthenticationError as error:
            raise ChannelRefusedError(f"{self._named} refuses the user or the password ({error.smtp_code})") from error
        except UnicodeEncodeError as error:  # smtplib sends both as ASCII
            raise ChannelRefusedError(f"{self._named} takes a user and a password in ASCII alone") from error
        except smtplib.SMTPNotSupportedError as error:
            raise ChannelRefusedError(f"{self._named} offers no sign-in ({one_line(error)})") from error
        except OSError as error:
            raise self._away(error) from error
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._smtp is not None:
            with suppress(OSError):
                self._smtp.quit()

    def send(self, mail: EmailMessage) -> None:
        """Hand over one message; it returns when the server has accepted it.

        Raises:
            NoticeRefusedError: the server refuses this message or its receiver; others may pass.
        """
        if self._smtp is None:
            raise AssertionError("used outside of its `with`")
        try:
            self._smtp.sendmail(mail["From"], [mail["To"]], mail.as_bytes(policy=SMTP_LINES))
        except smtplib.SMTPRecipientsRefused as error:
            ((code, text),) = error.recipients.values()
            raise NoticeRefusedError(f"{code} {readable(text)}") from error
        except smtplib.SMTPSenderRefused as error:
            raise ChannelRefusedError(
                f"{self._named} refuses the sender {mail['From']} ({error.smtp_code} {readable(error.smtp_error)})"
            ) from error
        except smtplib.SMTPDataError as error:
            raise NoticeRefusedError(f"{error.smtp_code} {readable(error.smtp_error)}") from error
        except OSError as error:  # SMTPException is one, too
            raise self._away(error) from error

    @property
    def _named(self) -> str:
        return f"the SMTP server at {self._host}:{self._port}"

    def _connected(self) -> smtplib.SMTP:
        trusted = ssl.create_default_context(cafile=self._server.ca_file)
        if self._scheme == IMPLICIT_TLS:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=self._timeout_seconds, context=trusted
            )
        else:
            smtp = smtplib.SMTP(self._host, self._port, timeout=self._timeout_seconds)
            smtp.ehlo_or_helo_if_needed()
            if smtp.has_extn("starttls"):
                smtp.starttls(context=trusted)
            elif self._host not in LOOPBACK:
                smtp.close()
                raise ChannelRefusedError(f"{self._named} offers no TLS; without it, only this machine is spoken to")
        if self._user:
            smtp.login(self._user, self._password)
        return smtp

    def _away(self, error: OSError) -> UnavailableError:
        return UnavailableError(Part.SMTP, f"{self._named} does not answer ({one_line(error)})")
