"""What the billing commands share: settings, flags, connections by role, and how a result is printed."""

import argparse
import getpass
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from billing.books.bounds import Bounds
from billing.books.states import RUN
from billing.money import MICROS
from billing.postgres_session import Connect, connector
from billing.terms.currency import CURRENCIES
from ingestion.contract.periods import Period
from ingestion.contract.printable import escaped, is_name, is_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import ALLOWED_LATENESS_HOURS, APPROVAL_LIMITS, CHANGE_FACTOR_MAX, HELD_DAYS_MAX
from jobs.settings.declared.servers import APPROVER_POSTGRES_URL, POSTGRES_URL

if TYPE_CHECKING:
    Actions = argparse._SubParsersAction[argparse.ArgumentParser]
    """Where the actions of `billing` are declared."""
else:
    Actions = object

Work = Callable[[argparse.Namespace, Mapping[str, str]], ExitCode]

BILLING_ROLE, APPROVER_ROLE = "viewledger_billing", "viewledger_approver"
REASON_CHARACTERS_MAX = 500
NO_LIMIT_OF_ITS_OWN = "*=999999999999"


@dataclass(frozen=True)
class BillingSettings:
    """What a billing run needs to know of its surroundings."""

    allowed_lateness: timedelta
    """How long after a period's end its events may still arrive before it can be billed."""
    approval_limits_micros: Mapping[str, int]
    """Currency, or `*` → what one statement may earn without anybody's approval, where the database allows as much."""
    bounds: Bounds
    held_time_max: timedelta
    """How long a statement may be held before every night names it."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "BillingSettings":
        """Read the settings of billing; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(
            allowed_lateness=timedelta(hours=ALLOWED_LATENESS_HOURS.read(environ)),
            approval_limits_micros=approval_limits(
                APPROVAL_LIMITS.read_if_set(environ) or NO_LIMIT_OF_ITS_OWN, APPROVAL_LIMITS.name
            ),
            bounds=Bounds(change_factor=CHANGE_FACTOR_MAX.read(environ)),
            held_time_max=timedelta(days=HELD_DAYS_MAX.read(environ)),
        )


def approval_limits(text: str, name: str) -> dict[str, int]:
    """Return currency (or `*`) → micros of a text like `EUR=5000,*=1000`; `name` is what a refusal says it is."""
    limits = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*([A-Z]{3}|\*)\s*=\s*(\d{1,12})\s*", part, re.ASCII)
        if found is None or found[1] in limits or found[1] not in {*CURRENCIES, "*"}:
            raise CommandError(
                f"{name} is {text!r}; it must be like EUR=5000,*=1000, each currency once",
                ExitCode.BAD_INPUT,
            )
        limits[found[1]] = int(found[2]) * MICROS
    return limits


def billing_connector(environ: Mapping[str, str], role: str = BILLING_ROLE) -> Connect:
    """Return how a command connects, narrowed to one role of the ledger: as VIEWLEDGER_POSTGRES_URL says.

    Who approves comes with a login of its own, where VIEWLEDGER_APPROVER_POSTGRES_URL names one.
    """
    own = APPROVER_POSTGRES_URL.read_if_set(environ) if role == APPROVER_ROLE else None
    return connector(own or POSTGRES_URL.read(environ), role)


def add_action(actions: Actions, name: str, work: Work, text: str) -> argparse.ArgumentParser:
    """Declare an action of `billing`; each has --json."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text)
    parser.set_defaults(work=work)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return parser


def add_period(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Declare --period."""
    text = "a month (2026-10) or a half-open range of days (2026-11-18/2026-11-21), UTC"
    parser.add_argument("--period", required=required, metavar="PERIOD", help=text)


def period_of(arguments: argparse.Namespace) -> Period:
    """Return what --period says."""
    try:
        return Period.parse(arguments.period)
    except ValueError as error:
        raise CommandError(f"--period: {error}", ExitCode.BAD_INPUT) from error


def payees_of(arguments: argparse.Namespace) -> list[str]:
    """Return the payees that --payee names: none where it is not given."""
    named = arguments.payee
    return [] if named is None else [named] if isinstance(named, str) else list(named)


def add_currency(parser: argparse.ArgumentParser) -> None:
    """Declare --currency."""
    parser.add_argument("--currency", required=True, metavar="CODE", help="a currency of ISO 4217, like EUR")


def currency_of(arguments: argparse.Namespace) -> str:
    """Return what --currency says."""
    currency: str = arguments.currency
    if currency not in CURRENCIES:
        raise CommandError(f"--currency: {currency!r} is not an ISO 4217 currency, like EUR", ExitCode.BAD_INPUT)
    return currency


def add_actor(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare --actor."""
    parser.add_argument("--actor", metavar="NAME", help=f"{text}; stored permanently (default: who is logged in)")


def actor_of(arguments: argparse.Namespace) -> str:
    """Return who acts: --actor, or else the login name."""
    name = arguments.actor if arguments.actor is not None else _login_name()
    name = name.strip()
    if not is_name(name, most=100) or name.casefold() == RUN:
        raise CommandError(
            f"--actor is {name!r}; it names a person in 1 to 100 printable characters, and `{RUN}` is nobody's name",
            ExitCode.BAD_INPUT,
        )
    return name


def _login_name() -> str:
    try:
        return getpass.getuser()
    except OSError as error:
        raise CommandError("--actor is missing, and this user has no login name", ExitCode.BAD_INPUT) from error


def add_reason(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Declare --reason."""
    text = f"1 to {REASON_CHARACTERS_MAX} characters; stored permanently"
    parser.add_argument("--reason", required=required, metavar="TEXT", help=text)


def reason_of(arguments: argparse.Namespace) -> str:
    """Return what --reason says: words that somebody can read, or nothing where none was needed or given."""
    if arguments.reason is None:
        return ""
    reason: str = arguments.reason.strip()
    if not is_text(reason, most=REASON_CHARACTERS_MAX):
        raise CommandError(f"--reason must be 1 to {REASON_CHARACTERS_MAX} printable characters", ExitCode.BAD_INPUT)
    return reason


def show(arguments: argparse.Namespace, document: Mapping[str, Any], text: Callable[[], str]) -> None:
    """Print a result as a table, or as one JSON document."""
    print(json.dumps(document) if arguments.json else escaped(text()))
