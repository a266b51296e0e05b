"""What the views of a day earn at least and at most: the amounts of a statement lie between."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from billing.rating.attribution import Attribution
from billing.rating.day_bounds import earned_bounds
from billing.rating.rated_lines import settle_bill
from billing.rating.rating import LeafCount, rate_period
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contract, Rate, RateCard, RateForm, Tier
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare
from ingestion.contract.periods import Period
from ingestion.contract.settled import SettledPiece
from tests.billing_fakes import card_of, contracts_of

DAY = date(2026, 11, 30)
WHOLE, HALF = 1_000_000, 500_000
TIERS = Rate(RateForm.GRADUATED, (Tier(10, 4_000_000), Tier(None, 1_000_000)))


def contract(*cards: RateCard) -> Contract:
    return contracts_of(*cards).contracts[0]


def test_settled_views_have_the_rate_of_their_country_and_live_ones_of_any() -> None:
    paid = contract(card_of(3_000_000, FR=5_000_000, IN=1_000_000))
    settled = [(WHOLE, "FR", 10), (WHOLE, None, 10)]
    assert earned_bounds(paid, DAY, settled, [], 20) == (80_000, 80_000)
    assert earned_bounds(paid, DAY, settled, [(WHOLE, None, 100)], 20) == (80_000, 580_000)


def test_the_views_that_may_be_lost_are_the_best_paid() -> None:
    paid = contract(card_of(3_000_000, FR=5_000_000))
    settled = [(WHOLE, "FR", 10), (HALF, "DE", 10)]
    assert earned_bounds(paid, DAY, settled, [], 12) == (15_000 + 10_000, 65_000)
    assert earned_bounds(paid, DAY, settled, [], 0) == (0, 65_000)


def test_a_tier_is_the_lowest_at_least_and_the_highest_at_most() -> None:
    settled = [(WHOLE, "DE", 20)]
    assert earned_bounds(contract(card_of(TIERS)), DAY, settled, [], 20) == (20_000, 80_000)


@pytest.mark.parametrize(
    "card", [replace(card_of(2_000_000), cap_micros=5), replace(card_of(2_000_000), minimum_view_seconds=90)]
)
def test_what_other_days_or_longer_views_decide_promises_nothing(card: RateCard) -> None:
    assert earned_bounds(contract(card), DAY, [(WHOLE, "DE", 20)], [], 20) == (0, 40_000)


def test_only_the_card_of_the_day_pays() -> None:
    cards = (card_of(2_000_000), card_of(9_000_000, effective_from_on=date(2026, 12, 1)))
    views = [(WHOLE, "DE", 1_000)]
    assert earned_bounds(contract(*cards), DAY, views, [], 1_000) == (2_000_000, 2_000_000)
    assert earned_bounds(contract(*cards), date(2026, 12, 1), views, [], 1_000) == (9_000_000, 9_000_000)
    assert earned_bounds(contract(cards[1]), DAY, views, [], 1_000) is None


def test_a_part_of_a_micro_is_rounded_away_from_the_truth() -> None:
    views = [(1, "DE", 1)]
    assert earned_bounds(contract(card_of(1_000)), DAY, views, [], 1) == (0, 1)
    huge = [(WHOLE, "DE", 10**15)]
    assert earned_bounds(contract(card_of(2_000_000)), DAY, huge, huge, 10**15) == (2 * 10**18, 4 * 10**18)


def test_the_amount_of_a_statement_of_the_day_lies_between_the_bounds_of_its_views() -> None:
    """Random shares, countries and rates: what the rating of a period earns of a part of the views."""
    rng = random.Random(3)
    period = Period(DAY, date(2026, 12, 1))
    for _ in range(200):
        default: Rate | int = TIERS if rng.random() < 0.5 else rng.randrange(5_000_000)
        card = card_of(default, FR=rng.randrange(5_000_000), IN=TIERS)
        shares = {video: rng.choice([1, 333_333, HALF, WHOLE]) for video in "vw"}
        owners = tuple(OwnerShare(video, SINCE_EVER, WITHOUT_END, "ann", ppm) for video, ppm in shares.items())
        contracts = contracts_of(card)
        attribution = Attribution(
            period, Catalogue((Payee("ann", "Ann"),), tuple(map(Video, shares)), owners), contracts
        )
        settled: Counter[tuple[str, str]] = Counter()
        remaining: Counter[tuple[str, str]] = Counter()
        live: Counter[str] = Counter()
        for _ in range(rng.randrange(60)):
            video, country, fate = rng.choice("vw"), rng.choice(["FR", "IN", "DE"]), rng.random()
            if fate < 0.7:
                settled[video, country] += 1
                remaining[video, country] += rng.random() < 0.8
            else:
                live[video] += 1
                remaining[video, country] += rng.random() < 0.5
        kept = sum(min(remaining[each], settled[each]) for each in settled)
        pieces = [piece(video, card.heading_of(country), shares[video], count, country)
                  for (video, country), count in sorted(remaining.items()) if count]  # fmt: skip
        pieces.sort(key=lambda each: (each.video_id, each.country))
        earned = [settle_bill(bill, rng.choice([0, 999_999_999])).earned_micros
                  for bill in rate_period(pieces, attribution, tree=LeafCount)]  # fmt: skip
        bounds = earned_bounds(
            contracts.contracts[0],
            DAY,
            [(shares[video], country, count) for (video, country), count in settled.items()],
            [(shares[video], None, count) for video, count in live.items()],
            min(kept, sum(settled.values())),
        )
        assert bounds is not None
        assert bounds[0] <= sum(earned) <= bounds[1]


def piece(video_id: str, heading: str, share_ppm: int, count: int, country: str) -> SettledPiece:
    """The billable views of one video and heading; ids that tell countries under one heading apart."""
    ids = [f"{country}{number:06d}" for number in range(count)]
    return SettledPiece(
        "ann", video_id, DAY, date(2020, 1, 1), heading, 1, date(2026, 12, 1), share_ppm, {"billable": count}, {}, ids
    )
