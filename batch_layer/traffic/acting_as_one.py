"""Viewers who act as one, as a plain model: one session, one script, one timetable, one device in turn."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.findings import Finding
from batch_layer.traffic.one_viewer import SECOND, found, in_progress, is_left
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason

IN_A_ROW = 3
"""One equal view is chance, two are a habit of many; of three in a row the seconds do not agree by chance."""
SCRIPT_SECONDS = 6
TIMETABLE_SECONDS = 120
"""The width of a box of seconds; views in one box count as equal. Each view is in two boxes, half a width apart, so
that two views near each other are in one box at least once."""

Row = tuple[DayEvent, DayEvent, DayEvent]
T = TypeVar("T")


def findings(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Yield what is found of groups of viewers."""
    yield from _sessions(events, policy)
    yield from _scripts(events, policy)
    yield from _timetables(events, policy)
    yield from _turns(events, policy)


def _sessions(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Find shared sessions; a player that gives all of them one name is used for many payees, so one must have most."""
    for mine in grouped(events, lambda each: each.session_id).values():
        viewers, networks = _distinct(mine, "user_id"), _distinct(mine, "network")
        if viewers < 2 or 2 * _most_of(mine) < len(mine):
            continue
        if viewers >= policy.session_viewers_invalid and networks >= policy.session_networks_invalid:
            yield from found(mine, DayReason.SHARED_SESSION, INVALID_POINTS)
        elif viewers >= policy.session_viewers_review and networks >= policy.session_networks_review:
            yield from found(mine, DayReason.SHARED_SESSION, REVIEW_POINTS)


def _scripts(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Look at views that were paid and left before their end: everybody ends at the end of a video."""
    left = [each for each in events if each.view_duration >= policy.paid_seconds and is_left(each)]
    rows = list(in_a_row(left))
    of_videos = Counter(_videos(row) for row in rows)
    points_of: dict[tuple[str | None, str | None], int] = {}
    for box in (0, 1):
        by_seconds = partial(_boxed_videos, box_of=partial(_box_of_duration, box=box))
        for key, mine in grouped(rows, by_seconds).items():
            firsts = [row[0] for row in mine]
            times = [each.begun for each in firsts]
            if len(mine) * policy.script_share < of_videos[key[:IN_A_ROW]]:
                continue
            if max(times) - min(times) < policy.script_spread_seconds * SECOND:
                continue
            is_several = _distinct(firsts, "user_id") >= policy.script_viewers and _distinct(firsts, "network") >= 2
            if len(mine) >= policy.script_repeats_invalid:
                _raise(points_of, mine, INVALID_POINTS)
            elif is_several and len(mine) >= policy.script_repeats_review:
                _raise(points_of, mine, REVIEW_POINTS)
    yield from _of_sessions(events, points_of, DayReason.REPEATED_SCRIPT)


def _timetables(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    rows = [row for row in in_a_row(events) if len({each.payee_id for each in row}) > 1]
    points_of: dict[tuple[str | None, str | None], int] = {}
    for box in (0, 1):
        begun: dict[tuple[str, int], set[str | None]] = defaultdict(set)
        for event in events:
            begun[event.video_id, _box_of_time(event, box)].add(event.user_id)
        by_time = partial(_boxed_videos, box_of=partial(_box_of_time, box=box))
        for key, mine in grouped(rows, by_time).items():
            firsts = [row[0] for row in mine]
            viewers = _distinct(firsts, "user_id")
            all_viewers = len(begun[key[0], key[IN_A_ROW]] - {None})
            if _distinct(firsts, "network") < policy.lockstep_networks:
                continue
            if 100 * viewers < policy.lockstep_share * all_viewers:
                continue
            if viewers >= policy.lockstep_viewers_invalid:
                _raise(points_of, mine, INVALID_POINTS)
            elif viewers >= policy.lockstep_viewers_review:
                _raise(points_of, mine, REVIEW_POINTS)
    yield from _of_sessions(events, points_of, DayReason.LOCKSTEP)


def _turns(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Find one device that changes accounts: most of the time somebody watches, and never two of them.

    A class or an office on equal computers watches at the same time; the fans of a town watch now and then.
    """
    known = [each for each in events if None not in (each.network, each.agent, each.payee_id)]
    of_device = Counter((each.network, each.agent) for each in known)
    of_payee = Counter(each.payee_id for each in known)
    groups = grouped(known, lambda each: (each.network, each.agent, each.payee_id, each.event_day))
    for (network, agent, payee, _), mine in groups.items():
        if len(mine) < policy.turn_views or _distinct(mine, "user_id") < policy.turn_viewers:
            continue
        is_unusual = len(mine) * len(known) >= policy.turn_ratio * of_device[network, agent] * of_payee[payee]
        overlapping = sum(count > 1 for _, count in in_progress(mine))
        watched = sum(each.view_duration for each in mine) * SECOND
        span = max(each.begun + each.view_duration * SECOND for each in mine) - min(each.begun for each in mine)
        if is_unusual and overlapping * policy.turn_overlap_share <= len(mine) and 2 * watched >= span:
            yield from found(mine, DayReason.ACCOUNTS_IN_TURN, REVIEW_POINTS)


def in_a_row(events: Iterable[DayEvent]) -> Iterator[Row]:
    """Yield each three events that follow one another among these of one viewer."""
    for mine in grouped(events, lambda each: each.user_id).values():
        mine.sort(key=lambda each: each.order)
        yield from zip(mine, mine[1:], mine[2:], strict=False)


def grouped(rows: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    """Return rows by a key; those whose key is None are left out."""
    groups: dict[Hashable, list[T]] = defaultdict(list)
    for row in rows:
        its_key = key(row)
        if its_key is not None:
            groups[its_key].append(row)
    return groups


def boxed(number: int, width: int, box: int) -> int:
    """Return in which box of this width a number is; the boxes of the second kind begin half a width earlier."""
    return (number + box * (width // 2)) // width


def _boxed_videos(row: Row, box_of: Callable[[DayEvent], int]) -> tuple[str | int, ...]:
    return (*_videos(row), *(box_of(each) for each in row))


def _box_of_duration(event: DayEvent, box: int) -> int:
    return boxed(event.view_duration, SCRIPT_SECONDS, box)


def _box_of_time(event: DayEvent, box: int) -> int:
    return boxed(event.begun, TIMETABLE_SECONDS * SECOND, box)


def _videos(row: Row) -> tuple[str, str, str]:
    return (row[0].video_id, row[1].video_id, row[2].video_id)


def _distinct(events: Iterable[DayEvent], name: str) -> int:
    return len({getattr(each, name) for each in events} - {None})


def _most_of(events: Iterable[DayEvent]) -> int:
    return max(Counter(each.payee_id for each in events if each.payee_id is not None).values(), default=0)


def _raise(points_of: dict[tuple[str | None, str | None], int], rows: Iterable[Row], points: int) -> None:
    for event in chain.from_iterable(rows):
        key = (event.user_id, event.session_id)
        points_of[key] = max(points, points_of.get(key, 0))


def _of_sessions(
    events: Iterable[DayEvent], points_of: dict[tuple[str | None, str | None], int], reason: DayReason
) -> Iterator[Finding]:
    """Yield all views of the viewers' sessions in which something was found."""
    for event in events:
        points = points_of.get((event.user_id, event.session_id)) if event.user_id is not None else None
        if points is not None:
            yield Finding((event.partition, event.offset), reason, points)
