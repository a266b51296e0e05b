"""Settings of billing."""

from jobs.settings.address_kinds import Url
from jobs.settings.day_kind import EventDay
from jobs.settings.kinds import LocalPath, Text, Whole
from jobs.settings.webhook_kinds import WebhookSecrets, WebhookUrl

ALLOWED_LATENESS_HOURS = Whole(
    "VIEWLEDGER_ALLOWED_LATENESS_HOURS",
    read_by="`billing`, `batch`, `run batch`, api",
    meaning="how long after the end of a day or period its events may arrive before its traffic is judged and it can "
    "be billed; the same for both",
    default=24,
    least=0,
    most=840,
)
APPROVAL_LIMITS = Text(
    "VIEWLEDGER_APPROVAL_LIMITS",
    read_by="`billing`",
    meaning="what a statement may earn without an approval, in whole units by currency (`*`: any other); "
    "it lowers the limits that the database holds, and raises none",
    without="the limits that the database holds",
    pattern=r"\s*([A-Z]{3}|\*)\s*=\s*\d{1,12}\s*(,\s*([A-Z]{3}|\*)\s*=\s*\d{1,12}\s*)*",
    form="like EUR=5000,*=1000, each currency once",
)
CHANGE_FACTOR_MAX = Whole(
    "VIEWLEDGER_CHANGE_FACTOR_MAX",
    read_by="`billing`",
    meaning="a statement is held when it is more than this many times the median of the payee's last 6",
    default=10,
    least=2,
    most=1_000_000,
)
HELD_DAYS_MAX = Whole(
    "VIEWLEDGER_HELD_DAYS_MAX",
    read_by="`billing`",
    meaning="how long a statement may be held before every night reports it",
    default=14,
    least=0,
    most=366,
)
SIGNING_KEY = LocalPath(
    "VIEWLEDGER_SIGNING_KEY",
    read_by="`billing`",
    meaning="the file with the key that signs checkpoints, written by `billing proof keys create`",
    without="refused where a checkpoint is signed",
)
PAYOUT_DEBTOR_NAME = Text(
    "VIEWLEDGER_PAYOUT_DEBTOR_NAME",
    read_by="`billing`",
    meaning="the holder of the account that pays",
    without="payouts are written as CSV only",
)
PAYOUT_DEBTOR_IBAN = Text(
    "VIEWLEDGER_PAYOUT_DEBTOR_IBAN",
    read_by="`billing`",
    meaning="the IBAN of the account that pays",
    without="payouts are written as CSV only",
)
PAYOUT_DEBTOR_BIC = Text(
    "VIEWLEDGER_PAYOUT_DEBTOR_BIC",
    read_by="`billing`",
    meaning="the BIC of its bank",
    without="the bank is known by the IBAN",
)
SMTP_URL = Url(
    "VIEWLEDGER_SMTP_URL",
    read_by="`billing notices send`",
    meaning="the SMTP server that takes notices to payees, with user and password: smtps begins with TLS, smtp by "
    "STARTTLS, which only a server on this machine may lack",
    without="notices go by webhook, or are refused",
    schemes=("smtps", "smtp"),
    is_secret=True,
)
SMTP_CA_FILE = LocalPath(
    "VIEWLEDGER_SMTP_CA_FILE",
    read_by="`billing notices send`",
    meaning="a PEM file with the authorities that sign the SMTP server's certificate",
    without="those that the system trusts",
)
NOTICES_FROM = Text(
    "VIEWLEDGER_NOTICES_FROM",
    read_by="`billing notices send`",
    meaning="the address that notices to payees come from",
    without="refused where they go by e-mail",
    pattern=r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,189}",
    form="an e-mail address alone, like payments@example.org",
)
WEBHOOK_URL = WebhookUrl(
    "VIEWLEDGER_WEBHOOK_URL",
    read_by="`billing notices send`",
    meaning="where notices to payees are sent as signed requests, instead of by e-mail; https, but on this machine",
    without="notices go by e-mail",
    schemes=("https", "http"),
)
WEBHOOK_SECRET = WebhookSecrets(
    "VIEWLEDGER_WEBHOOK_SECRET",
    read_by="`billing notices send`",
    meaning="signs notices that are sent to `VIEWLEDGER_WEBHOOK_URL`; with two, both sign",
    without="refused where notices go by webhook",
    is_secret=True,
)
WEBHOOK_SINCE = EventDay(
    "VIEWLEDGER_WEBHOOK_SINCE",
    read_by="`billing notices send`, `billing notices sent`",
    meaning="the first day (UTC) of which the webhook tells: nothing from before is sent",
    without="refused where notices go by webhook",
)
WEBHOOK_CA_FILE = LocalPath(
    "VIEWLEDGER_WEBHOOK_CA_FILE",
    read_by="`billing notices send`",
    meaning="a PEM file with the authorities that sign the certificate of `VIEWLEDGER_WEBHOOK_URL`",
    without="those that the system trusts",
)
