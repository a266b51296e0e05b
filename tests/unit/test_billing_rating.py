"""Settled counts become lines: the right rate, nothing lost, counts and events held against each other."""

from datetime import date

import pytest

from billing.catalogue import Catalogue
from billing.errors import EvidenceMismatchError
from billing.evidence import MerkleTree
from billing.rate_cards import RateCard, RateContract
from billing.rated_lines import PayeeBill
from billing.rating import evidence_roots, make_bills, rate_views
from tests.billing_fakes import Count, Event, catalogue_of, contract_of, event_id, events_of

MONDAY, TUESDAY = date(2026, 10, 5), date(2026, 10, 6)


def bills_of(counts: list[Count], catalogue: Catalogue, contract: RateContract) -> list[PayeeBill]:
    rated = rate_views(counts, catalogue, contract)
    evidence = evidence_roots(events_of(counts), contract, rated.policy_by_day)
    return make_bills(rated, evidence, catalogue, contract.currency)


def lines_of(counts: list[Count], contract: RateContract) -> list[tuple[object, ...]]:
    (bill,) = bills_of(counts, catalogue_of(v="ann"), contract)
    return [(each.effective_from_on, each.country, each.quantity, each.rate_per_thousand_micros) for each in bill.lines]


def test_a_country_has_its_own_rate_and_all_others_share_the_default() -> None:
    counts = [Count("v", MONDAY, country, 9, views) for country, views in [("US", 1), ("FR", 2), (None, 4), ("us", 8)]]
    start = date(2020, 1, 1)
    assert lines_of(counts, contract_of(100, US=300)) == [(start, "*", 14, 100), (start, "US", 1, 300)]


def test_a_price_change_in_mid_period_divides_the_views_by_day() -> None:
    contract = RateContract("USD", (RateCard(date(2020, 1, 1), 100, {}), RateCard(TUESDAY, 200, {"US": 500})))
    counts = [Count("v", MONDAY, "US", 3, 3), Count("v", TUESDAY, "US", 5, 5), Count("v", TUESDAY, None, 7, 7)]
    assert lines_of(counts, contract) == [
        (date(2020, 1, 1), "*", 3, 100),
        (TUESDAY, "*", 7, 200),
        (TUESDAY, "US", 5, 500),
    ]


def test_days_judged_by_different_policies_stand_on_different_lines() -> None:
    counts = [Count("v", MONDAY, None, 3, 3, policy_version=1), Count("v", TUESDAY, None, 3, 3, policy_version=2)]
    (bill,) = bills_of(counts, catalogue_of(v="ann"), contract_of(100))
    assert [each.policy_version for each in bill.lines] == [1, 2]


def test_a_line_shows_all_settled_views_beside_the_billable_ones() -> None:
    (bill,) = bills_of([Count("v", MONDAY, None, 10, 3)], catalogue_of(v="ann"), contract_of(100))
    assert (bill.lines[0].settled_views, bill.lines[0].quantity) == (10, 3)


def test_a_video_without_billable_views_makes_no_line() -> None:
    assert bills_of([Count("v", MONDAY, None, 10, 0)], catalogue_of(v="ann"), contract_of(100)) == []


def test_the_evidence_of_a_line_is_the_merkle_root_over_its_sorted_event_ids() -> None:
    counts = [Count("v", MONDAY, "FR", 2, 2), Count("v", TUESDAY, None, 3, 3)]
    (bill,) = bills_of(counts, catalogue_of(v="ann"), contract_of(100))
    tree = MerkleTree()
    for each in sorted(event_id(count, index) for count in counts for index in range(count.billable_views)):
        tree.add(each.encode())
    assert bill.lines[0].evidence_root == tree.root().hex()


def test_views_of_a_video_without_a_payee_are_listed_and_not_lost() -> None:
    counts = [Count("v", MONDAY, None, 3, 3), Count("orphan", MONDAY, None, 9, 5), Count("shy", MONDAY, None, 9, 0)]
    rated = rate_views(counts, catalogue_of(v="ann"), contract_of(100))
    assert rated.unattributed == {"orphan": 5}


def test_views_before_the_first_rate_card_are_listed_and_not_lost() -> None:
    contract = RateContract("USD", (RateCard(TUESDAY, 100, {}),))
    assert rate_views([Count("v", MONDAY, None, 9, 5)], catalogue_of(v="ann"), contract).unrated == {MONDAY: 5}


def test_counts_without_as_many_events_are_refused() -> None:
    contract, catalogue = contract_of(100), catalogue_of(v="ann")
    rated = rate_views([Count("v", MONDAY, None, 3, 3)], catalogue, contract)
    evidence = evidence_roots(events_of([Count("v", MONDAY, None, 2, 2)]), contract, rated.policy_by_day)
    with pytest.raises(EvidenceMismatchError, match="3 billable views but 2 billable events"):
        make_bills(rated, evidence, catalogue, "USD")


def test_events_without_counts_are_refused() -> None:
    contract, catalogue = contract_of(100), catalogue_of(v="ann", w="ann")
    rated = rate_views([Count("v", MONDAY, None, 1, 1)], catalogue, contract)
    counts = [Count("v", MONDAY, None, 1, 1), Count("w", MONDAY, None, 1, 1)]
    with pytest.raises(EvidenceMismatchError, match="video w has billable events and no counts"):
        make_bills(rated, evidence_roots(events_of(counts), contract, rated.policy_by_day), catalogue, "USD")


@pytest.mark.parametrize("second", ["a", "b"], ids=["smaller", "twice"])
def test_events_out_of_order_or_twice_are_refused(second: str) -> None:
    events = [Event("v", "b", MONDAY, None), Event("v", second, MONDAY, None)]
    with pytest.raises(EvidenceMismatchError, match="twice or out of order"):
        evidence_roots(events, contract_of(1), {MONDAY: 1})


def test_a_day_judged_by_two_policies_at_once_is_refused() -> None:
    counts = [Count("v", MONDAY, None, 1, 1, policy_version=1), Count("w", MONDAY, None, 1, 1, policy_version=2)]
    with pytest.raises(EvidenceMismatchError, match="two counting policies"):
        rate_views(counts, catalogue_of(v="ann"), contract_of(1))
