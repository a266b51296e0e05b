"""Backtests: the change per payee under other terms, from the same settled views."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from billing.rating.attribution import Attribution
from billing.rating.backtest import PAYEES_SHOWN_MAX, Backtest, Earned, compare
from billing.rating.rating import rate_period
from billing.terms.contracts import Contracts
from billing.terms.file_policies import read_policy
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.requests import FileRefusedError
from jobs.commands.billing.backtest_tables import backtest_json, backtest_text
from tests.billing_fakes import OCTOBER, Count, FakeSettledViews, card_of, catalogue_of, contracts_of, published

DAY = date(2026, 10, 5)
NOW = contracts_of(card_of(2_000_000))
VIEWS = FakeSettledViews(
    [Count("v", DAY, "US", 9, 4), Count("w", DAY, None, 9, 5, seconds=35), Count("x", DAY, None, 9, 2)], published()
)
CATALOGUE = catalogue_of(v="ann", w="bob", x="cleo")
STRICTER = CountingPolicy(0, date.min, 40, 4, timedelta(hours=24))


def backtest(proposed: Contracts, policy: CountingPolicy | None = None) -> Backtest:
    before, after = Attribution(OCTOBER, CATALOGUE, NOW), Attribution(OCTOBER, CATALOGUE, proposed)
    return compare(
        rate_period(VIEWS.pieces(before), before), rate_period(VIEWS.pieces(after, policy), after), currency="USD"
    )


def test_the_same_terms_change_nothing() -> None:
    found = backtest(NOW)
    assert (found.payee_count, found.changed_count, found.largest) == (3, 0, ())
    assert found.now == found.proposed == Earned(11, 22_000, 22_000)


def test_another_rate_for_a_country_changes_one_payee() -> None:
    found = backtest(contracts_of(replace(card_of(2_000_000, US=3_000_000), tax_ppm=500_000)))
    assert [(each.payee_id, each.change_micros) for each in found.largest] == [("ann", 4_000), ("bob", 0), ("cleo", 0)]
    assert (found.proposed.earned_micros, found.proposed.payable_micros) == (26_000, 13_000)


def test_a_payee_without_a_contract_then_or_now_is_shown_with_nothing() -> None:
    found = backtest(Contracts("USD", (replace(NOW.contracts[0], payees=("ann",)),)))
    assert [(each.payee_id, each.proposed) for each in found.largest] == [("bob", Earned()), ("cleo", Earned())]


def test_a_stricter_policy_shows_who_would_lose_views() -> None:
    found = backtest(NOW, STRICTER)
    assert [(each.payee_id, each.now.views, each.proposed.views) for each in found.largest] == [("bob", 5, 0)]


def test_only_the_largest_changes_are_kept() -> None:
    payees = {f"v{index:03}": f"p{index:03}" for index in range(60)}
    catalogue = catalogue_of(**payees)
    views = FakeSettledViews([Count(video, DAY, None, 90, 1 + int(video[1:])) for video in payees], published())
    sides = [Attribution(OCTOBER, catalogue, contracts) for contracts in (NOW, contracts_of(card_of(1_000_000)))]
    found = compare(*(rate_period(views.pieces(side), side) for side in sides), currency="USD")
    shown = [each.payee_id for each in found.largest]
    assert shown == [f"p{index:03}" for index in range(59, 59 - PAYEES_SHOWN_MAX, -1)]
    assert "and 40 more with smaller changes" in backtest_text(found, "x")


def test_the_table_and_the_json_say_the_same() -> None:
    found = backtest(contracts_of(card_of(1_000_000)))
    text = backtest_text(found, "period 2026-10")
    assert text.startswith("period 2026-10: 3 of 3 payees would be paid a different amount\nnothing was stored\n")
    assert "-0.011000 USD" in text
    document = backtest_json(found)
    assert document["proposed"] == {"views": 11, "earned_micros": 11_000, "payable_micros": 11_000}
    assert [each["change_micros"] for each in document["largest_changes"]] == [-5_000, -4_000, -2_000]


def test_a_policy_file_is_read_and_its_errors_are_named(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("minimum_view_seconds: 40\nbillable_per_viewer_max: 4\nviewer_window_hours: 24\n")
    assert read_policy(file) == STRICTER
    file.write_text("minimum_view_seconds: 40\nbillable_per_viewer_max: 0\nviewer_window_hours: 25\n")
    with pytest.raises(FileRefusedError) as caught:
        read_policy(file)
    assert [problem.removeprefix(f"{file}, ") for problem in caught.value.problems] == [
        "line 2, billable_per_viewer_max: 0 is out of range; allowed: whole numbers from 1 to 1000",
        "line 3, viewer_window_hours: 25 is out of range; allowed: whole numbers from 1 to 24",
    ]
    file.write_text("minimum_view_seconds: 40\nbillable_per_viewer_max: 4\nasks_attestation: yes\n")
    with pytest.raises(FileRefusedError) as caught:
        read_policy(file)
    assert [problem.removeprefix(f"{file}, ") for problem in caught.value.problems] == [
        "line 1, the document: 'viewer_window_hours' is missing; give it",
        "line 3, asks_attestation: 'yes' is not what belongs here; allowed: true or false",
    ]
