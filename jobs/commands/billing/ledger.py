"""`./viewledger billing ledger …`: the totals of everything posted, and every account's balance."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from billing.books.postgres_books import PostgresBooks
from billing.money import amount_text
from jobs.commands.billing.tables import aligned, totals_json, totals_text
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work


@billing_work
def show_totals(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Print the totals of everything posted; exit DIFFERENCE if they do not add up, or a transaction has no cause."""
    books = PostgresBooks(billing_connector(environ))
    totals, problems = books.totals(), books.problems()
    document = totals_json(totals) | ({"problems": problems} if problems else {})
    show(document, lambda: "\n".join([totals_text(totals), *problems]), as_json=as_json)
    return ExitCode.DIFFERENCE if problems or any(each.difference_nanomicros for each in totals) else ExitCode.OK


@billing_work
def show_balances(environ: Mapping[str, str], *, as_of: date | None, effective: date | None, as_json: bool) -> ExitCode:
    """Print the balance of every account; exit DIFFERENCE if they do not sum to zero."""
    posted_before = _after(as_of)
    effective_until = _after(effective)
    balances = PostgresBooks(billing_connector(environ)).balances(
        posted_before=posted_before, effective_until=effective_until
    )
    rows = [(each.account, amount_text(each.balance_micros, each.currency)) for each in balances]
    document = {
        "as_of": as_of and as_of.isoformat(),
        "effective": effective and effective.isoformat(),
        "balances": [vars(each) for each in balances],
    }
    show(document, lambda: aligned(("account", "balance"), rows) if rows else "the books are empty", as_json=as_json)
    sums: dict[str, int] = {}
    for each in balances:
        sums[each.currency] = sums.get(each.currency, 0) + each.balance_micros
    return ExitCode.DIFFERENCE if any(sums.values()) else ExitCode.OK


def _after(day: date | None) -> datetime:
    """Return the instant after a day; without one, the last instant there is."""
    if day is None:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(day + timedelta(days=1), time(), UTC)
