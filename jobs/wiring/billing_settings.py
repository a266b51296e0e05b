"""The common part of the billing commands: settings, connections by role, and the output of a result."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from billing.books.bounds import Bounds
from billing.money import MICROS
from billing.postgres_session import Connect, connector
from billing.terms.currency import CURRENCIES
from ingestion.contract.printable import escaped
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import ALLOWED_LATENESS_HOURS, APPROVAL_LIMITS, CHANGE_FACTOR_MAX, HELD_DAYS_MAX
from jobs.settings.declared.servers import (
    APPROVER_POSTGRES_URL,
    NOTICES_POSTGRES_URL,
    POSTGRES_URL,
    REVIEWER_POSTGRES_URL,
)

BILLING_ROLE, APPROVER_ROLE = "viewledger_billing", "viewledger_approver"
REVIEWER_ROLE, OWNER_ROLE = "viewledger_reviewer", "viewledger_owner"
NOTICES_ROLE = "viewledger_notices"
NO_LIMIT_OF_ITS_OWN = "*=999999999999"


@dataclass(frozen=True)
class BillingSettings:
    """The settings of a billing run."""

    allowed_lateness: timedelta
    """How long after a period's end its events may still arrive before it can be billed."""
    approval_limits_micros: Mapping[str, int]
    """Currency, or `*` → the most that a statement may earn without approval, if the database allows as much."""
    bounds: Bounds
    held_time_max: timedelta
    """How long a statement may be held before every night reports it."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "BillingSettings":
        """Read the settings of billing; raise CommandError(BAD_INPUT) that names the variable."""
        return cls(
            allowed_lateness=timedelta(hours=ALLOWED_LATENESS_HOURS.read(environ)),
            approval_limits_micros=approval_limits(
                APPROVAL_LIMITS.read_if_set(environ) or NO_LIMIT_OF_ITS_OWN, APPROVAL_LIMITS.name
            ),
            bounds=Bounds(change_factor=CHANGE_FACTOR_MAX.read(environ)),
            held_time_max=timedelta(days=HELD_DAYS_MAX.read(environ)),
        )


def approval_limits(text: str, name: str) -> dict[str, int]:
    """Return currency (or `*`) → micros from a text like `EUR=5000,*=1000`; `name` is its name in a refusal."""
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
    """Return the connection function of a command, narrowed to one role of the ledger, by VIEWLEDGER_POSTGRES_URL.

    Approvals, decisions on traffic and notices each use a login of their own, if VIEWLEDGER_APPROVER_POSTGRES_URL,
    VIEWLEDGER_REVIEWER_POSTGRES_URL or VIEWLEDGER_NOTICES_POSTGRES_URL names one.
    """
    own = {
        APPROVER_ROLE: APPROVER_POSTGRES_URL,
        REVIEWER_ROLE: REVIEWER_POSTGRES_URL,
        NOTICES_ROLE: NOTICES_POSTGRES_URL,
    }.get(role)
    return connector((own.read_if_set(environ) if own else None) or POSTGRES_URL.read(environ), role)


def progress(*, as_json: bool) -> Callable[[str], None]:
    """Return what reports a step: as a line on stderr; with `--json`, which programs read, not at all."""

    def report(text: str) -> None:
        if not as_json:
            print(f"billing: {text}", file=sys.stderr, flush=True)

    return report


def show(document: Mapping[str, Any], text: Callable[[], str], *, as_json: bool) -> None:
    """Print a result as a table, or as one JSON document."""
    print(json.dumps(document) if as_json else escaped(text()))
