"""The rules of a period as a plain model: what `spark_period_rules` computes, in words that can be read.

They see 28 days and more, and what no single day shows: a viewer with the same number of views on every day, payees who
watch one another, and crowds that are small on each day. They count and compare whole numbers, as the day rules do.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import chain

from batch_layer.traffic.allowed import Allowed, without_allowed
from batch_layer.traffic.crowds import OF_PAYEE
from batch_layer.traffic.crowds import findings as of_crowds
from batch_layer.traffic.day_events import DayEvent, DayOutcome
from batch_layer.traffic.findings import Finding, totals
from batch_layer.traffic.one_viewer import found, is_left
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import PeriodReason

CROWDS = ("payee", *OF_PAYEE)
"""One viewer, home or page has habits that no day shows: only crowds of a payee are looked at."""
PayeeViewer = tuple[str, str]
"""A payee and a viewer who is that payee, by the catalogue."""


def period_outcomes(
    rows: Iterable[DayEvent],
    payee_viewers: Collection[PayeeViewer],
    days: Collection[date],
    policy: TrafficPolicy,
    allowed: Allowed = (),
) -> list[DayOutcome]:
    """Return the outcomes of the events of `days` that have one, by place; `rows` are those that the rules see.

    An event whose viewer is not known is not looked at. `allowed` are the policy's own entries.
    """
    events = sorted((each for each in rows if each.user_id is not None), key=lambda each: each.order)
    findings = chain(_even_days(events, policy), _rings(events, payee_viewers, policy), _crowds(events, policy))
    all_found = totals(without_allowed(findings, events, allowed), policy)
    outcomes = (
        DayOutcome(*place, each.event_day, total.outcome, total.reason.code, total.points)
        for each in events
        if each.event_day in days
        for place in [(each.partition, each.offset)]
        if (total := all_found.get(place)) is not None
    )
    return sorted(outcomes)


def _even_days(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Find viewers of one payee alone whose number of views is the same from day to day, without a day of rest.

    Only views that were left before their end count, as a player that goes through a list by itself ends each. Numbers
    of people vary by more than chance, and by chance alone their variance is their mean.
    """
    by_viewer: dict[str, list[DayEvent]] = defaultdict(list)
    for event in events:
        by_viewer[str(event.user_id)].append(event)
    for mine in by_viewer.values():
        payees = {each.payee_id for each in mine}
        if len(payees) > 1 or None in payees:
            continue
        counts: dict[date, int] = defaultdict(int)
        for each in mine:
            if is_left(each) and each.view_duration >= policy.paid_seconds:
                counts[each.event_day] += 1
        if len(counts) < policy.even_days or len(counts) <= (max(counts) - min(counts)).days:
            continue
        days, views = len(counts), sum(counts.values())
        if views < policy.even_views * days:
            continue
        spread = days * sum(count * count for count in counts.values()) - views * views
        for ratio, points in (
            (policy.even_ratio_invalid, INVALID_POINTS),
            (policy.even_ratio_review, REVIEW_POINTS),
        ):
            if spread * ratio <= views * days:
                yield from found(mine, PeriodReason.EVEN_DAYS, points)
                break


def _rings(
    events: Sequence[DayEvent], payee_viewers: Collection[PayeeViewer], policy: TrafficPolicy
) -> Iterator[Finding]:
    """Find payees who watch the same videos of one another again and again, and what they watch of one another."""
    payees_of: dict[str, set[str]] = defaultdict(set)
    for payee, viewer in payee_viewers:
        payees_of[viewer].add(payee)
    between: dict[tuple[str, str], list[DayEvent]] = defaultdict(list)
    for event in events:
        owned = payees_of.get(str(event.user_id), set())
        if event.payee_id is not None and event.payee_id not in owned and event.view_duration >= policy.paid_seconds:
            for payee in owned:
                between[payee, event.payee_id].append(event)
    many = {
        pair
        for pair, mine in between.items()
        if len(mine) >= policy.ring_views
        and len({each.event_day for each in mine}) >= policy.ring_days
        and len(mine) >= policy.ring_repeats * len({each.video_id for each in mine})
    }
    for payee, other in many:
        if (other, payee) in many:
            yield from found(between[payee, other], PeriodReason.PAYEES_IN_A_RING, REVIEW_POINTS)


def _crowds(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    of_weeks = replace(policy, witness_views_max=policy.weeks_witness_views_max)
    views = Counter((each.user_id, each.payee_id) for each in events)
    most = policy.weeks_viewer_views_max
    habits = {each[:2] for each in events if views[each.user_id, each.payee_id] > most}
    for place, _, points in of_crowds(events, of_weeks, CROWDS):
        if place not in habits:
            yield Finding(place, PeriodReason.CROWD_OF_WEEKS, points)
