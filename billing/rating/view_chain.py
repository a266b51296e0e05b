"""The chain of a statement: from every event that was received for the payee's videos down to the billable views.

Each event has exactly one *outcome* for a payee: `duplicate`, `conflict`, `rejected:<reason>`, `late_review`,
`invalid_traffic:<class>`, `not_eligible`, `unattested`, `below_minimum`, `own_view`, `over_cap`, `under_review`,
`traffic_pending` or `billable`. So the outcomes add up to the events received.
"""

from collections.abc import Mapping
from typing import NamedTuple

BILLABLE = "billable"
BELOW_MINIMUM = "below_minimum"
REJECTED = "rejected:"
"""The prefix of the outcome of a rejected event; the code of its first reason follows."""
INVALID_TRAFFIC = "invalid_traffic:"
"""The prefix of the outcome of invalid traffic; its class follows."""
NOT_COUNTED = ("duplicate", "conflict", REJECTED, "late_review", INVALID_TRAFFIC)
UNDECIDED = ("under_review", "traffic_pending")
"""The outcomes of views that may still become billable: a person decides, or their day's traffic is judged again."""
NOT_BILLABLE = ("not_eligible", "unattested", BELOW_MINIMUM, "own_view", "over_cap", *UNDECIDED)


class ChainRow(NamedTuple):
    """One row of the chain: a sum, or a subtraction from the sum above it (negative)."""

    name: str
    events: int
    is_sum: bool


def view_chain(outcomes: Mapping[str, int]) -> list[ChainRow]:
    """Return the chain: received, minus each outcome that is not counted, counted, minus …, billable."""
    counted = sum(count for outcome, count in outcomes.items() if is_counted(outcome))
    return [
        ChainRow("received", sum(outcomes.values()), True),
        *_minus(outcomes, NOT_COUNTED),
        ChainRow("counted", counted, True),
        *_minus(outcomes, NOT_BILLABLE),
        ChainRow(BILLABLE, outcomes.get(BILLABLE, 0), True),
    ]


def is_counted(outcome: str) -> bool:
    """Return whether an event with this outcome is a counted view."""
    return outcome == BILLABLE or outcome in NOT_BILLABLE


def _minus(outcomes: Mapping[str, int], names: tuple[str, ...]) -> list[ChainRow]:
    links = []
    for name in names:
        same = sorted(each for each in outcomes if (each.startswith(name) if name.endswith(":") else each == name))
        links += [ChainRow(each, -outcomes[each], False) for each in same]
    return links
