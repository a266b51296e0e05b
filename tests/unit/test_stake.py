"""The money beside a group under review: an estimate by the rates of all owners of its videos."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from billing.rating.stake import stakes
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contract, Contracts, Rate, RateForm, Tier
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup, WaitingViews
from tests.billing_fakes import card_of, catalogue_of, contracts_of

DAY = date(2026, 11, 18)
GROUP = TrafficGroup(DAY, "many", "ann", 9, "1f" * 16)
FIVE_IN_FRANCE = contracts_of(card_of(3_000_000, FR=5_000_000))


def stake(catalogue: Catalogue, contracts: Contracts, *waiting: tuple[str, str | None, int]) -> int | None:
    group = ReviewedGroup(GROUP, tuple(WaitingViews(*each) for each in waiting), 1, 60, ())
    return stakes([group], catalogue, contracts)[GROUP]


def test_each_country_has_its_own_rate_and_views_that_nobody_pays_add_nothing() -> None:
    catalogue = catalogue_of(v="ann", w="ann")
    assert stake(catalogue, FIVE_IN_FRANCE, ("v", "FR", 1_000), ("v", "DE", 500), ("w", None, 500)) == 8_000_000
    assert stake(catalogue, FIVE_IN_FRANCE) == 0


def test_all_owners_of_the_day_earn_their_share_by_their_own_contract() -> None:
    sold_on = DAY + timedelta(days=1)
    owners = (
        OwnerShare("v", SINCE_EVER, sold_on, "ann", 250_000),
        OwnerShare("v", SINCE_EVER, sold_on, "ben", 750_000),
        OwnerShare("v", sold_on, WITHOUT_END, "ben", 1_000_000),
    )
    catalogue = Catalogue((Payee("ann", "Ann"), Payee("ben", "Ben")), (Video("v"),), owners)
    of_ben = Contract("ben's", ("ben",), (card_of(8_000_000),))
    contracts = replace(FIVE_IN_FRANCE, contracts=(*FIVE_IN_FRANCE.contracts, of_ben))
    assert stake(catalogue, contracts, ("v", "FR", 1_000)) == 1_250_000 + 6_000_000


def test_a_rate_with_tiers_is_estimated_by_its_first() -> None:
    rate = Rate(RateForm.GRADUATED, (Tier(10, 4_000_000), Tier(None, 1_000_000)))
    assert stake(catalogue_of(v="ann"), contracts_of(card_of(rate)), ("v", None, 100)) == 400_000


@pytest.mark.parametrize(
    ("catalogue", "contracts"),
    [
        (catalogue_of(other="ann"), FIVE_IN_FRANCE),
        (catalogue_of(v="ann"), contracts_of(card_of(3_000_000, DAY + timedelta(days=1)))),
        (catalogue_of(v="ann"), Contracts("USD", (Contract("ben's", ("ben",), (card_of(3_000_000),)),))),
    ],
    ids=["nobody owns the video", "no card on the day", "no contract"],
)
def test_without_a_rate_there_is_no_estimate(catalogue: Catalogue, contracts: Contracts) -> None:
    assert stake(catalogue, contracts, ("v", "FR", 1)) is None
