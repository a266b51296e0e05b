"""Properties of tiers, shares and rounding, searched by Hypothesis."""

from datetime import date, timedelta
from itertools import pairwise

from billing.money import NANOMICROS, SHARE_WHOLE_PPM, settle_line, withheld
from billing.terms.contracts import Rate, RateForm, Tier
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, divided, wrong_sums
from tests.examples import given, st

DAY = date(2026, 1, 1)
MICROS = st.integers(0, 10**12)


@st.composite
def graduated(draw: st.DrawFn) -> Rate:
    ends = sorted(draw(st.sets(st.integers(1, 60), max_size=5)))
    tiers = [Tier(end, draw(MICROS)) for end in ends]
    return Rate(RateForm.GRADUATED, (*tiers, Tier(None, draw(MICROS))))


@given(graduated(), st.lists(st.integers(0, 40), max_size=6))
def test_tiers_cut_any_sequence_of_groups_as_if_each_view_were_looked_up_by_its_number(
    rate: Rate, groups: list[int]
) -> None:
    before, found = 0, []
    for count in groups:
        parts = list(rate.split(before, count))
        assert [start for _, start, _ in parts] + [count] == [0, *(end for _, _, end in parts)]
        assert all(start < end for _, start, end in parts)
        found += [tier_index for tier_index, start, end in parts for _ in range(start, end)]
        before += count
    assert found == [rate.tier_of(number + 1) for number in range(before)]
    assert all(later - earlier >= 0 for earlier, later in pairwise(found))


@given(st.lists(st.tuples(MICROS, st.integers(0, 10**6), st.integers(1, SHARE_WHOLE_PPM)), max_size=20))
def test_rounding_loses_nothing_however_many_lines_there_are(lines: list[tuple[int, int, int]]) -> None:
    paid = carried = 0
    for rate, quantity, share_ppm in lines:
        amount, carried = settle_line(rate * quantity * share_ppm, carried)
        assert 0 <= carried < NANOMICROS
        paid += amount
    assert paid * NANOMICROS + carried == sum(rate * quantity * share_ppm for rate, quantity, share_ppm in lines)


@given(st.integers(0, 10**18), st.integers(0, SHARE_WHOLE_PPM))
def test_tax_is_rounded_down_once_and_never_more_than_the_amount(amount: int, tax_ppm: int) -> None:
    tax = withheld(amount, tax_ppm)
    assert 0 <= amount * tax_ppm - tax * SHARE_WHOLE_PPM < SHARE_WHOLE_PPM
    assert tax <= amount


@st.composite
def ownerships(draw: st.DrawFn) -> list[OwnerShare]:
    """Owners of a video whose shares add up to the whole on every day, in rows that may be cut anywhere."""
    days = sorted(draw(st.sets(st.integers(0, 30), max_size=4)))
    bounds = [SINCE_EVER, *(DAY + timedelta(days=day) for day in days), WITHOUT_END]
    shares = []
    for from_on, to_on in pairwise(bounds):
        cuts = sorted(draw(st.sets(st.integers(1, SHARE_WHOLE_PPM - 1), max_size=3)))
        for low, high in pairwise([0, *cuts, SHARE_WHOLE_PPM]):
            shares.append(OwnerShare("v", from_on, to_on, draw(st.sampled_from(["ann", "bob"])), high - low))
    return draw(st.permutations(shares))


def owners_on(shares: list[OwnerShare], day: date) -> dict[str, int]:
    owners: dict[str, int] = {}
    for share in shares:
        if share.from_on <= day < share.to_on:
            owners[share.payee_id] = owners.get(share.payee_id, 0) + share.share_ppm
    return owners


@given(ownerships())
def test_the_canonical_form_owns_the_same_on_every_day_and_comes_back_from_itself(shares: list[OwnerShare]) -> None:
    canonical = divided("v", shares)
    for day in (DAY + timedelta(days=offset) for offset in range(-1, 32)):
        assert owners_on(canonical, day) == owners_on(shares, day)
        assert sum(owners_on(canonical, day).values()) == SHARE_WHOLE_PPM
    assert divided("v", canonical) == canonical == sorted(canonical)
    assert wrong_sums(shares) == wrong_sums(canonical) == []


@given(ownerships(), st.data())
def test_a_share_that_is_missing_is_found_with_its_days(shares: list[OwnerShare], data: st.DataObject) -> None:
    missing = data.draw(st.sampled_from(shares))
    rest = list(shares)
    rest.remove(missing)
    wrong = wrong_sums(rest)
    assert sum(1 for each in wrong) >= 1
    assert all(each.sum_ppm == SHARE_WHOLE_PPM - missing.share_ppm for each in wrong)
    assert (wrong[0].from_on, wrong[-1].to_on) == (missing.from_on, missing.to_on)
