"""The verifier's own rules of the day give every event the reason that the product's model gives it."""

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from batch_layer.traffic.allowed import Allowed
from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.day_rules import day_outcomes
from ingestion.contract.allowed_traffic import ALLOWABLE
from ingestion.contract.traffic_policy import SHIPPED, TrafficPolicy, contradictions, traffic_document
from ingestion.contract.traffic_reasons import RULE_REASONS, DayReason
from tests.random_day_events import DAY, low_policy, random_events, some_allowed
from tests.verifier import verifier


def policy_of(rng: random.Random) -> TrafficPolicy:
    """A low policy that somebody could put in force: what is invalid is at least what is reviewed."""
    policy = low_policy(rng)
    while problems := contradictions(policy):
        name = problems[0].split(" ")[0]
        policy = replace(policy, **{name: getattr(policy, name.removesuffix("_invalid") + "_review")})  # type: ignore[arg-type]
    return policy


def clockwork_and_hermits(rng: random.Random) -> list[DayEvent]:
    """What random events seldom are: views with even pauses, and views from networks that nobody else uses."""
    some = random_events(rng, 1)[0]
    at, found = datetime.combine(DAY, time(1), UTC), []
    for number in range(rng.randrange(4, 12)):
        seconds = rng.randrange(31, 90)
        found.append(
            some._replace(
                offset=10_000 + number,
                event_id=f"c{number}",
                event_day=DAY,
                happened_at=at,
                length_seconds=3_000,
                user_id="clock",
                session_id=None,
                network=None,
                view_duration=seconds,
            )
        )
        pause = rng.choice((20, 20, 20, 20, 21, 19, rng.randrange(100)))
        at += timedelta(seconds=seconds + pause, microseconds=rng.randrange(2))
    for number in range(rng.randrange(12)):
        name = f"h{rng.randrange(12)}"
        place = {"offset": 20_000 + number, "event_id": name, "event_day": DAY, "happened_at": at}
        whose = {"user_id": name, "network": f"of {name}", "country": "IS", "payee_id": "p0", "session_id": None}
        found.append(some._replace(**place, **whose, length_seconds=None))
    return found


def view_of(event: DayEvent, allowed: Allowed = ()) -> object:
    def text(value: str | None) -> str:
        return value or ""

    referrer = "none" if event.referrer_host == "" else text(event.referrer_host)
    return verifier.View(
        0,
        (event.partition, event.offset),
        event.event_id,
        event.event_day.isoformat(),
        event.begun,
        event.video_id,
        text(event.payee_id),
        event.length_seconds,
        text(event.user_id),
        text(event.session_id),
        event.view_duration,
        text(event.country),
        text(event.device_type),
        text(event.network),
        text(event.network_kind),
        text(event.agent),
        referrer,
        tuple(number for number, entry in enumerate(allowed) if event.event_day == DAY and entry.are_of(event)),
    )


@pytest.mark.parametrize("begin", range(0, 120, 20))
def test_both_programs_give_every_event_the_same_reason(begin: int) -> None:
    seen: set[str] = set()
    for seed in range(begin, begin + 20):
        rng = random.Random(seed)
        policy = policy_of(rng)
        allowed = ()
        if seed % 2:
            policy, allowed = some_allowed(rng, policy)
        some = [*random_events(rng, rng.choice((40, 150, 400))), *clockwork_and_hermits(rng)]
        events = sorted(some, key=lambda each: each.order)
        by_model = {
            (each.partition, each.offset): (each.outcome, each.reason, each.points)
            for each in day_outcomes(events, DAY, policy, allowed)
        }
        document = traffic_document(policy)
        by_verifier = verifier.DayRules([view_of(each, allowed) for each in events], document).reasons(DAY.isoformat())
        assert {place: tuple(reason) for place, reason in by_verifier.items()} == by_model, f"seed {seed}"
        seen |= {reason for _, reason, _ in by_model.values()}
    assert len(seen) > 9, seen


def test_the_verifier_knows_every_reason_in_its_order_with_its_class() -> None:
    assert list(verifier.REASONS.items()) == [(each.code, each.its_class.value) for each in DayReason]
    assert sorted(verifier.ALLOWABLE) == sorted(ALLOWABLE)
    assert list(verifier.CLASS_OF.items()) == [(each.code, each.its_class.value) for each in RULE_REASONS]


def test_an_event_of_the_day_before_has_no_reason_on_the_day() -> None:
    rng = random.Random(3)
    events = sorted(random_events(rng, 300), key=lambda each: each.order)
    views = [view_of(each) for each in events]
    rules = verifier.DayRules(views, traffic_document(replace(policy_of(rng))))
    before = {(each.partition, each.offset) for each in events if each.event_day == DAY - timedelta(days=1)}
    reasons = rules.reasons(DAY.isoformat())
    assert before
    assert reasons
    assert not before & reasons.keys()


def test_by_the_shipped_policy_a_quiet_day_has_no_reason() -> None:
    events = sorted(random_events(random.Random(1), 20), key=lambda each: each.order)
    quiet = [each._replace(user_id=f"u{number}", view_duration=40) for number, each in enumerate(events)]
    rules = verifier.DayRules([view_of(each) for each in quiet], traffic_document(SHIPPED))
    assert rules.reasons(DAY.isoformat()) == {}
