"""Groups under review and decisions about them, as records."""

from datetime import date

import pytest

from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup, still_to_apply

GROUP = TrafficGroup(date(2026, 11, 18), "many", "ann/x", 2, "1f" * 16)
RELEASED = TrafficDecision(GROUP, TrafficOutcome.RELEASED)


def test_a_group_is_named_by_what_it_is_about_and_by_its_events() -> None:
    assert GROUP.name == "2026-11-18/many/ann/x/2-1f1f1f1f1f1f"


def test_a_decision_survives_its_stored_form() -> None:
    assert RELEASED.to_json() == ["2026-11-18", "many", "ann/x", 2, "1f" * 16, "released"]
    assert TrafficDecision.from_json(RELEASED.to_json()) == RELEASED


@pytest.mark.parametrize("outcome", [TrafficOutcome.INVALID, TrafficOutcome.REVIEW])
def test_an_outcome_of_a_rule_does_not_decide(outcome: TrafficOutcome) -> None:
    with pytest.raises(ValueError, match=f"{outcome} decides nothing"):
        TrafficDecision(GROUP, outcome)


def test_decisions_that_a_version_has_taken_over_are_not_applied_again() -> None:
    other = TrafficDecision(TrafficGroup(date(2026, 11, 17), "many", "bob", 1, "0" * 32), TrafficOutcome.CONFIRMED)
    assert still_to_apply({RELEASED, other}, ()) == (other, RELEASED)
    assert still_to_apply({RELEASED, other}, {other}) == (RELEASED,)
