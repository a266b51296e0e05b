"""A payment needs two logins of PostgreSQL, and not two names; each is tried as a login of its own."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import date

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import post_bills
from billing.books.runs import BillingRun
from billing.books.statements import statement_id_of
from billing.books.states import Move
from billing.errors import StateError
from billing.payouts.payouts import BankAccount
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import Connect, connector
from faults.postgres_database import administer, queries
from jobs.cli import main
from jobs.exit_codes import ExitCode
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, in_period, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.postgres_people import login_of, person

BATCH = "VL-USD-20261201-1"
ANN, ZOE = (statement_id_of(OCTOBER, payee, 0) for payee in ("ann", "zoe"))
WAITS = run_of(approval_limit_micros=1)
STEP = (
    "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) "
    "VALUES ('{kind}', '{id}', {index}, '{before}', '{after}', '{actor}')"
)
APPROVE = STEP.format(kind="statement", id=ANN, index=2, before="in_review", after="approved", actor="max")
SET_LIMIT = (
    "INSERT INTO billing.approval_limits (currency, limit_micros, actor, reason) VALUES ('{}', {}, 'max', 'agreed')"
)


@dataclass(frozen=True)
class Office:
    """One database and who works in it: `fin` bills, `max` approves, `web` is the API's process and does both."""

    url: str
    fin: str
    max: str
    web: str

    def billing(self, url: str) -> Connect:
        return connector(url, "viewledger_billing")

    def bill(self, url: str, run: BillingRun = WAITS, *payees: str) -> None:
        bills = [bill(each, line(views=1)) for each in payees or ("ann", "zoe")]
        post_bills(run, bills, PostgresBooks(self.billing(url)))

    def approve(self, url: str, statement_id: str, actor: str) -> None:
        states = PostgresStates(connector(url, "viewledger_approver"))
        states.move("statement", statement_id, Move("approved", actor))

    def make_payout(self, url: str, actor: str) -> None:
        payouts = PostgresPayouts(self.billing(url))
        payouts.import_accounts([BankAccount("ann", "Ann", "DE89370400440532013000")], actor)
        put_in_force(self.url)
        payouts.create_batch("USD", date(2026, 12, 1), lambda _: 0, actor)

    def states(self, kind: str, subject: str) -> list[str]:
        steps = PostgresStatements(connector(self.url)).transitions(kind, subject)
        return [each.to_state for each in steps]


@pytest.fixture
def office(postgres_url: str) -> Iterator[Office]:
    with own_database(postgres_url) as url, ExitStack() as closing_last:

        def login(name: str, *roles: str) -> str:
            return closing_last.enter_context(person(url, *(f"viewledger_{role}" for role in roles), name=name))

        yield Office(url, login("fin", "billing"), login("max", "approver"), login("web", "api", "approver", "billing"))


def refused(url: str, *statements: str) -> str:
    """Run statements as one database transaction of a login and return why PostgreSQL refused them; nothing else."""
    with closing(psycopg2.connect(url)) as connection:
        try:
            with connection, connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        except psycopg2.Error as error:
            return str(error)
    return ""


def test_a_login_that_bills_approves_no_statement_without_a_role_that_it_names(office: Office) -> None:
    office.bill(office.fin)
    for narrowed in ([], ["SET ROLE viewledger_billing"]):
        answer = refused(office.fin, *narrowed, APPROVE)
        assert f"was made by the login {login_of(office.fin)}; another login must approve it" in answer
    with person(office.url, "viewledger_billing") as colleague:
        for narrowed in ([], ["SET ROLE viewledger_billing"]):
            answer = refused(colleague, *narrowed, APPROVE)
            assert "a statement becomes approved only in the role viewledger_approver" in answer
        assert "permission denied to set role" in refused(colleague, "SET ROLE viewledger_approver")
    assert office.states("statement", ANN) == ["calculated", "in_review"]


def test_a_login_that_bills_approves_no_payout_batch_without_a_role_that_it_names(office: Office) -> None:
    post_bills(run_of(), [bill("ann")], PostgresBooks(office.billing(office.fin)))
    office.make_payout(office.fin, "eve")
    step = STEP.format(kind="payout_batch", id=BATCH, index=1, before="made", after="approved", actor="max")
    assert "was made by the login" in refused(office.fin, step)
    with person(office.url, "viewledger_billing") as colleague:
        assert "a payout_batch becomes approved only in the role viewledger_approver" in refused(colleague, step)
    PostgresPayoutSteps(connector(office.max, "viewledger_approver")).approve(BATCH, Move("approved", "max"))
    assert office.states("payout_batch", BATCH) == ["made", "approved"]


def test_one_login_with_both_roles_is_one_pair_of_eyes_whatever_names_it_gives(office: Office) -> None:
    office.bill(office.web, replace(WAITS, actor="ann@example.org"))
    with pytest.raises(StateError, match="was made by the login web_"):
        office.approve(office.web, ANN, "bob@example.org")
    office.approve(office.max, ANN, "bob@example.org")
    assert office.states("statement", ANN)[-1] == "approved"


def test_a_statement_that_somebody_slips_under_the_run_of_another_is_not_approved_by_them(office: Office) -> None:
    office.bill(office.fin, WAITS, "ann")
    post_bills(WAITS, [bill("ann", line(views=1)), bill("zoe")], PostgresBooks(office.billing(office.web)))
    with pytest.raises(StateError, match="was made by the login web_"):
        office.approve(office.web, ZOE, "bob")
    office.approve(office.web, ANN, "bob")
    assert office.states("statement", ANN)[-1] == "approved"


@pytest.mark.parametrize("name", ["eve", " EVE ", "run", "{login}"])
def test_the_maker_does_not_come_back_under_another_login_with_a_name_of_theirs(office: Office, name: str) -> None:
    office.bill(office.fin)
    with pytest.raises(StateError, match="was made by eve; someone else must approve it"):
        office.approve(office.max, ANN, name.format(login=login_of(office.fin)))


def test_a_person_named_by_the_maker_does_not_approve_under_a_login_of_that_name(office: Office) -> None:
    office.bill(office.fin, replace(WAITS, actor=login_of(office.max)))
    with pytest.raises(StateError, match="someone else must approve it"):
        office.approve(office.max, ANN, "somebody else")


def test_a_superuser_is_not_everybody(office: Office, superuser_url: str) -> None:
    office.bill(office.fin)
    superuser = f"{superuser_url}/{office.url.rpartition('/')[2]}"
    answer = refused(superuser, APPROVE)
    assert (
        "a statement becomes approved only in the role viewledger_approver; the login postgres does not have that role"
        in answer
    )


@pytest.mark.parametrize(
    ("who", "kind", "subject", "index", "before", "after"),
    [
        ("max", "statement", ANN, 2, "in_review", "superseded"),
        ("fin", "statement", ANN, 2, "in_review", "approved"),
    ],
)
def test_a_step_is_taken_in_its_role(
    office: Office, who: str, kind: str, subject: str, index: int, before: str, after: str
) -> None:
    office.bill(office.web)
    step = STEP.format(kind=kind, id=subject, index=index, before=before, after=after, actor="zed")
    assert f"a {kind} becomes {after} only in the role" in refused(getattr(office, who), step)


def test_an_approver_voids_no_payout_batch_and_takes_no_step_of_a_missing_subject(office: Office) -> None:
    post_bills(run_of(), [bill("ann", line(views=1000))], PostgresBooks(office.billing(office.fin)))
    office.make_payout(office.fin, "eve")
    voided = STEP.format(kind="payout_batch", id=BATCH, index=1, before="made", after="voided", actor="zed")
    assert "a payout_batch becomes voided only in the role" in refused(office.max, voided)
    for kind, first in (("payout", "instructed"), ("payout_batch", "made")):
        nowhere = STEP.format(kind=kind, id="X", index=0, before="open", after=first, actor="zed")
        assert f"there is no {kind} X" in refused(office.max, nowhere)


def test_the_database_records_who_it_was_despite_the_client(office: Office) -> None:
    office.bill(office.fin, run_of(), "ann")
    steps = "transitions WHERE subject_kind = 'statement'"
    for rows in ("runs", "statements", steps, "transactions"):
        assert queries(office.url, f"SELECT DISTINCT login FROM billing.{rows}") == [(login_of(office.fin),)]
    forged = STEP.replace("actor)", "actor, login)").replace("'{actor}')", "'{actor}', 'max')")
    step = forged.format(kind="late_event", id="0:7", index=0, before="open", after="rejected", actor="eve")
    assert refused(office.fin, step) == ""
    found = queries(office.url, "SELECT login FROM billing.transitions WHERE subject_kind = 'late_event'")
    assert found == [(login_of(office.fin),)]


def test_what_was_made_before_logins_were_stamped_is_kept_apart_by_names(office: Office) -> None:
    office.bill(office.fin)
    administer(office.url, "ALTER TABLE billing.runs DISABLE TRIGGER USER")
    administer(office.url, "ALTER TABLE billing.statements DISABLE TRIGGER USER")
    administer(office.url, "UPDATE billing.runs SET login = NULL")
    administer(office.url, "UPDATE billing.statements SET login = NULL")
    with pytest.raises(StateError, match="was made by eve"):
        office.approve(office.max, ANN, "eve")
    office.approve(office.max, ANN, "max")


def test_who_bills_sets_no_limit_and_who_approves_does(office: Office) -> None:
    assert "permission denied" in refused(office.fin, SET_LIMIT.format("USD", 10**15))
    assert "may bill and so cannot set approval limits" in refused(office.web, SET_LIMIT.format("USD", 10**15))
    assert "permission denied" in refused(office.max, "UPDATE billing.approval_limits SET limit_micros = 1")
    assert refused(office.max, SET_LIMIT.format("USD", 2)) == ""
    assert queries(office.url, "SELECT billing.approval_limit('USD'), billing.approval_limit('EUR')") == [
        (2, 10_000_000_000)
    ]


@pytest.mark.parametrize(("limit_micros", "posted"), [(2499, 0), (2500, 1)])
def test_a_run_goes_by_the_limit_of_the_database_or_a_lower_one_of_its_own(
    office: Office, limit_micros: int, posted: int
) -> None:
    assert refused(office.max, SET_LIMIT.format("USD", limit_micros)) == ""
    books = PostgresBooks(office.billing(office.fin))
    bills = [bill("ann", line(views=1, rate=2_500_000))]
    preview = post_bills(run_of(), bills, books, dry_run=True)
    assert preview.state_counts["in_review"] == 1 - posted
    assert post_bills(run_of(), bills, books).posted_count == posted
    lower = run_of(NOVEMBER, approval_limit_micros=1)
    assert post_bills(lower, [in_period(each, NOVEMBER) for each in bills], books).posted_count == 0
    assert queries(office.url, "SELECT approval_limit_micros FROM billing.runs ORDER BY period_start_on") == [
        (limit_micros,),
        (1,),
    ]


def test_a_run_approves_nothing_that_went_into_review_and_nothing_above_its_limit(office: Office) -> None:
    office.bill(office.fin)
    by_run = STEP.format(kind="statement", id=ANN, index=2, before="in_review", after="approved", actor="run")
    assert "another login must approve it" in refused(office.fin, by_run)
    with person(office.url, "viewledger_billing", "viewledger_approver") as both:
        assert "someone else must approve it" in refused(both, by_run)
    straight = by_run.replace("2, 'in_review'", "1, 'calculated'").replace(ANN, "made-up")
    first = STEP.format(kind="statement", id="made-up", index=0, before="open", after="calculated", actor="run")
    assert "there is no statement made-up" in refused(office.fin, first, straight)


def test_the_command_shows_and_sets_limits_for_who_approves_alone(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["billing", "limits", "set", "EUR=5000,*=1", "--reason", "agreed", "--actor", "max"]
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", office.fin)
    assert main(words) == ExitCode.REFUSED
    assert "this login of PostgreSQL may not act as viewledger_approver; name a login" in capsys.readouterr().err
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", office.web)
    assert main(words) == ExitCode.REFUSED
    assert "may bill and so cannot set approval limits" in capsys.readouterr().err
    monkeypatch.setenv("VIEWLEDGER_APPROVER_POSTGRES_URL", office.max)
    for _ in range(2):
        assert main([*words, "--json"]) == ExitCode.OK
        limits = json.loads(capsys.readouterr().out)["limits"]
        assert [(each["currency"], each["limit_micros"], each["login"]) for each in limits] == [
            ("*", 1_000_000, login_of(office.max)),
            ("EUR", 5_000_000_000, login_of(office.max)),
        ]
    assert queries(office.url, "SELECT count(*) FROM billing.approval_limits") == [(3,)]
    assert main(["billing", "limits", "show"]) == ExitCode.OK
    assert "5,000.000000 EUR" in capsys.readouterr().out
    assert main([*words[:3], "EUR", *words[4:]]) == ExitCode.BAD_INPUT
    assert "LIMITS is 'EUR'; it must be like EUR=5000,*=1000" in capsys.readouterr().err
    assert main(words[:4]) == ExitCode.BAD_INPUT


def test_who_only_approves_leaves_the_posting_to_who_bills(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    office.bill(office.fin)
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", office.max)
    assert main(["billing", "statements", "approve", "--period", "2026-10", "--actor", "max"]) == ExitCode.OK
    assert "2 statements approved, 0 posted; the next billing run posts them" in capsys.readouterr().out
