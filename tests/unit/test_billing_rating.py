"""Settled views become lines: the right rate and share, nothing lost, events and counts held against each other."""

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import pytest

from billing.books.posting import CarryHead, post_statement
from billing.books.statements import PayeeState, plan_payee
from billing.errors import EvidenceMismatchError
from billing.rating.attribution import Attribution
from billing.rating.rated_lines import VIEWS, PayeeBill, RatedLine, settle_bill
from billing.rating.rating import LeafCount, rate_period
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import AdRate, Contract, Contracts, Rate, RateForm, StatementTerms, Tier
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare
from billing.terms.suspense import SUSPENSE
from ingestion.contract.merkle import MerkleTree
from ingestion.contract.periods import Period
from tests.billing_fakes import (
    OCTOBER,
    Count,
    FakeSettledViews,
    card_of,
    catalogue_of,
    contracts_of,
    event_id,
    published,
    run_of,
)

MONDAY, TUESDAY = date(2026, 10, 5), date(2026, 10, 6)
ANN = catalogue_of(v="ann")
TIERS = (Tier(3, 100), Tier(8, 200), Tier(None, 300))
GRADUATED, VOLUME = Rate(RateForm.GRADUATED, TIERS), Rate(RateForm.VOLUME, TIERS)


def bills_of(
    counts: list[Count], catalogue: Catalogue, contracts: Contracts, period: Period = OCTOBER
) -> list[PayeeBill]:
    attribution = Attribution(period, catalogue, contracts)
    return list(rate_period(FakeSettledViews(counts, published()).pieces(attribution), attribution))


def lines_of(counts: list[Count], contracts: Contracts, catalogue: Catalogue = ANN) -> list[RatedLine]:
    (bill,) = bills_of(counts, catalogue, contracts)
    return list(bill.lines)


def prices(lines: list[RatedLine]) -> list[tuple[object, ...]]:
    return [(each.effective_from_on, each.country, each.quantity, each.rate_per_thousand_micros) for each in lines]


def slices(lines: list[RatedLine]) -> list[tuple[object, ...]]:
    fields = ("video_id", "tier_index", "event_start", "event_end", "rate_per_thousand_micros")
    return [tuple(getattr(each, name) for name in fields) for each in lines]


def root_of(*ids: str) -> str:
    tree = MerkleTree()
    for each in ids:
        tree.add(each.encode())
    return tree.root().hex()


def shared(*shares: tuple[str, int, date, date]) -> Catalogue:
    """Return a catalogue of the video `v` with these (payee, ppm, from, to)."""
    catalogue = catalogue_of(**{f"of-{payee_id}": payee_id for payee_id, *_ in shares})
    videos = tuple(sorted((*catalogue.videos, replace(catalogue.videos[0], video_id="v"))))
    owners = tuple(OwnerShare("v", from_on, to_on, payee_id, ppm) for payee_id, ppm, from_on, to_on in shares)
    return replace(catalogue, videos=videos, owners=(*catalogue.owners, *owners))


def test_a_country_has_its_own_rate_and_all_others_share_the_default() -> None:
    counts = [Count("v", MONDAY, country, 9, views) for country, views in [("US", 1), ("FR", 2), (None, 4), ("us", 8)]]
    start = date(2020, 1, 1)
    assert prices(lines_of(counts, contracts_of(card_of(100, US=300)))) == [
        (start, "*", 14, 100),
        (start, "US", 1, 300),
    ]


def test_a_price_change_in_mid_period_divides_the_views_by_day() -> None:
    contracts = contracts_of(card_of(100), card_of(200, TUESDAY, US=500))
    counts = [Count("v", MONDAY, "US", 3, 3), Count("v", TUESDAY, "US", 5, 5), Count("v", TUESDAY, None, 7, 7)]
    assert prices(lines_of(counts, contracts)) == [
        (date(2020, 1, 1), "*", 3, 100),
        (TUESDAY, "*", 7, 200),
        (TUESDAY, "US", 5, 500),
    ]


def test_days_judged_by_different_policies_stand_on_different_lines() -> None:
    counts = [Count("v", MONDAY, None, 3, 3, policy_version=1), Count("v", TUESDAY, None, 3, 3, policy_version=2)]
    assert [each.policy_version for each in lines_of(counts, contracts_of(card_of(100)))] == [1, 2]


def test_a_line_shows_all_settled_views_beside_the_billable_ones() -> None:
    (line,) = lines_of([Count("v", MONDAY, None, 10, 3)], contracts_of(card_of(100)))
    assert (line.settled_views, line.quantity) == (10, 3)


def test_a_video_without_billable_views_makes_no_line_and_its_events_stay_in_the_chain() -> None:
    counts = [Count("v", MONDAY, None, 10, 0, others={"duplicate": 2}), Count("v", TUESDAY, "US", 1, 1)]
    (bill,) = bills_of(counts, ANN, contracts_of(card_of(100, US=7)))
    assert prices(list(bill.lines)) == [(date(2020, 1, 1), "US", 1, 7)]
    assert bill.outcomes == {"billable": 1, "duplicate": 2, "not_eligible": 10}
    (bill,) = bills_of(counts[:1], ANN, contracts_of(card_of(100)))
    assert (bill.lines, bill.billable_views) == ((), 0)


def test_the_evidence_of_a_line_is_the_merkle_root_over_its_sorted_event_ids() -> None:
    counts = [Count("v", MONDAY, "FR", 2, 2), Count("v", TUESDAY, None, 3, 3)]
    (line,) = lines_of(counts, contracts_of(card_of(100)))
    ids = sorted(event_id(count, index) for count in counts for index in range(count.billable_views))
    assert line.evidence_root == root_of(*ids)


def test_a_graduated_rate_pays_each_view_by_its_own_number_and_goes_on_over_videos() -> None:
    counts = [Count("a", MONDAY, None, 2, 2), Count("b", MONDAY, None, 5, 5), Count("c", MONDAY, None, 4, 4)]
    lines = lines_of(counts, contracts_of(card_of(GRADUATED)), catalogue_of(a="ann", b="ann", c="ann"))
    assert slices(lines) == [
        ("a", 0, 0, 2, 100),
        ("b", 0, 0, 1, 100),
        ("b", 1, 1, 5, 200),
        ("c", 1, 0, 1, 200),
        ("c", 2, 1, 4, 300),
    ]
    ids = sorted(event_id(counts[1], index) for index in range(5))
    assert [lines[1].evidence_root, lines[2].evidence_root] == [root_of(ids[0]), root_of(*ids[1:])]


@pytest.mark.parametrize(("views", "tier_index"), [(3, 0), (4, 1), (8, 1), (9, 2)])
def test_a_volume_rate_pays_all_views_by_their_total(views: int, tier_index: int) -> None:
    counts = [Count("a", MONDAY, None, 1, 1), Count("b", MONDAY, None, views - 1, views - 1)]
    lines = lines_of(counts, contracts_of(card_of(VOLUME)), catalogue_of(a="ann", b="ann"))
    rate = TIERS[tier_index].per_thousand_micros
    assert slices(lines) == [("a", tier_index, 0, 1, rate), ("b", tier_index, 0, views - 1, rate)]


def test_each_heading_and_each_payee_has_its_own_tiers() -> None:
    counts = [Count("a", MONDAY, "US", 3, 3), Count("a", MONDAY, None, 3, 3), Count("b", MONDAY, None, 3, 3)]
    bills = bills_of(counts, catalogue_of(a="ann", b="bob"), contracts_of(card_of(GRADUATED, US=GRADUATED)))
    assert {line.tier_index for bill in bills for line in bill.lines} == {0}


def test_owners_of_one_video_are_paid_their_shares_of_the_same_events() -> None:
    catalogue = shared(("ann", 333_333, SINCE_EVER, WITHOUT_END), ("bob", 666_667, SINCE_EVER, WITHOUT_END))
    ann, bob = bills_of([Count("v", MONDAY, None, 7, 7)], catalogue, contracts_of(card_of(1001)))
    assert (ann.lines[0].share_ppm, bob.lines[0].share_ppm) == (333_333, 666_667)
    assert ann.lines[0].evidence_root == bob.lines[0].evidence_root
    assert ann.lines[0].owed_nanomicros + bob.lines[0].owed_nanomicros == 1001 * 7 * 1_000_000


def test_a_video_that_changes_hands_in_mid_period_is_paid_to_the_owner_of_the_day() -> None:
    catalogue = shared(
        ("ann", 1_000_000, SINCE_EVER, TUESDAY),
        ("ann", 400_000, TUESDAY, WITHOUT_END),
        ("bob", 600_000, TUESDAY, WITHOUT_END),
    )
    counts = [Count("v", MONDAY, None, 2, 2), Count("v", TUESDAY, None, 5, 5)]
    ann, bob = bills_of(counts, catalogue, contracts_of(card_of(100)))
    assert [(each.owned_from_on, each.owned_to_on, each.share_ppm, each.quantity) for each in ann.lines] == [
        (OCTOBER.start_on, TUESDAY, 1_000_000, 2),
        (TUESDAY, OCTOBER.end_on, 400_000, 5),
    ]
    assert [(each.owned_from_on, each.quantity) for each in bob.lines] == [(TUESDAY, 5)]


def test_a_later_sale_or_a_new_name_changes_nothing_in_an_earlier_period() -> None:
    counts = [Count("v", MONDAY, None, 2, 2)]
    sale_on = date(2027, 1, 1)
    after = shared(("ann", 1_000_000, SINCE_EVER, sale_on), ("bob", 1_000_000, sale_on, WITHOUT_END))
    renamed = replace(after, payees=tuple(replace(payee, name="Other") for payee in after.payees))
    before = bills_of(counts, ANN, contracts_of(card_of(100)))
    for catalogue in (after, renamed):
        now = bills_of(counts, catalogue, contracts_of(card_of(100)))
        assert [each.inputs_hash(OCTOBER) for each in now] == [each.inputs_hash(OCTOBER) for each in before]


def test_a_stricter_minimum_of_a_contract_shows_the_views_it_leaves_out() -> None:
    card = replace(card_of(100), minimum_view_seconds=45)
    counts = [Count("v", MONDAY, None, 3, 3, seconds=44), Count("v", TUESDAY, None, 2, 2, seconds=45)]
    (bill,) = bills_of(counts, ANN, contracts_of(card))
    assert ([each.quantity for each in bill.lines], bill.outcomes["below_minimum"]) == ([2], 3)


def test_ad_views_are_paid_by_type_over_the_same_events() -> None:
    card = replace(card_of(GRADUATED), ads={"mid": AdRate(4_000_000, 500_000), "pre": AdRate(10, 1_000_000)})
    counts = [Count("v", MONDAY, None, 5, 5, ads={"mid": 7, "pre": 2, "unknown": 9}), Count("v", TUESDAY, None, 9, 0)]
    lines = lines_of(counts, contracts_of(card))
    ids = sorted(event_id(counts[0], index) for index in range(5))
    assert [(each.kind, each.quantity, each.rate_per_thousand_micros) for each in lines] == [
        (VIEWS, 3, 100),
        (VIEWS, 2, 200),
        ("ads:mid", 7, 2_000_000),
        ("ads:pre", 2, 10),
    ]
    assert {each.evidence_root for each in lines[2:]} == {root_of(*ids)}
    assert {(each.event_start, each.event_end) for each in lines[2:]} == {(0, 5)}


@pytest.mark.parametrize("rate", [GRADUATED, VOLUME, 7])
def test_a_bill_that_is_only_estimated_is_the_same_without_roots(rate: int | Rate) -> None:
    card = replace(card_of(rate), ads={"mid": AdRate(4_000_000, 500_000)})
    counts = [
        Count("a", MONDAY, None, 5, 5, ads={"mid": 7}),
        Count("a", TUESDAY, "DE", 9, 4),
        Count("b", MONDAY, None, 3, 0),
    ]
    attribution = Attribution(OCTOBER, catalogue_of(a="ann", b="ann"), contracts_of(card))
    views = FakeSettledViews(counts, published())
    proved, estimated = (
        list(rate_period(views.pieces(attribution), attribution, tree=tree)) for tree in (MerkleTree, LeafCount)
    )
    assert all(line.evidence_root for bill in proved for line in bill.lines)
    without_roots = [
        replace(bill, lines=tuple(replace(line, evidence_root="") for line in bill.lines)) for bill in proved
    ]
    assert estimated == without_roots


def test_a_payee_has_the_contract_that_names_them_and_everybody_else_the_other() -> None:
    contracts = Contracts("USD", (Contract("all", None, (card_of(1),)), Contract("network", ("bob",), (card_of(9),))))
    counts = [Count("v", MONDAY, None, 1, 1), Count("w", MONDAY, None, 1, 1)]
    bills = bills_of(counts, catalogue_of(v="ann", w="bob"), contracts)
    assert [(bill.payee_id, bill.lines[0].rate_per_thousand_micros) for bill in bills] == [("ann", 1), ("bob", 9)]


def test_tax_and_cap_are_those_of_the_period_s_last_day() -> None:
    old, new = card_of(1_000_000), replace(card_of(1_000_000, date(2026, 10, 31)), tax_ppm=123_456, cap_micros=2_000)
    (bill,) = bills_of([Count("v", MONDAY, None, 3, 3)], ANN, contracts_of(old, new))
    settled = settle_bill(bill, 0)
    assert (settled.over_cap_micros, settled.tax_micros, settled.payable_micros) == (1_000, 246, 1_754)


def test_views_that_nobody_owns_or_no_card_is_for_are_listed_and_not_lost() -> None:
    counts = [Count("v", MONDAY, None, 3, 3), Count("orphan", MONDAY, None, 9, 5), Count("shy", MONDAY, None, 9, 0)]
    attribution = Attribution(OCTOBER, ANN, contracts_of(card_of(100, TUESDAY)))
    views = FakeSettledViews(counts, published())
    assert [(each.video_id, each.payee_id, each.billable_views) for each in views.unplaced(attribution)] == [
        ("v", "ann", 3),
        ("orphan", None, 5),
    ]
    assert list(rate_period(views.pieces(attribution), attribution)) == []


def test_utc_days_have_no_summer_time_and_a_leap_day_is_a_day() -> None:
    for period, days in [
        (Period.parse("2026-10-25/2026-10-26"), [date(2026, 10, 25)]),
        (Period.parse("2026-03-29/2026-03-30"), [date(2026, 3, 29)]),
        (Period.parse("2028-02"), [date(2028, 2, 28), date(2028, 2, 29)]),
    ]:
        counts = [Count("v", day, None, 24, 24) for day in days]
        (bill,) = bills_of(counts, ANN, contracts_of(card_of(1000)), period)
        assert bill.billable_views == 24 * len(days)
        assert period.end_at - period.start_at == timedelta(days=len(period.days()))


def test_an_empty_period_makes_no_bill_and_a_payee_of_one_view_a_bill_of_one_line() -> None:
    assert bills_of([], ANN, contracts_of(card_of(1))) == []
    (bill,) = bills_of([Count("v", MONDAY, None, 1, 1)], ANN, contracts_of(card_of(1)))
    assert (len(bill.lines), bill.billable_views, settle_bill(bill, 0).payable_micros) == (1, 1, 0)


def tampered(counts: list[Count], **changes: object) -> list[PayeeBill]:
    attribution = Attribution(OCTOBER, ANN, contracts_of(card_of(1)))
    pieces = list(FakeSettledViews(counts, published(), ids_in_piece=9).pieces(attribution))
    return list(rate_period([msgspec.structs.replace(pieces[0], **changes), *pieces[1:]], attribution))


def test_counts_without_as_many_events_are_refused() -> None:
    ids = sorted(event_id(Count("v", MONDAY, None, 3, 3), index) for index in range(2))
    with pytest.raises(EvidenceMismatchError, match=r"payee ann, video v.* 3 billable views but 2 billable events"):
        tampered([Count("v", MONDAY, None, 3, 3)], event_ids=ids)


def test_events_out_of_order_are_refused() -> None:
    with pytest.raises(EvidenceMismatchError, match="video v are out of order"):
        tampered([Count("v", MONDAY, None, 2, 2)], event_ids=["b", "a"])


def test_an_id_that_counts_twice_stops_nobody_and_is_two_leaves() -> None:
    """A sender of one id on two days that are not compared must not be able to end every billing run."""
    (bill,) = tampered([Count("v", MONDAY, None, 3, 3)], event_ids=["a", "a", "b"])
    (line,) = bill.lines
    tree = MerkleTree()
    for leaf in (b"a", b"a", b"b"):
        tree.add(leaf)
    assert (line.quantity, line.evidence_root) == (3, tree.root().hex())


def test_days_on_which_a_video_of_the_catalogue_is_nobodys_are_in_suspense() -> None:
    sold_on, back_on = date(2026, 10, 5), date(2026, 10, 20)
    catalogue = Catalogue(
        (Payee("ann", "Ann"),),
        (Video("lost"), Video("v")),
        (OwnerShare("v", SINCE_EVER, sold_on, "ann", 10**6), OwnerShare("v", back_on, WITHOUT_END, "ann", 10**6)),
    )
    attribution = Attribution(OCTOBER, catalogue, contracts_of(card_of(1000)))
    days = {(each.video_id, each.from_on, each.to_on) for each in attribution.owners() if each.payee_id == SUSPENSE}
    assert days == {("lost", OCTOBER.start_on, OCTOBER.end_on), ("v", sold_on, back_on)}
    counts = [Count(video, date(2026, 10, day), None, 2, 2) for video in ("lost", "v", "unknown") for day in (1, 7, 25)]
    bills = bills_of(counts, catalogue, contracts_of(card_of(1000)))
    assert {bill.payee_id: bill.billable_views for bill in bills} == {"ann": 4, SUSPENSE: 8}


def test_what_is_nobodys_is_rated_by_the_contract_for_everybody_without_tax_and_cap() -> None:
    taxed = replace(card_of(1000), tax_ppm=500_000, cap_micros=1)
    lost = Catalogue((), (Video("lost"),), ())
    (bill,) = bills_of([Count("lost", MONDAY, None, 9, 9)], lost, contracts_of(taxed))
    assert (bill.payee_id, bill.terms, bill.lines[0].rate_per_thousand_micros) == (SUSPENSE, StatementTerms(), 1000)
    statement = plan_payee(run_of(), bill, PayeeState())
    assert statement is not None
    posted = post_statement(statement.statement, CarryHead())
    assert (posted.kind, {entry.account: entry.amount_micros for entry in posted.entries}) == (
        "suspense",
        {"expense:creator-revenue": 9, SUSPENSE: -9},
    )


def test_payees_out_of_order_are_refused() -> None:
    attribution = Attribution(OCTOBER, catalogue_of(v="ann", w="bob"), contracts_of(card_of(1)))
    counts = [Count("v", MONDAY, None, 1, 1), Count("w", MONDAY, None, 1, 1)]
    pieces = list(FakeSettledViews(counts, published()).pieces(attribution))
    with pytest.raises(EvidenceMismatchError, match="payee ann are out of order"):
        list(rate_period(pieces[::-1], attribution))
