"""Find the event days that a run must judge again."""

from collections.abc import Collection
from datetime import date, timedelta

_ONE = timedelta(days=1)


def neighbours(days: Collection[date], existing: Collection[date]) -> frozenset[date]:
    """Return the existing days next to `days` that are not among them."""
    beside = {day + step for day in days for step in (-_ONE, _ONE)}
    return frozenset(beside & set(existing)) - frozenset(days)


def days_to_recompute(touched: Collection[date], existing: Collection[date]) -> frozenset[date]:
    """Return the touched days and the existing days next to them.

    A new event can change the verdict of the same id's events on its own and the neighbouring days, whose order is
    that of arrival over all partitions, so also of events that were archived earlier.
    """
    return frozenset(touched) | neighbours(touched, existing)


def days_before(days: Collection[date], existing: Collection[date]) -> frozenset[date]:
    """Return the existing days outside `days` whose billable views are the context of the cap of the next day."""
    return frozenset({day - _ONE for day in days} & set(existing)) - frozenset(days)


def days_after(days: Collection[date], existing: Collection[date]) -> frozenset[date]:
    """Return the existing days outside `days` whose cap looks back into one of them."""
    return frozenset({day + _ONE for day in days} & set(existing)) - frozenset(days)
