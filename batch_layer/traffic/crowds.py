"""How a crowd's views end, as a plain model: compared with what is expected of all views of videos of their length.

A crowd is all views with something in common: a viewer, a network, a page they came from, a video and an hour, a payee,
or a payee and one network, kind of network, agent, device, country or page. People leave early or stay to the end;
programs and people who are paid for views do neither, or leave when the view is paid. Where a view comes from proves
nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.findings import Finding
from batch_layer.traffic.one_viewer import HOUR, SECOND, is_left
from ingestion.contract.traffic_policy import HINT_POINTS, INVALID_POINTS, STRONG_HINT_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason

IN_STEP = 300 * SECOND
LENGTHS = (45, 60, 90, 120, 180, 240, 360, 480, 720, 1_200, 2_400)
"""Videos of less than the first are not looked at: their end is too near to the second from which a view is paid."""
WINDOWS = (2, 4, 8, 30)
"""Views that end within this number of seconds after they are paid."""
MILLION = 1_000_000
"""Expectations are whole millionths of a view."""
OF_PAYEE = ("payee_network", "payee_network_kind", "payee_agent", "payee_device", "payee_country", "payee_referrer")
KINDS = ("viewer", "network", "referrer", "video_hour", "payee", *OF_PAYEE)


BROAD = frozenset({"payee", *OF_PAYEE} - {"payee_network"})
"""Crowds that honest people are in beside an attack."""
TESTS = {
    "early": DayReason.NOBODY_LEAVES_EARLY,
    "edges": DayReason.NEITHER_LEFT_NOR_FINISHED,
    **{f"window_{each}": DayReason.LEAVE_ONCE_PAID for each in WINDOWS},
}
WHOLE = frozenset({"early", "edges"})
"""Tests that find nearly all of a crowd. In a broad one the benefit of the doubt goes to viewers who watch others too,
to those who do not do what the crowd does, and to views that were not evidence: the many of one viewer, and the others
in one room."""
FEW_VIEWS = 2
"""Of a viewer who saw this number to their ends nobody knows whether they ever leave."""
LESS = {INVALID_POINTS: STRONG_HINT_POINTS, STRONG_HINT_POINTS: HINT_POINTS}


class Ends(NamedTuple):
    """How a view ended, or how many of a crowd did."""

    early: int
    middle: int
    edges: int
    window_2: int
    window_4: int
    window_8: int
    window_30: int


Crowd = tuple[Any, ...]


@dataclass
class _Viewer:
    payees: set[str | None] = field(default_factory=set)
    early: int = 0
    middle: int = 0
    edges: int = 0

    def add(self, event: DayEvent, ends: Ends) -> None:
        self.payees.add(event.payee_id)
        self.early, self.middle, self.edges = (
            self.early + ends.early,
            self.middle + ends.middle,
            self.edges + ends.edges,
        )

    def is_like_all(self, test: str) -> bool:
        """Return whether a viewer did what the whole crowd did, and watched nothing else."""
        is_like_early = not self.early and (self.middle > 0 or self.edges <= FEW_VIEWS)
        return len(self.payees) == 1 and (is_like_early if test == "early" else self.edges <= self.middle)


@dataclass
class _Sums:
    seen: list[int]
    expected: list[int]


def findings(events: Sequence[DayEvent], policy: TrafficPolicy, kinds: Collection[str] = KINDS) -> Iterator[Finding]:
    """Yield what is found of crowds of some kinds."""
    fitting = [(each, length_class(each)) for each in events]
    looked_at = [(each, number) for each, number in fitting if number is not None]
    evidence = list(witnesses(looked_at, policy))
    places = {(each.partition, each.offset) for each, _ in evidence}
    sums = _sums(evidence, policy, kinds)
    found = {
        crowd: verdicts for crowd, each in sums.items() if (verdicts := list(tests(each.seen, each.expected, policy)))
    }
    viewers: dict[str | None, _Viewer] = defaultdict(_Viewer)
    for event in events:
        viewers[event.user_id].add(event, ends_of(event, policy))
    for event, _ in looked_at:
        ends = ends_of(event, policy)
        viewer = viewers[event.user_id] if event.user_id is not None and event[:2] in places else None
        for crowd in crowds_of(event):
            for test, points in found.get(crowd, ()):
                if is_meant(test, ends):
                    is_like_all = viewer is not None and viewer.is_like_all(test)
                    is_doubted = crowd[0] in BROAD and test in WHOLE and not is_like_all
                    yield Finding((event.partition, event.offset), TESTS[test], LESS[points] if is_doubted else points)


def is_meant(test: str, ends: Ends) -> bool:
    """Return whether a view is one of those that a test found too many of."""
    return not ends.early if test == "early" else bool(ends.middle if test == "edges" else getattr(ends, test))


def length_class(event: DayEvent) -> int | None:
    """Return the class of the video's length; None where it is too short or not known."""
    length = event.length_seconds
    return None if length is None or length < LENGTHS[0] else sum(length >= each for each in LENGTHS)


def ends_of(event: DayEvent, policy: TrafficPolicy) -> Ends:
    """Return how one view ended, as ones and zeros."""
    is_left_before_end = is_left(event)
    beyond = event.view_duration - policy.paid_seconds
    early, middle = is_left_before_end and beyond < 0, is_left_before_end and beyond >= 0
    windows = (int(middle and beyond < each) for each in WINDOWS)
    return Ends(int(early), int(middle), int(not middle), *windows)


def crowds_of(event: DayEvent) -> Iterator[Crowd]:
    """Yield the crowds that a view belongs to."""
    if event.user_id is not None:
        yield ("viewer", event.user_id)
    if event.network is not None:
        yield ("network", event.network)
    if event.referrer_host is not None:
        yield ("referrer", event.referrer_host)
    yield ("video_hour", event.video_id, event.begun // HOUR)
    if event.payee_id is None:
        return
    yield ("payee", event.payee_id)
    origin = (event.network, event.network_kind, event.agent)
    of_payee = (*origin, event.device_type, event.country, event.referrer_host or "")
    for kind, value in zip(OF_PAYEE, of_payee, strict=True):
        if value is not None:
            yield (kind, event.payee_id, value)


def witnesses(looked_at: Iterable[tuple[DayEvent, int]], policy: TrafficPolicy) -> Iterator[tuple[DayEvent, int]]:
    """Yield the views that stand for others: people in one room decide together when to stop, one person alone.

    Of a video in a network in five minutes the first view, and then of a viewer and payee only some.
    """
    rooms: set[Any] = set()
    views: Counter[Any] = Counter()
    for event, number in sorted(looked_at, key=lambda pair: pair[0].order):
        if event.network is not None:
            room = (event.video_id, event.network, event.begun // IN_STEP)
            if room in rooms:
                continue
            rooms.add(room)
        if event.user_id is not None:
            views[event.user_id, event.payee_id] += 1
            if views[event.user_id, event.payee_id] > policy.witness_views_max:
                continue
        yield event, number


def _sums(
    looked_at: Sequence[tuple[DayEvent, int]], policy: TrafficPolicy, kinds: Collection[str]
) -> dict[Crowd, _Sums]:
    of_class: dict[int, list[int]] = defaultdict(lambda: [0] * (1 + len(Ends._fields)))
    ended = [(event, number, ends_of(event, policy)) for event, number in looked_at]
    for _, number, ends in ended:
        add(of_class[number], (1, *ends))
    usual = {number: usual_of(each) for number, each in of_class.items()}
    sums: dict[Crowd, _Sums] = defaultdict(lambda: _Sums([0] * len(Ends._fields), [0] * len(Ends._fields)))
    for event, number, ends in ended:
        expected = ((ends.early + ends.middle) * usual[number][0], *usual[number][1:])
        for crowd in (each for each in crowds_of(event) if each[0] in kinds):
            add(sums[crowd].seen, ends)
            add(sums[crowd].expected, expected)
    return sums


def usual_of(totals: Sequence[int]) -> tuple[int, ...]:
    """Return what is usual, in millionths: of those who left, how many left early; of the rest, how many of all.

    In the middle it is half way between what is usual and what would be if those who leave early had not come.
    """
    views, early, middle, *others = totals
    without_early = middle * MILLION // max(1, views - early)
    half_way = (middle * MILLION // views + without_early) // 2
    return (early * MILLION // max(1, early + middle), half_way, *(each * MILLION // views for each in others))


def add(sums: list[int], more: Sequence[int]) -> None:
    """Add to each sum."""
    for index, each in enumerate(more):
        sums[index] += each


def do_leave(seen: Sequence[int], expected: Sequence[int]) -> bool:
    """Return whether more of a crowd than elsewhere left later, as if only those who leave early were missing.

    People who must or want to see a video, as in a course, do not leave early, and do not leave later either.
    """
    index = Ends._fields.index("middle")
    return seen[index] * MILLION >= expected[index]


def tests(seen: Sequence[int], expected: Sequence[int], policy: TrafficPolicy) -> Iterator[tuple[str, int]]:
    """Yield what is found of one crowd: a test of `TESTS`, and its points."""
    levels = (("invalid", INVALID_POINTS), ("review", STRONG_HINT_POINTS))
    for test in TESTS:
        index = Ends._fields.index(test)
        for level, points in levels:
            least = getattr(policy, f"{test if test in WHOLE else 'window'}_least_{level}")
            ratio = getattr(policy, f"{test}_ratio_{level}")
            if test == "early" and not do_leave(seen, expected):
                is_found = False
            elif test in WHOLE:
                is_found = expected[index] >= least * MILLION and seen[index] * MILLION * ratio <= expected[index]
            else:
                is_found = seen[index] >= least and seen[index] * MILLION >= ratio * expected[index]
            if is_found:
                yield (test, points)
                break
