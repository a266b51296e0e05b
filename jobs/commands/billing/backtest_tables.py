"""The output of `billing backtest`, as a text table and as JSON values. Pure."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import date
from typing import Any

from billing.money import amount_text
from billing.rating.backtest import Backtest, Change
from billing.rating.traffic_backtest import Amount, TrafficBacktest
from ingestion.contract.printable import counted
from jobs.commands.billing.tables import aligned

_MOVES_HEADER = ("now", "proposed", "events", "worth (estimate)", "released by a person", "confirmed by a person")
_HEADER = ("payee", "views now", "views proposed", "earned now", "earned proposed", "change", "payable proposed")


def backtest_text(found: Backtest, headline: str) -> str:
    """Return the sums and the payees that would gain or lose most."""
    total = Change(f"sum of {counted(found.payee_count, 'payee')}", found.now, found.proposed)
    rows = [_row(change, found.currency) for change in (*found.largest, total)]
    more = found.changed_count - len(found.largest)
    return "\n".join(
        [
            f"{headline}: {found.changed_count:,} of {counted(found.payee_count, 'payee')} would be paid a "
            "different amount",
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


def traffic_text(found: TrafficBacktest, currency: str) -> str:
    """Return what a policy of traffic would do otherwise, and what people said of these events."""
    rows = [
        (_words(each.now), _words(each.proposed), f"{each.all.event_count:,}", amount_text(each.all.micros, currency),
         f"{each.released.event_count:,}", f"{each.confirmed.event_count:,}")
        for each in found.moves
    ]  # fmt: skip
    return "\n".join(
        [
            aligned(_MOVES_HEADER, rows, left=2) if rows else "no event would be judged otherwise",
            "",
            f"withheld wrongly, as people released it: {_amount(found.withheld_wrongly, currency)}",
            f"paid wrongly, as people confirmed it: {_amount(found.paid_wrongly, currency)}",
            f"groups for review: {found.groups_proposed:,}, and {found.groups_now:,} now",
        ]
    )


def traffic_json(found: TrafficBacktest, days: Collection[date], erased_days: Collection[date]) -> dict[str, Any]:
    """Return the same as JSON values."""
    return {
        "judged_days": [day.isoformat() for day in sorted(days)],
        "erased_days": [day.isoformat() for day in sorted(erased_days)],
        "moves": [asdict(each) for each in found.moves],
        "withheld_wrongly": asdict(found.withheld_wrongly),
        "paid_wrongly": asdict(found.paid_wrongly),
        "groups_now": found.groups_now,
        "groups_proposed": found.groups_proposed,
    }


def _words(state: str) -> str:
    return state.replace("_", " ")


def _amount(amount: Amount, currency: str) -> str:
    return f"{counted(amount.event_count, 'event')}, worth {amount_text(amount.micros, currency)}"


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
