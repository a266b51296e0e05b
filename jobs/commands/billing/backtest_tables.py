"""The output of `billing backtest`, as a text table and as JSON values. Pure."""

from dataclasses import asdict
from typing import Any

from billing.money import amount_text
from billing.rating.backtest import Backtest, Change
from jobs.commands.billing.tables import aligned

_HEADER = ("payee", "views now", "views proposed", "earned now", "earned proposed", "change", "payable proposed")


def backtest_text(found: Backtest, headline: str) -> str:
    """Return the sums and the payees that would gain or lose most."""
    total = Change(f"sum of {found.payee_count} payees", found.now, found.proposed)
    rows = [_row(change, found.currency) for change in (*found.largest, total)]
    more = found.changed_count - len(found.largest)
    return "\n".join(
        [
            f"{headline}: {found.changed_count} of {found.payee_count} payees would be paid a different amount",
            "nothing was stored",
            "",
            aligned(_HEADER, rows),
            *([f"and {more} more with smaller changes"] if more else []),
        ]
    )


def backtest_json(found: Backtest) -> dict[str, Any]:
    """Return the same as JSON values; money in integer micros."""
    return {
        "currency": found.currency,
        "payee_count": found.payee_count,
        "changed_count": found.changed_count,
        "now": asdict(found.now),
        "proposed": asdict(found.proposed),
        "largest_changes": [
            {
                "payee_id": change.payee_id,
                "change_micros": change.change_micros,
                "now": asdict(change.now),
                "proposed": asdict(change.proposed),
            }
            for change in found.largest
        ],
    }


def _row(change: Change, currency: str) -> tuple[str, ...]:
    return (
        change.payee_id,
        f"{change.now.views:,}",
        f"{change.proposed.views:,}",
        amount_text(change.now.earned_micros, currency),
        amount_text(change.proposed.earned_micros, currency),
        amount_text(change.change_micros, currency),
        amount_text(change.proposed.payable_micros, currency),
    )
