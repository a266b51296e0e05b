"""From what each rule found to one outcome for an event. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from ingestion.contract.offsets import LogPlace
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import ORDER_OF_CODE, InvalidClass, TrafficReason


class Finding(NamedTuple):
    """What one rule found of one event. An event may be found more than once, by one rule too."""

    place: LogPlace
    reason: TrafficReason
    points: int


class Total(NamedTuple):
    """What all rules together found of an event."""

    outcome: str
    reason: TrafficReason
    points: int


def totals(findings: Iterable[Finding], policy: TrafficPolicy) -> dict[LogPlace, Total]:
    """Return the outcome of each event that has one.

    Of each class only the strongest reason counts, because reasons of one class look at the same thing.
    """
    best: dict[LogPlace, dict[InvalidClass, tuple[int, int, TrafficReason]]] = {}
    for place, reason, points in findings:
        most = min(points, REVIEW_POINTS) if reason.code in policy.demoted else points
        mine = best.setdefault(place, {})
        now = (most, -ORDER_OF_CODE[reason.code], reason)
        former = mine.get(reason.its_class)
        if former is None or now[:2] > former[:2]:
            mine[reason.its_class] = now
    summed = {place: (sum(each[0] for each in mine.values()), max(mine.values(), key=lambda each: each[:2])[2])
              for place, mine in best.items()}  # fmt: skip
    return {
        place: Total("invalid" if points >= INVALID_POINTS else "review", reason, points)
        for place, (points, reason) in summed.items()
        if points >= REVIEW_POINTS
    }
