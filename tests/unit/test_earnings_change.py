"""The difference of two statements is split into causes that add up to it, whatever the statements hold."""

import random
from collections.abc import Sequence
from datetime import date

import msgspec
import pytest

from serving_layer.money.statements import ChainLink, StatementDetail, StatementLine
from serving_layer.portal.earnings_change import causes_of_change
from tests.portal_fakes import ANNS, FakePorts

NANOMICROS = 1_000_000_000
DAY = date(2026, 10, 1)


def line(
    views: int, rate_micros: int, country: str = "*", *, share_ppm: int = 1_000_000, tier: int = 0, kind: str = "views"
) -> StatementLine:
    return StatementLine(
        0, "v", DAY, DAY, share_ppm, kind, country, DAY, tier, views, rate_micros, 0, views, 1, "ab" * 32
    )  # fmt: skip


def statement(
    lines: Sequence[StatementLine],
    taken: Sequence[tuple[str, int]] = (),
    *,
    over_cap_micros: int = 0,
    carried: int = 0,
    with_chain: bool = True,
) -> StatementDetail:
    """A statement of these lines, settled as a bill is; `taken` is what its chain takes away before the billable."""
    owed = sum(each.rate_per_thousand_micros * each.quantity * each.share_ppm for each in lines) + carried
    billable = sum(each.quantity for each in lines if each.kind == "views")
    received = billable + sum(events for _, events in taken)
    chain = [ChainLink("received", received), *(ChainLink(name, -events) for name, events in taken)]
    return msgspec.structs.replace(
        FakePorts().rows[ANNS].detail,
        lines=list(lines),
        chain=[*chain, ChainLink("billable", billable)] if with_chain else [],
        earned_micros=owed // NANOMICROS - over_cap_micros,
        over_cap_micros=over_cap_micros,
        carried_nanomicros_before=carried,
        carried_nanomicros_after=owed % NANOMICROS,
    )


def amounts(before: StatementDetail, now: StatementDetail) -> dict[str, int]:
    causes = causes_of_change(before, now)
    assert sum(each.amount_micros for each in causes) == now.earned_micros - before.earned_micros
    return {each.name: each.amount_micros for each in causes}


def test_more_views_at_the_same_rate_are_events_and_nothing_else() -> None:
    before = statement([line(1_000, 2_000_000)], [("duplicate", 100), ("invalid_traffic:robot", 50)])
    now = statement([line(1_500, 2_000_000)], [("duplicate", 80), ("invalid_traffic:robot", 150), ("own_view", 10)])
    assert amounts(before, now) == {
        "received": 1_180_000, "not_counted": 40_000, "invalid": -200_000, "not_billable": -20_000,
    }  # fmt: skip


def test_another_rate_and_another_mix_of_countries_are_told_apart() -> None:
    before = statement([line(500, 4_000_000, "US"), line(500, 2_000_000)])
    assert amounts(before, statement([line(500, 5_000_000, "US"), line(500, 2_000_000)])) == {"rate": 500_000}
    assert amounts(before, statement([line(250, 4_000_000, "US"), line(750, 2_000_000)])) == {"mix": -500_000}
    new_country = statement([line(500, 4_000_000, "US"), line(400, 2_000_000), line(100, 9_000_000, "CH")])
    assert amounts(before, new_country) == {"mix": 700_000}


def test_half_a_share_is_another_mix_and_no_other_rate() -> None:
    before = statement([line(1_000, 2_000_000)])
    assert amounts(before, statement([line(1_000, 2_000_000, share_ppm=500_000)])) == {"mix": -1_000_000}


def test_advertisements_and_the_cap_are_causes_of_their_own() -> None:
    views = line(1_000, 2_000_000)
    before = statement([views, line(10, 1_000_000, kind="ads:mid_roll")])
    now = statement([views, line(40, 1_000_000, kind="ads:mid_roll")], over_cap_micros=500_000)
    assert amounts(before, now) == {"ads": 30_000, "contract_cap": -500_000}


@pytest.mark.parametrize(("views_before", "views_now"), [(0, 1_000), (1_000, 0), (0, 0)])
def test_a_period_without_views_is_compared_too(views_before: int, views_now: int) -> None:
    before, now = (statement([line(each, 2_000_000)] if each else []) for each in (views_before, views_now))
    change = (views_now - views_before) * 2_000
    assert amounts(before, now) == ({"received": change} if change else {})


def test_a_chain_that_does_not_lead_to_the_paid_views_is_not_believed() -> None:
    before = statement([line(1_000, 2_000_000)], with_chain=False)
    assert amounts(before, statement([line(1_500, 2_000_000)], [("duplicate", 3)])) == {"billable": 1_000_000}


@pytest.mark.parametrize("seed", range(50))
def test_the_parts_add_up_whatever_changed(seed: int) -> None:
    rng = random.Random(seed)

    def some() -> StatementDetail:
        lines = [
            line(
                rng.randrange(3_000),
                rng.randrange(1, 9_999_999),
                rng.choice(("US", "FR", "*")),
                share_ppm=rng.choice((1_000_000, 333_333)),
                tier=rng.randrange(2),
                kind=rng.choice(("views", "views", "ads:mid_roll")),
            )
            for _ in range(rng.randrange(6))
        ]
        names = ("duplicate", "rejected:no_id", "late_review", "invalid_traffic:robot", "over_cap")
        taken = [(name, rng.randrange(500)) for name in names if rng.random() < 0.7]
        return statement(lines, taken, over_cap_micros=rng.choice((0, 777)), carried=rng.randrange(NANOMICROS))

    amounts(some(), some())
