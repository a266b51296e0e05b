"""The price of a proposed policy of traffic: events by the rates of their owners, and what people decided."""

from datetime import date, timedelta

from billing.rating.stake import Worth
from billing.rating.traffic_backtest import Amount, TrafficBacktest, priced
from ingestion.contract.settled import MovedViews, TrafficState
from jobs.commands.billing.backtest_tables import traffic_json, traffic_text
from tests.billing_fakes import card_of, catalogue_of, contracts_of

DAY = date(2026, 10, 5)
WORTH = Worth.of(catalogue_of(v="ann", w="bob"), contracts_of(card_of(2_000_000, FR=5_000_001)))


def backtest(*moved: tuple[str, str, str, str, str, int]) -> TrafficBacktest:
    return priced((MovedViews(DAY, *each) for each in moved), WORTH, groups_now=3, groups_proposed=5)


def test_events_are_summed_by_direction_each_by_its_own_rate() -> None:
    found = backtest(
        ("paid", "withheld", "", "v", "FR", 3),
        ("paid", "withheld", "released", "w", "DE", 500),
        ("withheld", "paid", "confirmed", "v", "ZZ", 7),
        ("withheld", "paid", "", "v", "ZZ", 1),
        ("under_review", "withheld", "", "v", "FR", 1),
    )
    assert [(each.now, each.proposed, each.all) for each in found.moves] == [
        (TrafficState.PAID, TrafficState.WITHHELD, Amount(503, 3 * 5_000_001 // 1_000 + 1_000_000)),
        (TrafficState.UNDER_REVIEW, TrafficState.WITHHELD, Amount(1, 5_000)),
        (TrafficState.WITHHELD, TrafficState.PAID, Amount(8, 16_000)),
    ]
    assert found.withheld_wrongly == Amount(500, 1_000_000)
    assert found.paid_wrongly == Amount(7, 14_000)


def test_what_is_paid_neither_way_and_what_nobody_owns_is_worth_nothing() -> None:
    found = backtest(("unpaid", "withheld", "", "v", "FR", 9), ("paid", "withheld", "", "unknown", "FR", 2))
    assert [each.all for each in found.moves] == [Amount(2, 0), Amount(9, 0)]


def test_a_policy_that_changes_nothing_says_so() -> None:
    text = traffic_text(backtest(), "USD")
    assert text.startswith("no event would be judged otherwise\n")
    assert "groups for review: 5, and 3 now" in text


def test_the_text_and_the_document_show_the_same() -> None:
    found = backtest(("paid", "withheld", "released", "v", "FR", 1_000), ("paid", "under_review", "", "w", "DE", 2))
    text = traffic_text(found, "USD")
    (row,) = [line.split() for line in text.splitlines() if line.startswith("paid  withheld")]
    assert row == ["paid", "withheld", "1,000", "5.000001", "USD", "1,000", "0"]
    assert "withheld wrongly, as people released it: 1,000 events, worth 5.000001 USD" in text
    assert "paid wrongly, as people confirmed it: 0 events, worth 0.000000 USD" in text
    document = traffic_json(found, [DAY], [DAY + timedelta(days=1)])
    assert (document["judged_days"], document["erased_days"]) == (["2026-10-05"], ["2026-10-06"])
    assert document["withheld_wrongly"] == {"event_count": 1_000, "micros": 5_000_001}
    assert [(each["now"], each["proposed"], each["all"]["event_count"]) for each in document["moves"]] == [
        ("paid", "under_review", 2),
        ("paid", "withheld", 1_000),
    ]
