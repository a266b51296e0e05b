"""Numbers, money and instants as a page writes them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from serving_layer.portal.formatting import aligned_money, duration, machine, money, percent, tone, utc, whole, words


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00 USD"),
        (1, "0.000001 USD"),
        (-1, "-0.000001 USD"),
        (500_000, "0.50 USD"),
        (26_442_000, "26.442 USD"),
        (1_234_567_890_120, "1,234,567.89012 USD"),
        (-2_500_000, "-2.50 USD"),
    ],
)
def test_an_amount_is_written_exactly(micros: int, text: str) -> None:
    assert money(micros, "USD") == text


def test_amounts_of_a_column_have_their_points_one_below_the_other() -> None:
    amounts = [aligned_money(micros, "USD") for micros in (1, 500_000, 26_442_000, -2_500_000, 1_234_567_890_120)]
    assert {len(each) - each.index(".") for each in amounts} == {len(".000001 USD")}
    assert [each.replace("\u2007", "") for each in amounts] == [
        money(micros, "USD") for micros in (1, 500_000, 26_442_000, -2_500_000, 1_234_567_890_120)
    ]


@pytest.mark.parametrize(
    ("ppm", "text"), [(1_000_000, "100 %"), (333_333, "33.3333 %"), (500_000, "50 %"), (1, "0.0001 %"), (0, "0 %")]
)
def test_a_share_is_written_exactly(ppm: int, text: str) -> None:
    assert percent(ppm) == text


def test_instants_are_written_in_utc_whatever_their_zone() -> None:
    instant = datetime(2026, 11, 25, 4, 5, 6, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert (utc(instant), machine(instant)) == ("2026-11-24 22:35 UTC", "2026-11-24T22:35:06Z")
    assert machine(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00Z"


def test_numbers_and_states_are_words_for_people() -> None:
    assert (whole(1_234_567), words("in_review")) == ("1,234,567", "in review")
    assert (tone("finalised"), tone("held"), tone("gate_failed"), tone("anything else")) == (
        "good",
        "warn",
        "bad",
        "plain",
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (9.4, "0:09"),
        (59.6, "1:00"),
        (245, "4:05"),
        (3_599, "59:59"),
        (3_600, "1:00:00"),
        (4_442_459, "1,234:00:59"),
        (None, "\u2013"),
    ],
)
def test_a_time_of_watching_is_written_as_a_clock_shows_it(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
