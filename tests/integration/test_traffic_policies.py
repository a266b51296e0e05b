"""Policies of traffic on a real PostgreSQL: the first one by a migration, later ones by two people and the commands."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2.errors
import pytest

from batch_layer.judging.postgres_policies import traffic_policies
from billing.errors import DatabaseRefusedError
from billing.postgres_session import connector
from billing.proof.checkpointing import make_checkpoint
from billing.proof.ed25519_keys import create_key
from billing.proof.postgres_journal import PostgresJournal
from billing.terms.policies import document_hash
from billing.terms.postgres_policies import PostgresPolicies
from faults.postgres_database import administer
from ingestion.contract.refusals import DatabaseRule
from ingestion.contract.traffic_policy import (
    PER_CENT,
    SHIPPED,
    THRESHOLDS,
    TRAFFIC,
    TrafficPolicy,
    traffic_document,
    traffic_policy,
)
from ingestion.contract.traffic_reasons import RULE_REASONS
from jobs.exit_codes import ExitCode
from jobs.wiring.migrations import MIGRATIONS, migrate
from tests.billing_postgres import empty_database, own_database
from tests.books_of_last_release import migrate_to_last_release
from tests.command_runs import RunsCommands
from tests.postgres_people import person

FIRST = date(2026, 11, 20)
VERSION = """
    INSERT INTO published.versions
        (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
    VALUES ({version}, 'b{version}', '{{}}', '[]', '{{}}', '{{}}', '{{}}', '{rules}')"""


def in_days(days: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=days)


@pytest.fixture
def before(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """A database of the release whose program had the first policy of traffic by itself."""
    (file,) = (MIGRATIONS / "versions").glob("*_traffic_policies.sql")
    with empty_database(postgres_url) as url:
        migrate_to_last_release(url, tmp_path / "migrations", release=f"{int(file.name[:3]) - 1:03}")
        yield url


def publish(url: str, version: int, **ruled: int) -> None:
    rules = {
        day.replace("d", "2026-11-"): {"policy_version": 1, "catalogue_version": 1}
        | ({"traffic": {"policy_version": policy}} if policy else {})
        for day, policy in ruled.items()
    }
    administer(url, VERSION.format(version=version, rules=json.dumps(rules)))


BEFORE_PERIODS = replace(SHIPPED, period_days=0)
"""What the program had by itself: no rules of a period."""


def of_day(first_on: date, values: TrafficPolicy = BEFORE_PERIODS) -> tuple[TrafficPolicy, ...]:
    return (traffic_policy(1, first_on, traffic_document(values)),)


def test_a_new_database_has_no_policy_of_traffic(postgres_url: str) -> None:
    with own_database(postgres_url) as url:
        assert traffic_policies(url) == ()


def test_a_new_database_that_was_given_a_day_begins_with_the_values_of_this_release(postgres_url: str) -> None:
    with empty_database(postgres_url) as url:
        migrate(url, traffic_ruled_from=FIRST)
        assert traffic_policies(url) == of_day(FIRST, SHIPPED)
        (stored,) = [each for each in PostgresPolicies(connector(url)).all() if each.kind == TRAFFIC]
        assert stored.content_hash == document_hash(stored.document)
        with pytest.raises(psycopg2.Error):
            administer(url, "UPDATE billing.policies SET document = '{}' WHERE kind = 'traffic'")


def test_the_first_policy_has_the_values_of_before_and_rules_from_the_day_that_migrate_was_given(before: str) -> None:
    publish(before, 1, d21=0, d22=1)
    migrate(before, traffic_ruled_from=FIRST)
    assert traffic_policies(before) == of_day(FIRST)
    (stored,) = [each for each in PostgresPolicies(connector(before)).all() if each.kind == TRAFFIC]
    assert (stored.state, stored.actor) == ("in_force", "migration")
    assert stored.content_hash == document_hash(stored.document) == document_hash(traffic_document(BEFORE_PERIODS))
    migrate(before, traffic_ruled_from=date(2026, 11, 1))
    assert traffic_policies(before) == of_day(FIRST), "once it is there, migrate leaves it alone"
    records = PostgresJournal(connector(before)).records(0, 99)
    assert [each.key for each in records if each.kind == "policy"] == ["counting 1", "traffic 1"]


def test_without_a_day_the_first_policy_rules_from_the_first_day_that_had_rules(before: str) -> None:
    publish(before, 1, d18=1)
    publish(before, 2, d20=0, d22=1, d21=1)
    migrate(before)
    assert traffic_policies(before) == of_day(date(2026, 11, 21))


def test_where_no_day_had_rules_an_upgrade_adds_none(before: str) -> None:
    publish(before, 1, d20=0)
    migrate(before)
    assert traffic_policies(before) == ()


@dataclass
class PolicyCommands(RunsCommands):
    """The commands of one database, by a login that proposes and another that approves."""

    group = "traffic"

    url: str
    capture: pytest.CaptureFixture[str]


@pytest.fixture
def commands(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[PolicyCommands]:
    with (
        own_database(postgres_url) as url,
        person(url, "viewledger_billing", "viewledger_approver") as maker,
        person(url, "viewledger_approver") as checker,
    ):
        monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", maker)
        monkeypatch.setenv("VIEWLEDGER_APPROVER_POSTGRES_URL", checker)
        yield PolicyCommands(url, capsys)


def proposal(file: Path, first_on: date, actor: str = "max") -> list[str]:
    return ["policy", "propose", f"--policy={file}", f"--first-on={first_on}", f"--actor={actor}"]


def test_a_policy_rules_once_it_is_signed_and_another_person_has_approved_it(
    commands: PolicyCommands, tmp_path: Path
) -> None:
    assert commands.run("policy", "show")[1].startswith("no policy of traffic is on record")
    file, first_on = tmp_path / "policy.yaml", in_days(3)
    file.write_text("hours_invalid: 50\ndemoted: [lockstep]\n")
    made = commands.document(*proposal(file, first_on))
    assert made == {"proposal": "policy:traffic:1", "version": 1, "new": True, "first_on": str(first_on)}
    assert commands.document(*proposal(file, first_on))["new"] is False
    approve = ["policy", "approve", "--proposal=policy:traffic:1"]
    code, _, error = commands.run(*approve, "--actor=chris")
    assert (code, "(VL108)" in error) == (ExitCode.REFUSED, True), "no checkpoint covers it"
    maker = connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing")
    make_checkpoint(PostgresJournal(maker), create_key(tmp_path / "key"), day=in_days(0), today=in_days(0))
    assert commands.run(*approve, "--actor=Max")[0] == ExitCode.REFUSED
    assert traffic_policies(commands.url) == (), "nothing is in force that nobody approved"
    assert commands.run(*approve, "--actor=chris")[0] == ExitCode.OK
    expected = traffic_document(SHIPPED) | {"hours_invalid": 50, "demoted": ["lockstep"]}
    assert traffic_policies(commands.url) == (traffic_policy(1, first_on, expected),)
    file.write_text("demoted: []\n")
    assert commands.document(*proposal(file, in_days(4)))["version"] == 2
    first, second = commands.document("policy", "show")["policies"]
    assert second["document"] == first["document"] | {"demoted": []}, "other values stay those in force"
    text = commands.run("policy", "show")[1]
    assert "hours_invalid" in text
    assert "lockstep" in text


@pytest.mark.parametrize("days", [-400, -1, 0])
def test_a_policy_whose_first_day_has_begun_is_refused_in_one_sentence(
    commands: PolicyCommands, tmp_path: Path, days: int
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("hours_invalid: 50\n")
    code, _, error = commands.run(*proposal(file, in_days(days)))
    assert code == ExitCode.REFUSED
    assert f"traffic policy 1 would rule from {in_days(days)} on; give a day that has not begun" in error
    assert "NULL" not in error, "there is no policy before the first one"
    assert commands.document("policy", "show") == {"policies": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"hours_invalid": 0},
        {"hours_invalid": 100_001},
        {"hours_invalid": "48"},
        {"hours_invalid": 1.5},
        {"hours_invalid": None},
        {"demoted": "lockstep"},
        {"demoted": [1]},
    ],
)
def test_a_policy_that_a_run_could_not_use_is_refused_by_the_table(postgres_url: str, wrong: dict[str, object]) -> None:
    document = {**traffic_document(SHIPPED), **wrong}
    with own_database(postgres_url) as url:
        store = PostgresPolicies(connector(url))
        without = {name: value for name, value in document.items() if name not in wrong}
        for each in (document, without):
            with pytest.raises(psycopg2.errors.CheckViolation):
                store.propose(TRAFFIC, each, in_days(3), actor="max")
        assert store.propose(TRAFFIC, traffic_document(SHIPPED), in_days(3), actor="max") == (1, True)


def worst_of(name: str) -> dict[str, object]:
    return {name: 1, name.removesuffix("_invalid") + "_review": 2}


def entry(**other: object) -> list[object]:
    usual = {"kind": "network", "name": "192.0.2.0/24", "until": str(in_days(93)), "reasons": ["lockstep"]}
    return list((usual | {"why": "a school"} | other).values())


PAIRS = [name for name in THRESHOLDS if name.endswith("_invalid") and "_times_" not in name]


def unusable() -> list[tuple[dict[str, object], str]]:
    """Values and what is said of them, if the policy began in 3 days."""
    return [
        ({"of_tomorrow": 1}, "it has the value of_tomorrow, which no policy of traffic has"),
        ({"Hours_invalid": 48}, "it has the value Hours_invalid, which no policy of traffic has"),
        *(({name: 101}, f"{name} is 101; it must be at most 100") for name in sorted(PER_CENT)),
        *((worst_of(name), f"{name} is 1 and {name[:-7]}review 2; what is invalid must be at least") for name in PAIRS),
        ({"demoted": ["lockstep", "robot"]}, "demoted names robot; it must name codes of rules"),
        *(
            ({"allowed": [entry(**wrong)]}, sentence)
            for wrong, sentence in (
                ({"kind": "viewer"}, r"allowed has \[\"viewer\", .*; an entry is \[kind, name, the day"),
                ({"name": "ä"}, ".*an entry is .* of printable ASCII"),
                ({"why": ""}, ".*an entry is .* of printable ASCII"),
                ({"name": "192.0.2.7"}, r"allowed names the network 192.0.2.7; it must be a /24 or /48"),
                (
                    {"until": "2026-02-30"},
                    "allowed names the network 192.0.2.0/24 until 2026-02-30; it must be a day from",
                ),
                ({"until": str(in_days(3))}, f".*it must be a day from {in_days(4)} to {in_days(93)}"),
                ({"until": str(in_days(94))}, f".*it must be a day from {in_days(4)} to {in_days(93)}"),
                ({"reasons": ["plays_at_once"]}, r".*for \[.plays_at_once.\]; reasons are some of accounts_in_turn, "),
                ({"reasons": ["lockstep", "lockstep"]}, ".*reasons are some of"),
                ({"reasons": []}, ".*reasons are some of"),
            )
        ),
        ({"allowed": ["all"]}, 'allowed has "all"; an entry is'),
        ({"allowed": [entry(), entry()]}, "allowed names the network 192.0.2.0/24 2 times"),
        ({"allowed": [entry(name=f"10.0.{each}.0/24") for each in range(201)]}, "allowed has 201 entries"),
    ]


def test_a_login_cannot_propose_a_policy_that_would_end_every_run(commands: PolicyCommands) -> None:
    store = PostgresPolicies(connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing"))
    for wrong, sentence in unusable():
        with pytest.raises(DatabaseRefusedError, match=f"traffic policy 1 cannot be used: {sentence}") as refused:
            store.propose(TRAFFIC, {**traffic_document(SHIPPED), **wrong}, in_days(3), actor="max")
        assert refused.value.is_by(DatabaseRule.ALLOWED_USABLE if "allowed" in wrong else DatabaseRule.POLICY_USABLE)
    part_of_it = {name: value for name, value in traffic_document(SHIPPED).items() if name != "even_days"}
    with pytest.raises(
        DatabaseRefusedError, match="it has not the value even_days, and others of the rules of a period"
    ):
        store.propose(TRAFFIC, part_of_it, in_days(3), actor="max")
    assert store.all() == [each for each in store.all() if each.kind != TRAFFIC], "nothing is stored"
    codes = [each.code for each in RULE_REASONS]
    usable = {**traffic_document(SHIPPED), "demoted": codes, "hours_invalid": 30, "lockstep_share": 100}
    assert store.propose(TRAFFIC, usable, in_days(3), actor="max") == (1, True)


def test_an_allow_list_comes_into_force_as_any_value_and_ends_by_itself(
    commands: PolicyCommands, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    lines = [
        "kind: network",
        "name: 192.0.2.0/24",
        f"until: {in_days(5)}",
        "reasons: [lockstep]",
        'because: "a \\"\\\\"',
    ]
    file.write_text("allowed:\n  - " + "\n    ".join(lines) + "\n")
    assert commands.document(*proposal(file, in_days(2)))["version"] == 1
    maker = connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing")
    make_checkpoint(PostgresJournal(maker), create_key(tmp_path / "key"), day=in_days(0), today=in_days(0))
    assert commands.run("policy", "approve", "--proposal=policy:traffic:1", "--actor=chris")[0] == ExitCode.OK
    (policy,) = traffic_policies(commands.url)
    (allowed,) = policy.allowed
    assert (allowed.name, allowed.until, allowed.because) == ("192.0.2.0/24", in_days(5), 'a "\\')
    assert "version 1 allows the network 192.0.2.0/24 before" in commands.run("policy", "show")[1]
    file.write_text("hours_invalid: 50\n")
    commands.document(*proposal(file, in_days(4)))
    commands.document(*proposal(file, in_days(5)))
    first, second, third = (each["document"] for each in commands.document("policy", "show")["policies"])
    assert first["allowed"] == second["allowed"]
    assert "allowed" not in third, "the entry is over when that policy begins"


def test_nobody_allows_a_payee_of_their_own(commands: PolicyCommands, tmp_path: Path) -> None:
    store = PostgresPolicies(connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing"))
    document = {**traffic_document(SHIPPED), "allowed": [entry(kind="payee", name="max")]}
    with pytest.raises(DatabaseRefusedError, match="payee max is not for max to decide on") as refused:
        store.propose(TRAFFIC, document, in_days(3), actor="max")
    assert refused.value.is_by(DatabaseRule.OWN_TRAFFIC)
    assert store.propose(TRAFFIC, document, in_days(3), actor="eva") == (1, True)
    maker = connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing")
    make_checkpoint(PostgresJournal(maker), create_key(tmp_path / "key"), day=in_days(0), today=in_days(0))
    approve = ["policy", "approve", "--proposal=policy:traffic:1"]
    code, _, error = commands.run(*approve, "--actor=max")
    assert (code, DatabaseRule.OWN_TRAFFIC.sqlstate in error) == (ExitCode.REFUSED, True)
    assert commands.run(*approve, "--actor=chris")[0] == ExitCode.OK


def test_a_whole_number_is_written_as_one(commands: PolicyCommands) -> None:
    store = PostgresPolicies(connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing"))
    with pytest.raises(DatabaseRefusedError, match=r"hours_review is 30\.0; it must be written as a whole") as refused:
        store.propose(TRAFFIC, {**traffic_document(SHIPPED), "hours_review": 30.0}, in_days(3), actor="max")
    assert refused.value.is_by(DatabaseRule.POLICY_READABLE)


def test_a_policy_that_was_proposed_before_that_rule_cannot_come_into_force(commands: PolicyCommands) -> None:
    store = PostgresPolicies(connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing"))
    store.propose(TRAFFIC, traffic_document(SHIPPED), in_days(2), actor="max")
    for step in ("DISABLE", "ENABLE"):
        administer(commands.url, f"ALTER TABLE billing.policies {step} TRIGGER USER")
        if step == "DISABLE":
            more = "document = document || jsonb_build_object('of_tomorrow', 1)"
            administer(commands.url, f"UPDATE billing.policies SET {more} WHERE kind = 'traffic'")
    code, _, error = commands.run("policy", "approve", "--proposal=policy:traffic:1", "--actor=chris")
    assert (code, DatabaseRule.POLICY_USABLE.sqlstate in error) == (ExitCode.REFUSED, True)
    assert traffic_policies(commands.url) == ()


def test_the_approval_of_a_policy_whose_day_came_meanwhile_is_refused(commands: PolicyCommands, tmp_path: Path) -> None:
    store = PostgresPolicies(connector(os.environ["VIEWLEDGER_POSTGRES_URL"], "viewledger_billing"))
    store.propose(TRAFFIC, traffic_document(SHIPPED), in_days(2), actor="max")
    url = commands.url
    for step in ("DISABLE", "ENABLE"):
        administer(url, f"ALTER TABLE billing.policies {step} TRIGGER USER")
        if step == "DISABLE":
            administer(url, f"UPDATE billing.policies SET first_on = '{in_days(0)}' WHERE kind = 'traffic'")
    code, _, error = commands.run("policy", "approve", "--proposal=policy:traffic:1", "--actor=chris")
    assert (code, DatabaseRule.POLICY_TO_COME.sqlstate in error) == (ExitCode.REFUSED, True)
