"""Split the difference between two statements into causes that add up to it exactly. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from serving_layer.money.statements import StatementDetail, StatementLine

_VIEWS = "views"
_NANOMICROS = 1_000_000_000
_INVALID = "invalid_traffic:"
_NOT_COUNTED = ("duplicate", "conflict", "rejected:", "late_")
_SUMS = ("received", "counted", "billable")
_Heading = tuple[str, int, int]
"""Country, tier and share: lines that differ in nothing else differ by their rate."""


@dataclass(frozen=True)
class Cause:
    """A part of the difference; `events` is None where it does not count events."""

    name: str
    amount_micros: int
    events: int | None = None


def causes_of_change(before: StatementDetail, now: StatementDetail) -> list[Cause]:
    """Return what makes `now` earn more or less than `before`; the amounts add up to the difference.

    Events count at the average of a billable view of `before`; what other countries, tiers and shares change is the
    mix, what the same ones are paid per view is the rate. Parts that are nothing are left out.
    """
    parts = [*_parts_of_views(before, now), ("ads", _owed(_ads(now)) - _owed(_ads(before)), None)]
    parts.append(("contract_cap", Fraction(before.over_cap_micros - now.over_cap_micros), None))
    causes, exact, rounded = list[Cause](), Fraction(before.earned_micros), before.earned_micros
    for name, amount, events in parts:
        exact += amount
        causes.append(Cause(name, floor(exact) - rounded, events))
        rounded = floor(exact)
    causes.append(Cause("remainder", now.earned_micros - rounded))
    return [each for each in causes if each.amount_micros or each.events]


def _parts_of_views(before: StatementDetail, now: StatementDetail) -> list[tuple[str, Fraction, int | None]]:
    old, new = _by_heading(before), _by_heading(now)
    owed_before, owed_now = (sum((owed for _, owed in each.values()), Fraction()) for each in (old, new))
    views_before, views_now = (sum(views for views, _ in each.values()) for each in (old, new))
    if not views_before and not views_now:
        return []
    average = owed_before / views_before if views_before else owed_now / views_now
    volume = [(name, events * average, events) for name, events in _events(before, now, views_now - views_before)]
    at_old_rates = Fraction()
    for heading, (views, owed) in new.items():
        views_then, owed_then = old.get(heading, (0, Fraction()))
        at_old_rates += views * owed_then / views_then if views_then else owed
    at_average = owed_before + (views_now - views_before) * average
    return [*volume, ("mix", at_old_rates - at_average, None), ("rate", owed_now - at_old_rates, None)]


def _events(before: StatementDetail, now: StatementDetail, views: int) -> list[tuple[str, int]]:
    """Return by how many events each part of the chain changed; one part where the chains do not say it."""
    changes: defaultdict[str, int] = defaultdict(int)
    for statement, sign in ((now, 1), (before, -1)):
        chain = {link.name: link.events for link in statement.chain}
        if chain.get("billable", 0) != sum(line.quantity for line in _views(statement)):
            return [("billable", views)]
        for name, events in chain.items():
            if name == "received" or name not in _SUMS:
                changes[_part(name)] += sign * events
    return [(name, changes[name]) for name in ("received", "not_counted", "invalid", "not_billable")]


def _part(link: str) -> str:
    if link.startswith(_INVALID):
        return "invalid"
    return "received" if link == "received" else "not_counted" if link.startswith(_NOT_COUNTED) else "not_billable"


def _by_heading(statement: StatementDetail) -> dict[_Heading, tuple[int, Fraction]]:
    """Return the billable views under each heading, and what is owed for them in micros."""
    found: dict[_Heading, tuple[int, Fraction]] = {}
    for line in _views(statement):
        heading = (line.country, line.tier_index, line.share_ppm)
        views, owed = found.get(heading, (0, Fraction()))
        found[heading] = (views + line.quantity, owed + _owed([line]))
    return found


def _views(statement: StatementDetail) -> list[StatementLine]:
    return [line for line in statement.lines if line.kind == _VIEWS]


def _ads(statement: StatementDetail) -> list[StatementLine]:
    return [line for line in statement.lines if line.kind != _VIEWS]


def _owed(lines: Iterable[StatementLine]) -> Fraction:
    return Fraction(sum(each.rate_per_thousand_micros * each.quantity * each.share_ppm for each in lines), _NANOMICROS)
