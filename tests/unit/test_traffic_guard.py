"""A reason that suddenly has many events of a day is reviewed, so that no flood and no broken list robs everybody."""

from batch_layer.judging.traffic_guard import DayShares, reasons_of_too_many, reasons_to_review


def day(event_count: int, **by_reason: int) -> DayShares:
    return DayShares(event_count, by_reason)


def test_a_reason_above_a_twentieth_and_three_times_the_median_is_reviewed() -> None:
    history = [day(1_000, crowd=20)] * 7
    assert reasons_to_review(day(1_000, crowd=61), history) == ("crowd",)
    assert reasons_to_review(day(1_000, crowd=60), history) == (), "three times is not more than three times"


def test_a_rare_reason_is_never_a_flood() -> None:
    assert reasons_to_review(day(1_000, crowd=50), [day(1_000)] * 28) == ()
    assert reasons_to_review(day(1_000, crowd=51), [day(1_000)] * 28) == ("crowd",)


def test_days_of_any_size_are_compared_by_their_shares_and_exactly() -> None:
    history = [day(10, crowd=1), day(10**12, crowd=10**11), day(0)] * 3
    assert reasons_to_review(day(10**12, crowd=3 * 10**11), history) == ()
    assert reasons_to_review(day(10**12, crowd=3 * 10**11 + 1), history) == ("crowd",)


def test_without_a_week_of_judged_days_nothing_is_known_to_be_usual() -> None:
    assert reasons_to_review(day(10, crowd=10), [day(10)] * 6) == ()
    assert reasons_to_review(day(10, crowd=10), [day(10)] * 7) == ("crowd",)


def test_each_reason_is_compared_with_itself_and_named_in_order() -> None:
    history = [day(100, crowd=30, script=1)] * 9
    assert reasons_to_review(day(100, crowd=40, script=9, origin=6), history) == ("origin", "script")


def test_a_day_without_events_has_nothing_to_review() -> None:
    assert reasons_to_review(day(0), [day(0)] * 20) == ()


def test_a_reason_of_a_period_with_more_than_a_twentieth_of_its_events_is_reviewed() -> None:
    assert reasons_of_too_many(DayShares(100, {"b": 6, "a": 50, "c": 5})) == ("a", "b")
    assert reasons_of_too_many(DayShares(0, {})) == ()
