"""What a proposed policy of traffic would withhold, put under review or pay in another way than now. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from billing.rating.stake import Worth, micros_of
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.settled import MovedViews, TrafficState

_WORTH_MONEY = frozenset({TrafficState.PAID, TrafficState.UNDER_REVIEW})
_ORDER = tuple(TrafficState)


@dataclass(frozen=True)
class Amount:
    """Some events, and what they earn while they are paid, as an estimate."""

    event_count: int = 0
    micros: int = 0


@dataclass(frozen=True)
class TrafficMove:
    """The events of which a policy makes something else, in one direction."""

    now: TrafficState
    proposed: TrafficState
    all: Amount
    released: Amount
    """Those of them that a person released: honest viewers made them."""
    confirmed: Amount
    """Those of them that a person confirmed: no viewer made them."""


@dataclass(frozen=True)
class TrafficBacktest:
    """All moves, and the groups that a person must look at."""

    moves: tuple[TrafficMove, ...]
    groups_now: int
    groups_proposed: int

    @property
    def withheld_wrongly(self) -> Amount:
        """Return what the policy withholds and people released."""
        return _sum(each.released for each in self.moves if each.proposed is TrafficState.WITHHELD)

    @property
    def paid_wrongly(self) -> Amount:
        """Return what the policy pays and people confirmed."""
        return _sum(each.confirmed for each in self.moves if each.proposed is TrafficState.PAID)


def priced(moved: Iterable[MovedViews], worth: Worth, *, groups_now: int, groups_proposed: int) -> TrafficBacktest:
    """Sum the moved events, each by the rates of its video's owners; one without an owner or a rate earns nothing."""
    counts: defaultdict[tuple[TrafficState, TrafficState], Counter[str]] = defaultdict(Counter)
    parts: defaultdict[tuple[TrafficState, TrafficState], Counter[str]] = defaultdict(Counter)
    for each in moved:
        move = TrafficState(each.now), TrafficState(each.proposed)
        per_view = worth.parts_per_view(each.video_id, each.event_day, each.country) or 0
        counts[move][each.decided] += each.event_count
        parts[move][each.decided] += each.event_count * per_view if _WORTH_MONEY.intersection(move) else 0
    moves = [
        TrafficMove(
            *move,
            Amount(counts[move].total(), micros_of(parts[move].total())),
            *(
                Amount(counts[move][decided], micros_of(parts[move][decided]))
                for decided in (TrafficOutcome.RELEASED, TrafficOutcome.CONFIRMED)
            ),
        )
        for move in sorted(counts, key=lambda move: tuple(map(_ORDER.index, move)))
    ]
    return TrafficBacktest(tuple(moves), groups_now, groups_proposed)


def _sum(amounts: Iterable[Amount]) -> Amount:
    found = list(amounts)
    return Amount(sum(each.event_count for each in found), sum(each.micros for each in found))
