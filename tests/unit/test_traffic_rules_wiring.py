"""The policies of traffic that batch runs judge by, and the days that they rule."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from batch_layer.errors import RefusedError
from ingestion.contract.allowed_traffic import AllowedKind, AllowedTraffic
from ingestion.contract.traffic_policy import SHIPPED
from ingestion.contract.traffic_reasons import RULE_REASONS
from jobs.errors import CommandError
from jobs.settings.declared.pipeline import TRAFFIC_RULED_FROM
from jobs.wiring.traffic_rules import key_of_allowed, refuse_unruled, traffic_rules


def test_new_days_are_ruled_by_the_policy_in_force_on_them() -> None:
    first = replace(SHIPPED, effective_from_on=date(2026, 11, 20))
    second = replace(SHIPPED, version=2, effective_from_on=date(2026, 11, 22))
    rules = traffic_rules([first, second])
    assert [rules.version_on(date(2026, 11, number)) for number in (19, 20, 21, 22, 23)] == [0, 1, 1, 2, 2]


def test_without_a_policy_no_new_day_is_ruled() -> None:
    rules = traffic_rules([])
    assert rules.version_on(date(2026, 11, 20)) == 0
    assert rules.sentences.keys() == {each.code for each in RULE_REASONS}


@pytest.mark.parametrize("wrong", ["yesterday", "2026-02-30", "2026-11", "1969-12-31"])
def test_the_day_that_migrate_is_given_is_a_day(wrong: str) -> None:
    with pytest.raises(CommandError, match="it must be a day like 2026-11-20"):
        TRAFFIC_RULED_FROM.read_if_set({TRAFFIC_RULED_FROM.name: wrong})
    assert TRAFFIC_RULED_FROM.read_if_set({TRAFFIC_RULED_FROM.name: "2026-11-20"}) == date(2026, 11, 20)
    assert TRAFFIC_RULED_FROM.read_if_set({}) is None


NOBODYS_SESSION: Any = None
ENTRY = AllowedTraffic(AllowedKind.PAYEE, "ann", date(2026, 12, 1), ("lockstep",), "known")


def test_only_an_entry_of_a_network_or_an_agent_needs_the_key_of_traits() -> None:
    policies = [SHIPPED, replace(SHIPPED, version=2, allowed=(ENTRY,))]
    assert key_of_allowed({}, NOBODYS_SESSION, policies) is None
    named = replace(SHIPPED, version=3, allowed=(replace(ENTRY, kind=AllowedKind.AGENT),))
    with pytest.raises(CommandError, match=r"^VIEWLEDGER_TRAITS_KEY is not set"):
        key_of_allowed({}, NOBODYS_SESSION, [*policies, named])


def test_a_run_refuses_while_a_policy_is_expected_and_none_is_in_force() -> None:
    day = date(2026, 11, 20)
    with pytest.raises(RefusedError, match=r"^VIEWLEDGER_TRAFFIC_RULED_FROM is 2026-11-20, and no policy of traffic"):
        refuse_unruled(day, [])
    refuse_unruled(None, [])
    refuse_unruled(day, [replace(SHIPPED, effective_from_on=date(2026, 12, 1))])
