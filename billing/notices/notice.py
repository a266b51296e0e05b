"""A notice to a payee, and the e-mail that it becomes. Pure.

A notice has amounts and links and nothing else: no word about viewers, and no bank data.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

from billing.money import amount_text

ATTEMPTS_MAX = 10
"""How often a server may refuse a notice; after that it is not sent again."""


@dataclass(frozen=True)
class PayeeNotice:
    """One step of the books, and the address of one account that is told of it."""

    notice_id: str
    """Always the same for the same step and account: a receiver drops what it has seen."""
    kind: str
    subject_kind: str
    subject_id: str
    transition_index: int
    payee_id: str
    account_version: int
    email: str | None
    """Null: the account has no address, and only a webhook tells of it."""
    moved_at: datetime
    currency: str | None
    amount_micros: int | None
    period_start_on: date | None
    period_end_on: date | None
    attempt_count: int = 0
    delivered_at: datetime | None = None
    last_error: str | None = None

    @property
    def state(self) -> str:
        """Return `delivered` (the server accepted it), `waiting`, or `refused`: too often, it is not sent again."""
        if self.delivered_at is not None:
            return "delivered"
        return "waiting" if self.attempt_count < ATTEMPTS_MAX else "refused"

    @property
    def period(self) -> str:
        """Return the first and the last day of a statement; empty for others."""
        if self.period_start_on is None or self.period_end_on is None:
            return ""
        return f"{self.period_start_on} to {self.period_end_on - timedelta(days=1)}"

    @property
    def amount(self) -> str:
        """Return the amount with its currency; empty if no money moves."""
        if self.amount_micros is None or self.currency is None:
            return ""
        return amount_text(self.amount_micros, self.currency)

    @property
    def masked(self) -> str:
        """Return the first character of the address, and its domain; empty without an address."""
        if self.email is None:
            return ""
        return f"{self.email[0]}…@{self.email.rpartition('@')[2]}"


_ASK = "If you did not ask for it, tell those who pay you now."
_ANSWER = "The portal has the answer."
_WORDS = {
    "statement_final": ("Your statement of {period} is final", "It pays {amount}.", "statements/{subject_id}"),
    "payout_instructed": ("A payment to you was instructed", "{amount} was sent to the bank.", "earnings"),
    "payout_rejected": ("The bank rejected a payment to you", "{amount} is owed to you again.", "account"),
    "payout_returned": ("A payment to you came back", "{amount} is owed to you again.", "account"),
    "hold_placed": ("An amount is on hold", "{amount} is not paid to you for now.", "earnings"),
    "hold_released": ("An amount is no longer on hold", "{amount} is paid to you again.", "earnings"),
    "hold_expired": ("An amount is no longer on hold", "{amount} is paid to you again.", "earnings"),
    "hold_voided": ("An amount that was on hold is not owed", "{amount} is not paid to you.", "earnings"),
    "account_proposed": ("A change of your account was asked for", f"It waits for an approval. {_ASK}", "account"),
    "account_in_force": (
        "Your account was changed",
        f"The bank account that you are paid to, or the address of these notices, is another from now on. {_ASK}",
        "account",
    ),
    "appeal_accepted": ("Your appeal against a statement was accepted", _ANSWER, "notices"),
    "appeal_rejected": ("Your appeal against a statement was rejected", _ANSWER, "notices"),
    "traffic_appeal_answered": ("Your appeal about views that are not counted was answered", _ANSWER, "invalid"),
    "account_refused": ("A change of your account was refused", "You are paid to the one before.", "account"),
}
"""Kind → the subject, the sentence, and the page of the portal behind the link."""
KINDS = frozenset(_WORDS)


def link_of(notice: PayeeNotice, *, portal_url: str | None) -> str | None:
    """Return the page of the portal about a notice; None without a portal."""
    if portal_url is None:
        return None
    return f"{portal_url}/portal/{_WORDS[notice.kind][2].format(subject_id=notice.subject_id)}"


def mail_of(notice: PayeeNotice, *, sender: str, portal_url: str | None) -> EmailMessage:
    """Return the e-mail of a notice: the same bytes each time, so that it can be sent again.

    `portal_url` is the origin of the portal, without a slash at the end; None: there is no link.
    """
    fields = {"period": notice.period, "amount": notice.amount}
    subject, sentence = (each.format(**fields) for each in _WORDS[notice.kind][:2])
    lines = [f"{subject}. {sentence}"]
    if link := link_of(notice, portal_url=portal_url):
        lines.append(link)
    lines.append(f"Notice {notice.notice_id}. It may arrive twice; its number is then the same.")
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, notice.email, subject
    mail["Date"] = format_datetime(notice.moved_at)
    mail["Message-ID"] = f"<{notice.notice_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(lines) + "\n")
    return mail
