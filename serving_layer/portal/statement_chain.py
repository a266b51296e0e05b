"""The chain of a statement for people: from the events received down to the payable amount, in words. Pure."""

from dataclasses import dataclass
from datetime import date, timedelta

from serving_layer.money.statements import StatementDetail
from serving_layer.portal.event_sentences import kind_text

_REJECTED = "rejected:"
_INVALID = "invalid_traffic:"
_LABELS = {
    "received": "Events received",
    "duplicate": "Sent more than once",
    "conflict": "Same id, other content",
    "late_review": "Too late",
    "counted": "Views",
    "not_eligible": "Not eligible",
    "unattested": "Unattested",
    "below_minimum": "Too short",
    "own_view": "Own views",
    "over_cap": "Over the cap per viewer",
    "under_review": "Under review",
    "traffic_pending": "Not checked yet",
    "billable": "Billable views",
}
"""Name of a link → its text for people; an unknown name is shown as it is."""
_PAYABLE = {"held": "Not payable yet, held", "voided": "Not payable, void"}
"""State of a statement → the text of its last step, where that is not owed; see `_payable` for a replaced one."""
_SUMS = ("received", "counted", "billable")


@dataclass(frozen=True)
class ChainStep:
    """One step: a number of views or an amount, the sum so far or the part subtracted from it."""

    label: str
    amount: int
    is_money: bool
    is_sum: bool
    meaning: str = ""
    """Why these events are taken away, in words."""
    is_invalid: bool = False


def chain_of(statement: StatementDetail) -> list[ChainStep]:
    """Return the steps. Every sum is the one before it minus the steps in between."""
    views = [
        ChainStep(
            _label(link.name),
            abs(link.events),
            is_money=False,
            is_sum=link.name in _SUMS,
            meaning="" if link.name in _SUMS else kind_text(link.name),
            is_invalid=link.name.startswith(_INVALID),
        )
        for link in statement.chain
    ]
    taken = [
        ChainStep("Over the cap of the contract", statement.over_cap_micros, is_money=True, is_sum=False),
        ChainStep(f"Tax withheld ({statement.tax_country})", statement.tax_micros, is_money=True, is_sum=False),
    ]
    lines_micros = sum(line.amount_micros for line in statement.lines)
    return [
        *views,
        ChainStep("Sum of the lines", lines_micros, is_money=True, is_sum=True),
        *(step for step in taken if step.amount),
        ChainStep(_payable(statement), statement.payable_micros, is_money=True, is_sum=True),
    ]


def period_text(start_on: date, end_on: date) -> str:
    """Return a period in the form of requests: `2026-10` for a month, else `2026-10-05/2026-10-12` (end excluded)."""
    is_month = start_on.day == 1 and end_on == (start_on + timedelta(days=31)).replace(day=1)
    return f"{start_on:%Y-%m}" if is_month else f"{start_on}/{end_on}"


def _payable(statement: StatementDetail) -> str:
    if statement.state == "superseded":
        return "Was payable, replaced since" if statement.posted_at else "Never payable, replaced"
    return _PAYABLE.get(statement.state, "Payable")


def _label(name: str) -> str:
    for prefix, text in ((_REJECTED, "Rejected"), (_INVALID, "Invalid traffic")):
        if name.startswith(prefix):
            return f"{text}: {name.removeprefix(prefix).replace('_', ' ')}"
    return _LABELS.get(name, name)
