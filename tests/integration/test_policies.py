"""Policies on a real PostgreSQL: two people, a day that has not begun, and a checkpoint before it."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest

from batch_layer.judging.postgres_policies import counting_policies
from billing.books.postgres_states import PostgresStates
from billing.books.states import Move
from billing.errors import DatabaseRefusedError
from billing.postgres_session import connector
from billing.proof.checkpointing import make_checkpoint
from billing.proof.ed25519_keys import create_key
from billing.proof.postgres_journal import PostgresJournal
from billing.terms.imports import IN_FORCE
from billing.terms.policies import document_hash
from billing.terms.postgres_policies import PostgresPolicies
from billing.terms.postgres_proposals import PostgresProposals
from billing.terms.postgres_stored_terms import problems_of_stored_terms
from faults.postgres_database import administer
from ingestion.contract.policy import COUNTING, CountingPolicy, counting_policy, document_of
from ingestion.contract.refusals import DatabaseRule
from tests.billing_postgres import own_database
from tests.postgres_people import person
from tests.shipped_policies import POLICIES

STRICTER = {**document_of(POLICIES[0]), "minimum_view_seconds": 40, "asks_attestation": True}


def in_days(days: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=days)


@dataclass
class Books:
    """One database, the login that proposes, and the one that approves."""

    url: str
    maker: str
    checker: str
    folder: Path

    @property
    def policies(self) -> PostgresPolicies:
        return PostgresPolicies(connector(self.maker, "viewledger_billing"))

    def approve(self, version: int, *, login: str | None = None, actor: str = "chris") -> None:
        role = "viewledger_approver" if login else None
        states = PostgresStates(connector(login or self.checker, role))
        states.move("policy", f"counting:{version}", Move(IN_FORCE, actor))

    def sign(self, day: date) -> None:
        key = create_key(self.folder / f"{day}.key")
        make_checkpoint(PostgresJournal(connector(self.maker, "viewledger_billing")), key, day=day, today=day)


@pytest.fixture
def books(postgres_url: str, tmp_path: Path) -> Iterator[Books]:
    with (
        own_database(postgres_url) as url,
        person(url, "viewledger_billing", "viewledger_approver") as maker,
        person(url, "viewledger_approver") as checker,
    ):
        yield Books(url, maker, checker, tmp_path)


def refused(rule: DatabaseRule) -> "pytest.RaisesExc[DatabaseRefusedError]":
    return pytest.raises(DatabaseRefusedError, match=rf"\({rule.sqlstate}\)")


def test_the_database_begins_with_the_policy_by_which_views_were_judged(books: Books) -> None:
    assert counting_policies(books.url) == books.policies.counting() == POLICIES
    (first,) = books.policies.all()
    assert (first.kind, first.state, first.content_hash) == (
        COUNTING,
        IN_FORCE,
        document_hash(document_of(POLICIES[0])),
    )


def test_a_policy_rules_from_its_first_day_on_once_another_person_has_approved_it(books: Books) -> None:
    first_on = in_days(3)
    assert books.policies.propose(COUNTING, STRICTER, first_on, actor="max") == (2, True)
    assert books.policies.propose(COUNTING, STRICTER, first_on, actor="max") == (2, False), "the same waits already"
    assert books.policies.counting() == POLICIES, "nothing is in force that nobody approved"
    proposals = PostgresProposals(connector(books.checker))
    (waiting,) = proposals.waiting()
    assert (waiting.proposal_id, waiting.actor) == ("policy:counting:2", "max")
    assert list(proposals.differences(waiting)) == [
        f"counting policy 2 would rule from {first_on} on",
        "asks_attestation was false and is true",
        "minimum_view_seconds was 30 and is 40",
    ]
    assert proposals.imported(["policy:counting:2"]) == [("policy", "counting:2")]
    with refused(DatabaseRule.POLICY_COVERED):
        books.approve(2)
    books.sign(in_days(0))
    with refused(DatabaseRule.ANOTHER_LOGIN):
        books.approve(2, login=books.maker)
    with refused(DatabaseRule.ANOTHER_PERSON):
        books.approve(2, actor="Max")
    books.approve(2)
    expected: tuple[CountingPolicy, ...] = (*POLICIES, counting_policy(2, first_on, STRICTER))
    assert books.policies.counting() == counting_policies(books.url) == expected
    assert proposals.waiting() == []


@pytest.mark.parametrize("days", [-1, 0])
def test_a_policy_for_a_day_that_has_begun_is_refused(books: Books, days: int) -> None:
    with refused(DatabaseRule.POLICY_TO_COME):
        books.policies.propose(COUNTING, STRICTER, in_days(days), actor="max")
    assert len(books.policies.all()) == 1


def test_a_policy_so_far_ahead_that_no_other_could_rule_until_then_is_refused(books: Books) -> None:
    with refused(DatabaseRule.POLICY_READABLE):
        books.policies.propose(COUNTING, STRICTER, in_days(367), actor="max")
    assert books.policies.propose(COUNTING, STRICTER, in_days(366), actor="max") == (2, True)


@pytest.mark.parametrize(
    ("kind", "document", "content_hash", "problem"),
    [
        (COUNTING, STRICTER, document_hash(document_of(POLICIES[0])), "its hash is not that of its values"),
        (COUNTING, STRICTER | {"bonus": 1}, None, "it has the value bonus, which no policy of counting has"),
        ("bonus", {}, None, "nothing has policies of this kind"),
    ],
)
def test_a_policy_that_no_program_reads_so_is_refused(
    books: Books, kind: str, document: dict[str, object], content_hash: str | None, problem: str
) -> None:
    values = (kind, in_days(3), json.dumps(document), content_hash or document_hash(document), kind)
    with closing(psycopg2.connect(books.maker)) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.Error, match=f"cannot be read: {problem}") as found:
            cursor.execute(
                "INSERT INTO billing.policies (kind, policy_version, first_on, document, content_hash, actor) "
                "SELECT %s, count(*) + 1, %s, %s, %s, 'max' FROM billing.policies WHERE kind = %s",
                values,
            )
        assert found.value.pgcode == DatabaseRule.POLICY_READABLE.sqlstate


def test_a_policy_begins_after_the_one_before_it(books: Books) -> None:
    for number, days in ((2, 5), (3, 6)):
        assert books.policies.propose(COUNTING, {**STRICTER, "viewer_window_hours": number}, in_days(days), actor="max")
    books.sign(in_days(0))
    books.approve(3)
    with refused(DatabaseRule.POLICY_TO_COME):
        books.approve(2)
    for days in (5, 6):
        with refused(DatabaseRule.POLICY_TO_COME):
            books.policies.propose(COUNTING, STRICTER, in_days(days), actor="max")
    assert books.policies.propose(COUNTING, STRICTER, in_days(7), actor="max") == (4, True)


def test_a_proposal_whose_day_came_meanwhile_cannot_be_approved(books: Books) -> None:
    books.policies.propose(COUNTING, STRICTER, in_days(2), actor="max")
    books.sign(in_days(0))
    administer(books.url, "ALTER TABLE billing.policies DISABLE TRIGGER USER")
    administer(books.url, f"UPDATE billing.policies SET first_on = '{in_days(0)}' WHERE policy_version = 2")
    administer(books.url, "ALTER TABLE billing.policies ENABLE TRIGGER USER")
    with refused(DatabaseRule.POLICY_TO_COME):
        books.approve(2)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing.policies SET first_on = '2020-01-01'",
        "DELETE FROM billing.policies",
        "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) "
        "VALUES ('policy', 'counting:2', 0, 'open', 'in_force', 'max')",
    ],
)
def test_no_statement_of_sql_changes_a_policy_or_puts_one_in_force_alone(books: Books, change: str) -> None:
    books.policies.propose(COUNTING, STRICTER, in_days(3), actor="max")
    for login in (books.maker, books.checker):
        connection = psycopg2.connect(login)
        try:
            with pytest.raises(psycopg2.Error), connection, connection.cursor() as cursor:
                cursor.execute(change)
        finally:
            connection.close()
    assert books.policies.counting() == POLICIES


@pytest.mark.parametrize(
    "wrong",
    [
        {"minimum_view_seconds": -1},
        {"minimum_view_seconds": "30"},
        {"minimum_view_seconds": 86_401},
        {"minimum_view_seconds": None},
        {"billable_per_viewer_max": 0},
        {"billable_per_viewer_max": 1_001},
        {"viewer_window_hours": 25},
        {"viewer_window_hours": 1.5},
        {"asks_attestation": "no"},
    ],
)
def test_a_policy_that_a_reader_could_not_use_is_refused_by_the_table(books: Books, wrong: dict[str, object]) -> None:
    for document in ({**STRICTER, **wrong}, {name: value for name, value in STRICTER.items() if name not in wrong}):
        with pytest.raises(psycopg2.errors.CheckViolation):
            books.policies.propose(COUNTING, document, in_days(3), actor="max")
    assert len(books.policies.all()) == 1


def test_a_changed_value_is_found_in_the_stored_terms(books: Books) -> None:
    assert list(problems_of_stored_terms(connector(books.maker, "viewledger_billing"))) == []
    administer(books.url, "ALTER TABLE billing.policies DISABLE TRIGGER USER")
    other = json.dumps({**document_of(POLICIES[0]), "billable_per_viewer_max": 400})
    administer(books.url, f"UPDATE billing.policies SET document = '{other}'")
    (problem,) = problems_of_stored_terms(connector(books.maker, "viewledger_billing"))
    assert problem.startswith("the document of counting policy 1 was changed")
