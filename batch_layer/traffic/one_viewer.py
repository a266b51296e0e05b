"""What one viewer cannot do alone, as a plain model: too much at once, too many hours or countries, too even pauses."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.findings import Finding
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason, TrafficReason

SECOND = 1_000_000
TEN_MINUTES = 600 * SECOND
HOUR = 3_600 * SECOND
ANONYMISED = ("relay/", "vpn/")
"""Kinds of networks whose country is not the viewer's."""
EVEN_WITHIN = SECOND
"""A pause is even when it differs from the median by at most a second: durations are whole seconds."""
VARIED_SECONDS = 10
"""Durations that differ by less say nothing about pauses."""


def findings(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Yield what is found of each viewer; nobody is the viewer of an event without one."""
    by_viewer: dict[str, list[DayEvent]] = defaultdict(list)
    for event in events:
        if event.user_id is not None:
            by_viewer[event.user_id].append(event)
    for views in by_viewer.values():
        views.sort(key=lambda each: each.order)
        yield from _at_once(views, policy)
        yield from _hours(views, policy)
        yield from _places(views, policy)
        yield from _pauses(views, policy)


def in_progress(views: Sequence[DayEvent]) -> Iterator[tuple[DayEvent, int]]:
    """Yield each view with the number of views that are in progress when it begins, itself and its equals included."""
    ends: list[int] = []
    begun = sorted(views, key=lambda each: each.begun)
    ahead = 0
    for event in begun:
        while ahead < len(begun) and begun[ahead].begun <= event.begun:
            heappush(ends, begun[ahead].begun + begun[ahead].view_duration * SECOND)
            ahead += 1
        while ends and ends[0] <= event.begun:
            heappop(ends)
        yield event, len(ends)


def _at_once(views: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    by_payee: dict[str, list[DayEvent]] = defaultdict(list)
    for event in views:
        if event.payee_id is not None:
            by_payee[event.payee_id].append(event)
    of_all = (
        (policy.at_once_invalid, policy.at_once_times_invalid, INVALID_POINTS),
        (policy.at_once_review, policy.at_once_times_review, REVIEW_POINTS),
    )
    of_payee = (
        (policy.payee_at_once_invalid, policy.payee_at_once_times_invalid, INVALID_POINTS),
        (policy.payee_at_once_review, policy.payee_at_once_times_review, REVIEW_POINTS),
    )
    for group, levels in ((views, of_all), *((mine, of_payee) for mine in by_payee.values())):
        counted = list(in_progress(group))
        for least, times, points in levels:
            if len({event.begun // TEN_MINUTES for event, count in counted if count >= least}) >= times:
                yield from found(group, DayReason.PLAYS_AT_ONCE, points)
                break


def _hours(views: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    by_day: dict[date, list[DayEvent]] = defaultdict(list)
    for event in views:
        by_day[event.event_day].append(event)
    for mine in by_day.values():
        seconds = sum(event.view_duration for event in mine)
        if seconds >= policy.hours_invalid * 3_600:
            yield from found(mine, DayReason.MORE_HOURS_THAN_A_DAY, INVALID_POINTS)
        elif seconds >= policy.hours_review * 3_600:
            yield from found(mine, DayReason.MORE_HOURS_THAN_A_DAY, REVIEW_POINTS)


def _places(views: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Look at countries and networks; those of a relay or VPN are not the viewer's."""
    own = [each for each in views if not (each.network_kind or "").startswith(ANONYMISED)]
    for name, reason, changes, levels in places_of(policy):
        mine = [each for each in own if getattr(each, name) is not None]
        moved = sum(
            getattr(later, name) != getattr(former, name)
            and later.begun - (former.begun + former.view_duration * SECOND) < HOUR
            for former, later in pairwise(mine)
        )
        seen = len({getattr(each, name) for each in mine})
        for least, points in levels:
            if moved >= changes and seen >= least:
                yield from found(mine, reason, points)
                break


class Places(NamedTuple):
    """Where a viewer can be: a column, the changes within the hour, and how many places give which points."""

    name: str
    reason: DayReason
    changes: int
    levels: tuple[tuple[int, int], tuple[int, int]]


def places_of(policy: TrafficPolicy) -> tuple[Places, Places]:
    """Return what is looked at in the same way."""
    countries = ((policy.countries_invalid, INVALID_POINTS), (policy.countries_review, REVIEW_POINTS))
    networks = ((policy.networks_invalid, INVALID_POINTS), (policy.networks_review, REVIEW_POINTS))
    return (
        Places("country", DayReason.COUNTRIES_WITHIN_HOURS, policy.country_changes, countries),
        Places("network", DayReason.NETWORKS_WITHIN_HOURS, policy.network_changes, networks),
    )


def _pauses(views: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Look at pauses after views that were left before their end: after a whole video the player goes on by itself."""
    after = [
        (later.begun - (former.begun + former.view_duration * SECOND), former.view_duration)
        for former, later in pairwise(views)
        if is_left(former)
    ]
    long = sorted(each for each in after if policy.pause_seconds * SECOND <= each[0] < HOUR)
    if not long or 10 * len(long) < 8 * len(after):
        return
    median = long[(len(long) - 1) // 2][0]
    lengths = [length for _, length in long]
    even = sum(abs(pause - median) <= EVEN_WITHIN for pause, _ in long)
    if 10 * even < 9 * len(long) or max(lengths) - min(lengths) < VARIED_SECONDS:
        return
    if len(long) >= policy.pauses_invalid:
        yield from found(views, DayReason.EVEN_PAUSES, INVALID_POINTS)
    elif len(long) >= policy.pauses_review:
        yield from found(views, DayReason.EVEN_PAUSES, REVIEW_POINTS)


def is_left(event: DayEvent) -> bool:
    """Return whether a view ended clearly before its video did; not known without a length."""
    length = event.length_seconds
    return length is not None and event.view_duration * 10 < length * 9 and event.view_duration < length - 3


def found(views: Iterable[DayEvent], reason: TrafficReason, points: int) -> Iterator[Finding]:
    """Yield one finding for each view."""
    for event in views:
        yield Finding((event.partition, event.offset), reason, points)
