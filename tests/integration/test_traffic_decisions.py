"""Decisions on groups under review: the commands, and what PostgreSQL lets each login do; tried as logins."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import psycopg2
import pytest

import jobs.commands.traffic
from attacks.role_matrix import role_logins
from batch_layer.judging.ports import ReleasedGroups
from batch_layer.judging.postgres_group_decisions import PostgresGroupDecisions
from batch_layer.reconciling.ports import NotedGroups
from batch_layer.reconciling.postgres_reconciliations import PostgresReconciliations
from billing.books.postgres_traffic_decisions import PostgresTrafficDecisions
from billing.errors import DatabaseRefusedError, RoleRefusedError, StateError
from billing.postgres_session import connector
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from faults.postgres_database import administer
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.refusals import DatabaseRule
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficDecision, TrafficGroup, WaitingViews
from jobs.exit_codes import ExitCode
from tests.billing_fakes import card_of, catalogue_of, contracts_of
from tests.billing_postgres import own_database, put_in_force
from tests.command_runs import RunsCommands
from tests.postgres_people import login_of, person

GROUP = TrafficGroup(date(2026, 11, 18), "many", "ann", 2, "1f" * 16)
RELEASED = TrafficDecision(GROUP, TrafficOutcome.RELEASED)
WAITING = (WaitingViews("v", "FR", 2_000),)
NAME = "2026-11-18/many/ann/2-1f1f1f1f1f1f"

NINE_VERSIONS = """
    INSERT INTO published.versions
        (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
    SELECT version, 'batch-' || version, '{}', '[]', jsonb_build_object('traffic_outcomes', version * 10), '{}',
           jsonb_build_object('traffic_outcomes', 'of ' || version), '{}'
    FROM generate_series(1, 9) AS version"""


@dataclass
class Office(RunsCommands):
    """One database, a login that decides, and what the current version has under review."""

    group = "traffic"

    url: str
    reviewer: str
    capture: pytest.CaptureFixture[str]
    groups: list[ReviewedGroup] = field(default_factory=lambda: [ReviewedGroup(GROUP, WAITING, 1, 60, ("e-1", "e-2"))])

    def reviewed_groups(self) -> list[ReviewedGroup]:
        return self.groups

    @property
    def decisions(self) -> PostgresTrafficDecisions:
        return PostgresTrafficDecisions(connector(self.reviewer, "viewledger_reviewer"))

    def decide(
        self, what: str, group: str = NAME, reason: str = "seen the fans", actor: str = "max"
    ) -> tuple[int, str]:
        code, out, err = self.run("decide", "--group", group, what, "--reason", reason, "--actor", actor)
        return code, out + err


@pytest.fixture
def office(postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Office]:
    with (
        own_database(postgres_url, with_versions=False) as url,
        person(url, "viewledger_reviewer", name="max") as reviewer,
    ):
        administer(url, NINE_VERSIONS)
        office = Office(url, reviewer, capsys)

        @contextmanager
        def open_fake(_: object) -> Iterator[Office]:
            yield office

        monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", url)
        monkeypatch.setenv("VIEWLEDGER_REVIEWER_POSTGRES_URL", reviewer)
        monkeypatch.setattr(jobs.commands.traffic, "open_settled_views", open_fake)
        yield office


def test_a_group_is_listed_decided_on_once_and_reported(office: Office) -> None:
    (listed,) = office.document("review")["groups"]
    assert (listed["group"], listed["event_count"], listed["event_ids"]) == (NAME, 2, ["e-1", "e-2"])
    assert office.decide("--release") == (
        ExitCode.OK,
        f"2 events of group {NAME} released; the next batch run applies it to these events\n",
    )
    assert office.decide("--release")[1].startswith("as before: 2 events")
    code, text = office.decide("--confirm", reason="looked again")
    assert code == ExitCode.REFUSED
    assert f"group {NAME} was released before by max: seen the fans; a decision is final" in text
    assert office.run("review")[1] == "no group is under review\n"
    (reported,) = office.document("report")["decisions"]
    assert (reported["decision"], reported["actor"], reported["version"]) == ("released", "max", None)
    assert PostgresGroupDecisions(office.url).all() == {RELEASED}


def test_a_group_is_listed_with_what_its_views_would_earn(office: Office) -> None:
    unknown = office.document("review")
    assert (unknown["groups"][0]["waiting_count"], unknown["groups"][0]["estimate_micros"]) == (2_000, None)
    assert unknown["currency"] is None
    text = office.run("review")[1]
    assert "would earn (estimate)" in text
    store = PostgresCatalogueStore(connector(office.url))
    store.import_catalogue(catalogue_of(v="ann"), "test")
    store.import_contracts(contracts_of(card_of(3_000_000, FR=5_000_000)))
    put_in_force(office.url)
    known = office.document("review")
    assert (known["groups"][0]["estimate_micros"], known["currency"]) == (10_000_000, "USD")
    assert "10.000000 USD" in office.run("review")[1]


def test_the_report_names_the_version_that_applied_a_decision(office: Office) -> None:
    office.decisions.store(RELEASED, actor="max", reason="seen")
    applied = json.dumps([RELEASED.to_json()])
    administer(
        office.url,
        "INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, "
        f"day_rules, traffic_decisions) SELECT 10, 'b', offsets, '[]', '{{}}', '{{}}', '{{}}', '{{}}', '{applied}' "
        "FROM published.versions WHERE version = 9",
    )
    assert [each.version for each in office.decisions.all()] == [10]
    assert office.decide("--release", reason="seen")[1].endswith("released; version 10 applied it\n")


def age(url: str, days: int) -> None:
    """Move what runs have seen into the past, as only the owner of the database can."""
    for step in ("DISABLE", "ENABLE"):
        administer(url, f"ALTER TABLE billing.traffic_sightings {step} TRIGGER USER")
        if step == "DISABLE":
            administer(url, f"UPDATE billing.traffic_sightings SET seen_at = seen_at - interval '{days} days'")


def test_a_group_that_nobody_decides_on_is_released_after_14_days(office: Office) -> None:
    batch = PostgresGroupDecisions(office.url)
    assert batch.noted_hash() is None
    later = replace(GROUP, event_count=3, set_hash="2e" * 16)
    batch.note(8, "first", [GROUP, later])
    assert batch.noted_hash() == "first"
    assert batch.expire() == ReleasedGroups(0, 0)
    assert "13 days" in office.run("review")[1]
    age(office.url, 9)
    batch.note(9, "second", [GROUP])
    age(office.url, 4)
    (listed,) = office.document("review")["groups"]
    assert datetime.fromisoformat(listed["released_at"]) - datetime.now(UTC) < timedelta(days=1)
    assert "23 hours" in office.run("review")[1]
    assert batch.expire() == ReleasedGroups(0, 1), "its first sighting counts, and what is there no more does not wait"
    age(office.url, 1)
    assert batch.expire() == ReleasedGroups(1, 0)
    assert batch.expire() == ReleasedGroups(0, 0)
    assert batch.all() == {RELEASED}
    (reported,) = office.document("report")["decisions"]
    assert (reported["is_expiry"], reported["reason"]) == (True, "nobody decided within 14 days")
    code, text = office.decide("--confirm")
    assert (code, "was released before by nobody" in text) == (ExitCode.REFUSED, True)
    assert office.run("review")[1] == "no group is under review\n"


def test_a_decision_of_a_person_ends_the_wait_and_a_set_that_is_gone_has_none(office: Office) -> None:
    batch = PostgresGroupDecisions(office.url)
    batch.note(6, "first", [GROUP])
    age(office.url, 30)
    batch.note(7, "second", [])
    assert batch.expire() == ReleasedGroups(0, 0)
    office.decide("--confirm")
    batch.note(8, "third", [GROUP])
    age(office.url, 30)
    assert batch.expire() == ReleasedGroups(0, 0)


def test_the_login_of_the_pipeline_cannot_begin_a_wait_again(office: Office) -> None:
    columns = "version, event_day, rule, payee_id, event_count, set_hash, is_there"
    with person(office.url, "viewledger_pipeline", name="batch") as login:
        batch = PostgresGroupDecisions(login)
        batch.note(1, "first", [GROUP])
        for is_there in ("true", "false", "true"):
            age(office.url, 4)
            values = f"9, '2026-11-18', 'many', 'ann', 2, '{'1f' * 16}', {is_there}"
            administer(login, f"INSERT INTO billing.traffic_sightings ({columns}) VALUES ({values})")
        assert batch.expire() == ReleasedGroups(0, 1), "two days are left of the first sighting"
        age(office.url, 2)
        assert batch.expire() == ReleasedGroups(1, 0)


def test_a_version_that_somebody_noted_before_stops_no_run_and_reconcile_reads_what_is_noted(office: Office) -> None:
    with (
        person(office.url, "viewledger_pipeline", name="batch") as login,
        closing(PostgresReconciliations(login)) as reconciliations,
    ):
        assert reconciliations.noted_groups() is None
        administer(login, "INSERT INTO billing.traffic_sighted (version, content_hash) VALUES (8, 'forged')")
        assert reconciliations.noted_groups() == NotedGroups(8, "of 8", 80, frozenset())
        batch, other = PostgresGroupDecisions(login), replace(GROUP, payee_id="bob")
        batch.note(8, "of 8", [GROUP, other])
        assert reconciliations.noted_groups() == NotedGroups(8, "of 8", 80, frozenset({GROUP, other}))
        batch.note(9, "of 9", [GROUP])
        assert reconciliations.noted_groups() == NotedGroups(9, "of 9", 90, frozenset({GROUP}))
        reconciliations.note_groups(9, "of 9", [other])
        assert reconciliations.noted_groups() == NotedGroups(9, "of 9", 90, frozenset({other}))


def test_a_payee_named_as_the_login_delays_no_expiry(office: Office) -> None:
    with person(office.url, "viewledger_pipeline", name="batch") as login:
        batch = PostgresGroupDecisions(login)
        batch.note(9, "hash", [replace(GROUP, payee_id=name) for name in ("batch", "nobody", "")])
        age(office.url, 14)
        assert batch.expire() == ReleasedGroups(3, 0)


def test_nobody_but_the_database_writes_an_expiry_or_when_a_group_was_seen(office: Office) -> None:
    columns = "event_day, rule, payee_id, event_count, set_hash"
    values = f"'2026-11-18', 'many', 'ann', 2, '{'1f' * 16}'"
    with person(office.url, "viewledger_pipeline", name="batch") as login:
        PostgresGroupDecisions(login).note(9, "hash", [GROUP])
        for url, statement in (
            (office.reviewer, "SELECT billing.expire_traffic_groups()"),
            (office.reviewer, f"INSERT INTO billing.traffic_decisions ({columns}, outcome, actor, reason, "
             f"expired_after_days) VALUES ({values}, 'released', 'max', 'x', 14)"),
            (login, f"INSERT INTO billing.traffic_decisions ({columns}, outcome, actor, reason) "
             f"VALUES ({values}, 'released', 'max', 'x')"),
            (login, f"INSERT INTO billing.traffic_sightings (version, {columns}, is_there, seen_at) "
             f"VALUES (9, {values}, true, '2026-01-01')"),
            (login, "UPDATE billing.traffic_sightings SET seen_at = '2026-01-01'"),
            (login, "DELETE FROM billing.traffic_sightings"),
        ):  # fmt: skip
            with (
                closing(psycopg2.connect(url)) as connection,
                connection.cursor() as cursor,
                pytest.raises(psycopg2.Error),
            ):
                cursor.execute(statement)
    assert PostgresGroupDecisions(office.url).all() == frozenset()


def test_a_decision_with_another_number_of_events_is_about_another_group(office: Office) -> None:
    miscounted = TrafficDecision(replace(GROUP, event_count=7), TrafficOutcome.CONFIRMED)
    office.decisions.store(miscounted, actor="max", reason="written by hand")
    assert office.decide("--release")[0] == ExitCode.OK
    assert PostgresGroupDecisions(office.url).all() == {RELEASED, miscounted}


def test_the_command_refuses_whom_the_payee_is(office: Office) -> None:
    code, text = office.decide("--release", actor="Ann")
    assert code == ExitCode.REFUSED
    assert "the traffic of payee ann is not for Ann to decide on; someone else must decide" in text
    assert office.decisions.all() == []


def test_a_group_that_changed_meanwhile_is_refused_in_one_sentence_and_nothing_is_stored(office: Office) -> None:
    later = replace(GROUP, event_count=3, set_hash="2e" * 16)
    office.groups = [replace(office.groups[0], group=later)]
    code, text = office.decide("--confirm")
    assert code == ExitCode.REFUSED
    assert f"group {NAME} has other events by now, as {later.name}; look at it with `traffic review`" in text
    for unknown in ("nothing", "2026-11-19/many/ann/1f1f1f1f1f1f"):
        code, text = office.decide("--confirm", group=unknown)
        assert code == ExitCode.BAD_INPUT
        assert f"{unknown!r} is not a group under review; `traffic review` lists them" in text
    both = office.run("decide", "--group", later.name, "--release", "--confirm", "--reason", "x", "--actor", "max")
    assert both[0] == ExitCode.BAD_INPUT
    assert "give one of --release and --confirm" in both[2]
    assert office.decisions.all() == []


def test_two_people_decide_on_a_group_at_once_and_the_first_one_does(office: Office) -> None:
    office.decisions.store(RELEASED, actor="max", reason="seen")
    with pytest.raises(StateError, match=f"group {NAME} was decided meanwhile"):
        office.decisions.store(replace(RELEASED, outcome=TrafficOutcome.CONFIRMED), actor="eve", reason="no")
    assert [each.decision for each in office.decisions.all()] == [RELEASED]


def test_nobody_decides_on_a_payee_of_their_own(office: Office) -> None:
    with pytest.raises(DatabaseRefusedError) as refused:
        office.decisions.store(RELEASED, actor=" ANN", reason="my fans")
    assert refused.value.is_by(DatabaseRule.OWN_TRAFFIC)
    administer(
        office.url,
        "INSERT INTO access.api_keys (key_id, owner, secret_sha256, scopes, payee_id, expires_at) VALUES "
        f"('{'0' * 16}', '{login_of(office.reviewer)}', '{'0' * 64}', '{{read}}', 'ann', now() + interval '1 day')",
    )
    code, text = office.decide("--release")
    assert code == ExitCode.REFUSED
    assert "the traffic of payee ann is not for max to decide on; someone else must decide" in text
    office.decisions.store(replace(RELEASED, group=replace(GROUP, payee_id="bob")), actor="max", reason="seen")
    assert [each.decision.group.payee_id for each in office.decisions.all()] == ["bob"]


def test_only_the_role_of_decisions_writes_one_and_nobody_changes_it(office: Office) -> None:
    office.decisions.store(RELEASED, actor="max", reason="seen")
    other = replace(RELEASED, group=replace(GROUP, payee_id="bob"))
    with role_logins(office.url) as logins:
        for role, url in logins.items():
            if role != "viewledger_reviewer":
                with pytest.raises(RoleRefusedError):
                    PostgresTrafficDecisions(connector(url)).store(other, actor="max", reason="seen")
        for statement in ("DELETE FROM billing.traffic_decisions", "UPDATE billing.traffic_decisions SET reason = 'x'"):
            for url in (logins["viewledger_reviewer"], office.url):
                with pytest.raises(psycopg2.Error):
                    administer(url, statement)
    (kept,) = office.decisions.all()
    assert (kept.decision, kept.reason) == (RELEASED, "seen")
    with closing(psycopg2.connect(office.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM billing.journal WHERE kind = 'traffic_decision'")
        assert cursor.fetchone() == (1,)
        cursor.execute("SELECT login FROM billing.traffic_decisions")
        assert cursor.fetchone() == (login_of(office.reviewer),)


FINDING = """
    INSERT INTO billing.traffic_findings (version, start_on, end_on, rule, invalid_class, payee_id, outcome, points,
        first_on, last_on, event_count, set_hash, evidence)
    VALUES (9, '2026-11-01', '2026-12-01', 'crowd_of_weeks', 'unnatural', 'ann', '{outcome}', 60, '2026-11-02',
        '{last_on}', 7, '1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f', '{{"days": 3, "viewers": 1200}}')"""


def test_only_the_pipeline_adds_what_rules_of_a_period_found_and_nobody_changes_it(office: Office) -> None:
    assert office.document("report")["findings"] == []
    finding = FINDING.format(outcome="review", last_on="2026-11-30")
    with role_logins(office.url) as logins:
        for role, url in logins.items():
            if role != "viewledger_pipeline":
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    administer(url, finding)
        administer(logins["viewledger_pipeline"], finding)
        for wrong in ({"outcome": "review"}, {"outcome": "released"}, {"outcome": "invalid", "last_on": "2026-12-01"}):
            with pytest.raises(psycopg2.IntegrityError):
                administer(logins["viewledger_pipeline"], FINDING.format(**{"last_on": "2026-11-30", **wrong}))
        for statement in ("DELETE FROM billing.traffic_findings", "UPDATE billing.traffic_findings SET points = 1"):
            for url in (logins["viewledger_pipeline"], office.url):
                with pytest.raises(psycopg2.Error):
                    administer(url, statement)
    (found,) = office.document("report")["findings"]
    assert (found["period"], found["payee_id"], found["rule"]) == ("2026-11-01/2026-12-01", "ann", "crowd_of_weeks")
    assert (found["outcome"], found["points_most"], found["event_count"], found["version"]) == ("review", 60, 7, 9)
    assert (found["class"], found["evidence"]) == ("unnatural", {"days": 3, "viewers": 1200})
    text = office.run("report")[1]
    assert "2026-11-01/2026-12-01  ann    crowd_of_weeks  review" in text
    assert "3 days, 1,200 viewers" in text
    with closing(psycopg2.connect(office.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM billing.journal WHERE kind = 'traffic_finding'")
        assert cursor.fetchone() == (1,)
