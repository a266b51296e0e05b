"""Settled views sorted by owner and card in Spark are, event by event, what the contract and the terms say."""

import json
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from batch_layer.judging.spark_verdicts import CANDIDATES
from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.tables import EVENTS
from batch_layer.reconciling.spark_repeated_ids import repeated_ids
from batch_layer.settled.iceberg_settled_views import IcebergSettledViews
from billing.rating.attribution import Attribution
from billing.rating.rating import rate_period
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contract, Contracts
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare
from billing.terms.suspense import SUSPENSE
from ingestion.contract.attestation import Attested, attestation_of
from ingestion.contract.counting import LATE_AFTER, Billability, Verdict, day_of, settle
from ingestion.contract.event import ViewEvent
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.settled import SettledPiece
from ingestion.contract.traffic import CLASS_OF_CODE
from tests.batch_fakes import ATTESTATION_KEYS, key_of
from tests.billing_fakes import card_of
from tests.random_logs import FACTS, GERMANY, SALE_ON, START, random_run
from tests.shipped_policies import shipped_policy_on
from tests.spark_fixtures import MemoryRun

LONG_AGO = START.date() - timedelta(days=90)
LATE = json.dumps(
    {
        "event_id": str(uuid.UUID(int=7, version=4)),
        "video_id": "c",
        "user_id": "ann",
        "session_id": "s",
        "timestamp": (START - timedelta(days=50)).isoformat(),
        "view_duration": 60,
        "revenue_eligible": True,
    }
).encode()
"""A view that comes too late to be counted."""
CATALOGUE = Catalogue(
    (Payee("ann", "Ann", "ann"), Payee("ben", "Ben", "ben")),
    (Video("-a", 20), Video("_b"), Video("c", 50)),
    (
        OwnerShare("-a", SINCE_EVER, WITHOUT_END, "ann", 400_000),
        OwnerShare("-a", SINCE_EVER, WITHOUT_END, "ben", 600_000),
        OwnerShare("c", SINCE_EVER, SALE_ON, "ann", 1_000_000),
        OwnerShare("c", SALE_ON, WITHOUT_END, "ben", 1_000_000),
    ),
)
"""The video `_b` has no owner: its earnings are in suspense."""
CONTRACTS = Contracts(
    "USD",
    (
        Contract("standard", None, (card_of(5, LONG_AGO), replace(card_of(7, SALE_ON, DE=9), minimum_view_seconds=60))),
        Contract("late", ("ben",), (card_of(3, SALE_ON - timedelta(days=1), DE=4),)),
    ),
)
WHOLE = Period(LONG_AGO, START.date() + timedelta(days=9))
ONE_DAY = Period(SALE_ON, SALE_ON + timedelta(days=1))
STRICTER = CountingPolicy(0, date.min, 50, 2, timedelta(hours=12), asks_attestation=True)


def expected(
    run: MemoryRun, attribution: Attribution, policy: CountingPolicy | None
) -> tuple[dict[Any, Any], Counter[Any]]:
    """Return (group → outcomes, ads, ids) and (video, payee) → unplaced billable views, by the plainest reading."""
    groups: dict[Any, Any] = defaultdict(lambda: (Counter(), Counter(), []))
    unplaced: Counter[Any] = Counter()
    for event, video_id, day, outcome in settled(run, policy):
        if not attribution.period.start_on <= day < attribution.period.end_on:
            continue
        owners = [own for own in CATALOGUE.owners_in(attribution.period) if own.video_id == video_id]
        owners = [own for own in owners if own.from_on <= day < own.to_on]
        if video_id == "_b":
            owners = [OwnerShare("_b", attribution.period.start_on, attribution.period.end_on, SUSPENSE, 1_000_000)]
        for own in owners:
            contract = CONTRACTS.contract_for(own.payee_id)
            assert contract is not None
            card = contract.card_on(day)
            if card is None:
                unplaced[video_id, own.payee_id] += outcome == "billable"
                continue
            found = outcome
            length = CATALOGUE.length_by_video.get(video_id, 10**9)
            if outcome == "billable" and event.view_duration < min(card.minimum_view_seconds or 0, length):
                found = "below_minimum"
            country = country_named(event) if isinstance(event, ViewEvent) else None
            place = (own.payee_id, video_id, own.from_on, card.effective_from_on, card.heading_of(country), own.to_on)
            outcomes, ads, ids = groups[place]
            outcomes[found] += 1
            if found == "billable":
                ads.update(ads_counted(event))
                ids.append(str(event.event_id))
        if not owners:
            unplaced[video_id, None] += outcome == "billable"
    return dict(groups), +unplaced


def settled(run: MemoryRun, policy: CountingPolicy | None) -> Iterator[tuple[Any, str | None, date, str]]:
    """Yield (event, video, day, outcome) of every message."""
    messages = {(each.partition, each.offset): each for each in run.log.all()}
    log = [
        replace(each.received, is_attested=attestation_of(each.value, ATTESTATION_KEYS) is Attested.YES)
        for each in messages.values()
    ]
    facts = FACTS if policy is None else CATALOGUE.counting_facts(WHOLE)
    accepted = run.versions.accepted_until(len(run.versions.published))
    outcomes = settle(log, facts, shipped_policy_on if policy is None else lambda _: policy, accepted)
    for place, out in outcomes.items():
        message, event = messages[place], messages[place].received.decoded
        if out.verdict is Verdict.INVALID_TRAFFIC:
            yield (
                event,
                event.video_id,
                day_of(event.timestamp),
                f"invalid_traffic:{CLASS_OF_CODE[out.reasons[0].code]}",
            )
        elif out.verdict is Verdict.REJECTED:
            key = key_of(message.value)
            yield None, key and key.decode(), out.event_hour.date(), f"rejected:{out.reasons[0].code}"
        else:
            assert isinstance(event, ViewEvent)
            yield event, event.video_id, day_of(event.timestamp), str(out.billability or out.verdict)


def expected_conflicts(run: MemoryRun) -> dict[tuple[int, int], tuple[str, set[str]]]:
    """Return (place of a conflict) → the place of the event it was compared with, and the columns that differ."""
    accepted = run.versions.accepted_until(len(run.versions.published))
    outcomes = settle([each.received for each in run.log.all()], FACTS, shipped_policy_on, accepted=accepted)
    candidates = {
        (each.partition, each.offset): (each, cast(ViewEvent, each.received.decoded))
        for each in run.log.all()
        if outcomes[each.partition, each.offset].verdict in CANDIDATES
    }
    found = {}
    for place, (_, event) in candidates.items():
        if outcomes[place].verdict is not Verdict.CONFLICT:
            continue
        near = [
            (message.appended_at - same.timestamp > LATE_AFTER, message.appended_at, other)
            for other, (message, same) in candidates.items()
            if same.event_id == event.event_id and abs(day_of(same.timestamp) - day_of(event.timestamp)).days <= 1
        ]
        _, _, (partition, offset) = min(near)
        differing = compared(candidates[partition, offset][1]).items() - compared(event).items()
        found[place] = (f"{partition}:{offset}", {name for name, _ in differing})
    return found


def expected_repeats(run: MemoryRun) -> dict[str, list[tuple[date, str, bool]]]:
    """Return id → (day, place, whether billable) of every event that counts, for ids that count more than once."""
    accepted = run.versions.accepted_until(len(run.versions.published))
    messages = {(each.partition, each.offset): each.received for each in run.log.all()}
    found = defaultdict(list)
    for (partition, offset), out in settle(messages.values(), FACTS, shipped_policy_on, accepted=accepted).items():
        if out.verdict is Verdict.COUNTED:
            event = cast(ViewEvent, messages[partition, offset].decoded)
            billable = out.billability is Billability.BILLABLE
            found[str(event.event_id)].append((day_of(event.timestamp), (partition, offset), billable))
    return {
        event_id: [(day, f"{place[0]}:{place[1]}", billable) for day, place, billable in sorted(counted)]
        for event_id, counted in found.items()
        if len(counted) > 1
    }


def compared(event: ViewEvent) -> dict[str, Any]:
    """Return what the events table keeps of an event, by the names of its columns."""
    return {
        "video_id": event.video_id,
        "user_id": event.user_id,
        "session_id": event.session_id,
        "happened_at": event.timestamp,
        "view_duration": event.view_duration,
        "revenue_eligible": event.revenue_eligible,
        "country": country_named(event),
        "device_type": event.device_type or "unknown",
        "ad_types": tuple(ads_counted(event)),
    }


def country_named(event: ViewEvent) -> str:
    """Return the country that an event names."""
    return "DE" if event.geo_location in GERMANY else "ZZ"


def ads_counted(event: ViewEvent) -> list[str]:
    """Return the types of the advertisements that count, by the plainest reading: each once, while there is time."""
    found: dict[str, str | None] = {}
    seconds = 0
    for ad in event.ad_views or ():
        lasts = max(5, ad.watched_seconds or 0)
        is_first = not any(found.values())
        if ad.ad_id not in found and (is_first or seconds + lasts <= event.view_duration):
            seconds += lasts
            found[ad.ad_id] = ad.ad_type or "unknown"
        else:
            found.setdefault(ad.ad_id, None)
    return [name for name in found.values() if name]


def gathered(pieces: list[SettledPiece]) -> Mapping[Any, Any]:
    groups: dict[Any, Any] = defaultdict(lambda: (Counter(), Counter(), []))
    for each in pieces:
        key = (each.payee_id, each.video_id, each.owned_from_on, each.effective_from_on, each.country)
        outcomes, ads, ids = groups[(*key, each.owned_to_on)]
        outcomes.update(each.outcomes)
        ads.update(each.ads)
        ids += each.event_ids
    return groups


@pytest.mark.usefixtures("empty_tables")
def test_every_event_is_sorted_to_the_owners_of_its_day_under_their_cards(spark: SparkSession, tmp_path: Path) -> None:
    seed = 51
    run = random_run(spark, random.Random(seed), tmp_path, last=[LATE])
    views, paid = IcebergSettledViews(spark, run.versions.published[-1], lambda: []), 0
    assert views.contradictions(WHOLE) == []
    for period, policy in [(WHOLE, None), (ONE_DAY, None), (WHOLE, STRICTER)]:
        attribution = Attribution(period, CATALOGUE, CONTRACTS)
        pieces = list(views.pieces(attribution, policy))
        keys = [(each.payee_id, each.video_id, each.owned_from_on, each.effective_from_on) for each in pieces]
        order = [(*key, each.country) for key, each in zip(keys, pieces, strict=True)]
        assert order == sorted(order), f"seed {seed}"
        groups, unplaced = expected(run, attribution, policy)
        assert gathered(pieces) == {key: (*sums, sorted(ids)) for key, (*sums, ids) in groups.items()}, f"seed {seed}"
        bills = rate_period(pieces, attribution)
        views_paid = sum(bill.billable_views for bill in bills)
        assert views_paid == sum(len(ids) for *_, ids in groups.values()), f"seed {seed}"
        paid += views_paid
        if policy is None:
            found = {(each.video_id, each.payee_id): each.billable_views for each in views.unplaced(attribution)}
            assert found == unplaced, f"seed {seed}"
    assert paid > 0
    late = [(each.event_id, each.video_id, each.happened_at) for each in views.late_events(WHOLE)]
    wanted = [
        (str(event.event_id), video, event.timestamp)
        for event, video, _, outcome in settled(run, None)
        if outcome == Verdict.LATE_REVIEW
    ]
    assert sorted(late) == sorted(wanted), f"seed {seed}"
    assert late
    assert views.videos_seen([day_of(START)], {"c", "nowhere"}) == {"c"}
    conflicts = {
        (each.partition, each.offset): (each.first_place, set(each.differing)) for each in views.conflicts(WHOLE)
    }
    assert conflicts == expected_conflicts(run), f"seed {seed}"
    assert conflicts
    version = run.versions.published[-1]
    count, named = repeated_ids(IcebergTables(spark).at(EVENTS, version.snapshots[EVENTS]))
    found_twice = {
        each.event_id: [(one.event_day, one.place, one.is_billable) for one in each.counted] for each in named
    }
    assert found_twice == expected_repeats(run), f"seed {seed}"
    assert count == len(named) > 0
