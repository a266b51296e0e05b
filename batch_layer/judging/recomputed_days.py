"""Find the event days whose stored rows a change can concern. Pure."""

from collections.abc import Collection
from datetime import date, timedelta

_ONE = timedelta(days=1)


def days_in_reach(touched: Collection[date], existing: Collection[date]) -> frozenset[date]:
    """Return the existing days whose rows decide the verdicts of the same ids on the touched and the adjacent days.

    A new event can change the verdict of the same id's events on its own and the neighbouring days, and these are
    compared with events of their neighbours.
    """
    return frozenset(day + step * _ONE for day in touched for step in range(-2, 3)) & frozenset(existing)


def days_before(days: Collection[date], existing: Collection[date]) -> frozenset[date]:
    """Return the existing days outside `days` whose billable views are the context of the cap of the next day."""
    return frozenset({day - _ONE for day in days} & set(existing)) - frozenset(days)


def days_after(days: Collection[date], existing: Collection[date]) -> frozenset[date]:
    """Return the existing days outside `days` whose cap looks back into one of them."""
    return frozenset({day + _ONE for day in days} & set(existing)) - frozenset(days)
