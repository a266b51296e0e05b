"""The day rules of invalid traffic as a plain model: what `spark_day_rules` computes, in words that can be read.

The rules see an event day and the day before. They count and compare whole numbers, so that order, chunks and machines
never matter.
"""

from collections.abc import Iterable
from datetime import date
from itertools import chain

from batch_layer.traffic import acting_as_one, crowds, one_viewer, origins
from batch_layer.traffic.allowed import Allowed, without_allowed
from batch_layer.traffic.day_events import DayEvent, DayOutcome
from batch_layer.traffic.findings import totals
from ingestion.contract.traffic_policy import TrafficPolicy


def day_outcomes(rows: Iterable[DayEvent], day: date, policy: TrafficPolicy, allowed: Allowed = ()) -> list[DayOutcome]:
    """Return the outcomes of the events of `day` that have one, by place.

    `rows` has those of the day before too. `allowed` are the policy's own entries: their views are among what the rules
    see, and only what is found of them is left out.
    """
    events = sorted(rows, key=lambda each: each.order)
    rooms = (one_viewer, acting_as_one, crowds, origins)
    all_found = chain.from_iterable(room.findings(events, policy) for room in rooms)
    found = totals(without_allowed(all_found, events, allowed), policy)
    outcomes = (
        DayOutcome(*place, each.event_day, total.outcome, total.reason.code, total.points)
        for each in events
        if each.event_day == day
        for place in [(each.partition, each.offset)]
        if (total := found.get(place)) is not None
    )
    return sorted(outcomes)
