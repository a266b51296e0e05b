"""The policies of traffic that batch runs judge by, and the days that they rule."""

from datetime import date

import pytest

from batch_layer.traffic.traffic_policy import POLICIES
from ingestion.contract.traffic_reasons import DayReason
from jobs.errors import CommandError
from jobs.settings.declared.pipeline import TRAFFIC_RULED_FROM
from jobs.wiring.traffic_rules import traffic_rules


def test_new_days_are_ruled_from_the_day_of_the_setting_on() -> None:
    rules = traffic_rules(date(2026, 11, 20))
    assert [rules.version_on(date(2026, 11, number)) for number in (19, 20, 21)] == [0, 1, 1]


def test_without_the_setting_no_new_day_is_ruled_and_the_policies_stay_known_for_days_that_are() -> None:
    rules = traffic_rules(None)
    assert rules.version_on(date(2026, 11, 20)) == 0
    assert {each.version for each in rules.policies} == {each.version for each in POLICIES}
    assert rules.sentences.keys() == {each.code for each in DayReason}


@pytest.mark.parametrize("wrong", ["yesterday", "2026-02-30", "2026-11", "1969-12-31"])
def test_the_setting_is_a_day(wrong: str) -> None:
    with pytest.raises(CommandError, match="it must be a day like 2026-11-20"):
        TRAFFIC_RULED_FROM.read_if_set({TRAFFIC_RULED_FROM.name: wrong})
    assert TRAFFIC_RULED_FROM.read_if_set({TRAFFIC_RULED_FROM.name: "2026-11-20"}) == date(2026, 11, 20)
    assert TRAFFIC_RULED_FROM.read_if_set({}) is None
