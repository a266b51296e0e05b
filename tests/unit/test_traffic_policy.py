"""Policies of traffic: what their record has, and which files are refused."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from billing.terms.file_policies import read_traffic_policy
from ingestion.contract.requests import FileRefusedError
from ingestion.contract.traffic_policy import (
    OF_PERIODS,
    SHIPPED,
    THRESHOLDS,
    contradictions,
    traffic_document,
    traffic_policy,
)
from ingestion.contract.traffic_reasons import DayReason

DEMOTED = frozenset({DayReason.PLAYS_AT_ONCE.code, DayReason.LOCKSTEP.code})


def test_a_policy_is_read_back_from_its_record_as_it_was() -> None:
    policy = replace(SHIPPED, version=7, effective_from_on=date(2027, 1, 1), hours_invalid=50, demoted=DEMOTED)
    document = traffic_document(policy)
    assert document["demoted"] == sorted(DEMOTED)
    assert traffic_policy(7, date(2027, 1, 1), document) == policy
    assert contradictions(SHIPPED) == []


@pytest.mark.parametrize("change", [{"of_tomorrow": 1}, {"hours_invalid": None}])
def test_a_record_of_another_release_is_named_and_not_guessed(change: dict[str, int | None]) -> None:
    document = {name: value for name, value in {**traffic_document(SHIPPED), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=f"traffic policy 2 has other values than this program knows: {min(change)}"):
        traffic_policy(2, date(2027, 1, 1), document)


def test_a_file_names_what_changes_and_the_rest_stays(tmp_path: Path) -> None:
    before = replace(SHIPPED, version=3, demoted=DEMOTED, turn_ratio=21)
    file = tmp_path / "policy.yaml"
    file.write_text("hours_invalid: 50\n")
    read = read_traffic_policy(file, before)
    assert traffic_document(read) == {**traffic_document(before), "hours_invalid": 50}
    file.write_text("demoted: []\nscript_spread_seconds: 0\n")
    read = read_traffic_policy(file, before)
    assert (read.demoted, read.script_spread_seconds, read.turn_ratio) == (frozenset(), 0, 21)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hours_invalid: 0\n", "line 1, hours_invalid: 0 is out of range; allowed: whole numbers from 1 to 100000"),
        ("lockstep_share: 101\n", "line 1, lockstep_share: 101 is out of range; allowed: whole numbers from 1 to 100"),
        ("version: 2\n", "line 1, the document: 'version' is not a key here; leave it out"),
        ("hours_reveiw: 31\n", "'hours_reveiw' is not a key here; the nearest is 'hours_review'"),
        ("hours_review: 1.5\n", "hours_review: 1.5 is a number with a fraction; allowed: a whole number"),
        ("demoted: [lockstep, lockstep]\n", "names one twice; allowed: each once"),
        ("{}\n", "the file names nothing; allowed: one value or more"),
        (
            "hours_invalid: 29\n",
            "hours_invalid is 29 and hours_review 30; what is invalid must be at least",
        ),
        ("demoted: [speed]\n", "speed"),
        ("hours_review: 40\nhours_invalid: 30\n", "hours_invalid is 30"),
    ],
)
def test_a_file_that_makes_no_policy_is_refused_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(FileRefusedError) as caught:
        read_traffic_policy(file, SHIPPED)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


@pytest.mark.parametrize("name", THRESHOLDS)
def test_no_threshold_has_a_value_that_the_rules_cannot_compute_with(name: str) -> None:
    assert any(f"{name} is -1" in each for each in contradictions(replace(SHIPPED, **{name: -1})))  # type: ignore[arg-type]


def test_only_rules_that_look_at_many_events_can_be_demoted() -> None:
    (problem,) = contradictions(replace(SHIPPED, demoted=frozenset({"robot"})))
    assert problem == "demoted names robot; it must name codes of rules"
    assert contradictions(replace(SHIPPED, demoted=frozenset({"crowd_of_weeks", "lockstep"}))) == []


def test_a_policy_has_all_thresholds_of_the_rules_of_a_period_or_none() -> None:
    document = traffic_document(SHIPPED)
    assert document.keys() >= OF_PERIODS
    before = {name: value for name, value in document.items() if name not in OF_PERIODS}
    policy = traffic_policy(1, date(2026, 11, 1), before)
    assert policy.period_days == 0
    assert traffic_document(policy) == before, "what a policy does not have, its record never gets"
    assert traffic_document(replace(policy, period_days=28)) == document
    with pytest.raises(ValueError, match="other values than this program knows: ring_days"):
        traffic_policy(1, date(2026, 11, 1), {name: value for name, value in document.items() if name != "ring_days"})
