"""What an insider with one login of PostgreSQL tries with the rights that the login has; each is refused to it."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.run_posting import post_bills
from billing.books.statements import statement_id_of
from billing.books.states import Move
from billing.payouts.bank_data import BankAccount
from billing.payouts.payouts import item_id_of
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from faults.postgres_database import administer, queries
from ingestion.contract.refusals import is_refusal
from tests.billing_fakes import OCTOBER, bill, line, run_of
from tests.billing_postgres import own_database, put_in_force
from tests.postgres_people import person

DAY = datetime.now(UTC).date() + timedelta(days=3)
BATCH = f"VL-USD-{DAY:%Y%m%d}-1"
ITEM = item_id_of(BATCH, "ann")
ANN, ZOE = (statement_id_of(OCTOBER, payee, 0) for payee in ("ann", "zoe"))
OWED = 2_500_000
"""What ann is owed, in micros."""
STEP = (
    "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) "
    "VALUES ('{}', '{}', {}, '{}', '{}', '{}');"
)
HOLD = (
    "INSERT INTO billing.holds (hold_id, payee_id, currency, amount_micros, expires_at) "
    "VALUES ('h', 'ann', 'USD', 1, {});"
)
MAKE_BATCH = f"""
INSERT INTO billing.payout_batches (batch_id, currency, execution_on, actor)
    VALUES ('{BATCH}', 'USD', '{DAY}', 'eve');
INSERT INTO billing.payout_items (item_id, batch_id, payee_id, account_version, amount_micros)
    VALUES ('{ITEM}', '{BATCH}', 'ann', 1, {OWED});
"""


def posting(kind: str, subject: str, *entries: tuple[str, int], statement: str = "", at: date = DAY) -> str:
    """Return the statements that post a transaction of ann's, as an insider who knows the rules would."""
    key = f"{kind}:{subject}"
    undoes = {"payout_rejected": "payout", "payout_voided": "payout", "reversal": "statement"}.get(kind)
    reverses = f"billing.posting_id('{undoes}:{subject}')" if undoes else "NULL"
    chained = (
        "'{}', (SELECT coalesce(max(payee_sequence), 0) + 1 FROM billing.transactions WHERE payee_id = 'ann'), 0, 0"
    )
    lines = ", ".join(
        f"(billing.posting_id('{key}'), {index}, '{account}', {amount})"
        for index, (account, amount) in enumerate(entries)
    )
    return (
        "INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency, "
        "reverses, entry_count, effective_at, statement_id, payee_sequence, carried_nanomicros_before, "
        f"carried_nanomicros_after) VALUES (billing.posting_id('{key}'), '{key}', 'x', '{kind}', 'ann', 'USD', "
        f"{reverses}, {len(entries)}, '{at}', {chained.format(statement) if statement else 'NULL, NULL, NULL, NULL'});"
        f"INSERT INTO billing.entries VALUES {lines};"
    )


INSTRUCTED = posting("payout", ITEM, ("payable:ann", OWED), ("clearing:payouts", -OWED))


def statement(payee: str, number: int, payable: int, *, run: str, lines: int = 0) -> str:
    """Return the statements that calculate a statement of October."""
    old = f"'{statement_id_of(OCTOBER, payee, number - 1)}'" if number else "NULL"
    return (
        "INSERT INTO billing.statements (statement_id, run_id, payee_id, period_start_on, period_end_on, "
        "restatement_number, supersedes, currency, inputs_hash, carried_nanomicros_before, carried_nanomicros_after, "
        "over_cap_micros, tax_country, tax_micros, payable_micros, billable_views, line_count) "
        f"VALUES ('{statement_id_of(OCTOBER, payee, number)}', '{run}', '{payee}', '{OCTOBER.start_on}', "
        f"'{OCTOBER.end_on}', {number}, {old}, 'USD', 'x', 0, 0, 0, 'ZZ', 0, {payable}, 0, {lines});"
    )


def audit_line(statement_id: str, video_id: str, amount: int, views: int = 1) -> str:
    """Return the statement that adds the first line of a statement: some views at a rate that makes the amount."""
    return (
        "INSERT INTO billing.payment_audit SELECT "
        f"'{statement_id}', 0, '{video_id}', '{OCTOBER.start_on}', '{OCTOBER.end_on}', 1000000, '2020-01-01', '*', "
        f"'views', 0, 0, {views}, {views}, {amount * 1000 // views}, {amount}, 0, 'USD', '{OCTOBER.start_on}', "
        f"'{OCTOBER.end_on}', now(), 3, 1, 1, 1, {views}, 0, repeat('0', 64);"
    )


@dataclass(frozen=True)
class Office:
    """Books in which ann is owed 2.50 and zoe's statement waits: `fin` bills, `max` approves, `web` does both."""

    url: str
    fin: str
    max: str
    web: str
    imp: str
    aud: str
    run: str

    def do(self, login: str, *statements: str) -> None:
        """Run each text as one database transaction of a login."""
        with closing(psycopg2.connect(login)) as connection:
            for text in statements:
                with connection, connection.cursor() as cursor:
                    cursor.execute(text)

    def refused(self, login: str, *statements: str) -> str:
        """Return how the last of some database transactions of a login is refused; those before it may be."""
        for text in statements[:-1]:
            with suppress(psycopg2.Error):
                self.do(login, text)
        with pytest.raises(psycopg2.DatabaseError) as refusal:
            self.do(login, statements[-1])
        assert is_refusal(refusal.value.pgcode) or isinstance(refusal.value, psycopg2.IntegrityError), refusal.value
        return str(refusal.value)


@pytest.fixture
def office(postgres_url: str) -> Iterator[Office]:
    with own_database(postgres_url) as url, ExitStack() as last:

        def login(name: str, *roles: str) -> str:
            return last.enter_context(person(url, *(f"viewledger_{role}" for role in roles), name=name))

        fin, web = login("fin", "billing"), login("web", "billing", "approver", "api", "importer")
        connect = connector(fin, "viewledger_billing")
        run = run_of(approval_limit_micros=3_000_000)
        post_bills(run, [bill("ann", line(views=1000)), bill("zoe", line(views=9000))], PostgresBooks(connect))
        PostgresPayouts(connect).import_accounts([BankAccount("ann", "Ann", "DE89370400440532013000")], "eve")
        put_in_force(url)
        yield Office(
            url, fin, login("max", "approver"), web, login("imp", "importer"), login("aud", "auditor"), run.run_id
        )


def test_a_batch_is_not_approved_before_it_is_made(office: Office) -> None:
    early = STEP.format("payout_batch", BATCH, 0, "open", "made", "a") + STEP.format(
        "payout_batch", BATCH, 1, "made", "approved", "b"
    )
    instructed = STEP.format("payout", ITEM, 0, "open", "instructed", "eve")
    assert "there is no payout_batch" in office.refused(office.web, early, early + MAKE_BATCH + instructed + INSTRUCTED)


@pytest.mark.parametrize("after", ["settled", "rejected"])
def test_a_payment_is_not_answered_before_it_is_instructed(office: Office, after: str) -> None:
    early = STEP.format("payout", ITEM, 0, "open", "instructed", "a") + STEP.format(
        "payout", ITEM, 1, "instructed", after, "b"
    )
    made = STEP.format("payout_batch", BATCH, 0, "open", "made", "eve")
    entries = {
        "settled": [("clearing:payouts", OWED), ("bank", -OWED)],
        "rejected": [("payable:ann", -OWED), ("clearing:payouts", OWED)],
    }[after]
    answered = posting(f"payout_{after}", ITEM, *entries)
    assert "there is no payout" in office.refused(office.fin, early, early + MAKE_BATCH + made + INSTRUCTED + answered)


def test_a_run_does_not_replace_what_is_posted_by_itself(office: Office) -> None:
    new = statement_id_of(OCTOBER, "ann", 1)
    zero = (
        statement("ann", 1, 0, run=office.run)
        + STEP.format("statement", new, 0, "open", "calculated", "run")
        + STEP.format("statement", new, 1, "calculated", "approved", "run")
        + STEP.format("statement", new, 2, "approved", "finalised", "run")
        + STEP.format("statement", ANN, 3, "finalised", "superseded", "run")
        + posting("reversal", ANN, ("expense:creator-revenue", -OWED), ("payable:ann", OWED), statement=ANN,
                  at=OCTOBER.end_on)
        + posting("statement", new, ("expense:creator-revenue", 0), ("payable:ann", 0), statement=new,
                  at=OCTOBER.end_on)
    )  # fmt: skip
    assert "replaces another statement; someone other than eve must approve it" in office.refused(office.fin, zero)


def test_lines_do_not_join_a_statement_that_is_posted(office: Office) -> None:
    """Whether its shares are paid already was checked by then, and would not be checked again."""
    eve = statement_id_of(OCTOBER, "eve", 0)
    paid = f"SELECT video_id FROM billing.payment_audit WHERE statement_id = '{ANN}'"
    ((video,),) = queries(office.url, paid)
    entries = [("expense:creator-revenue", 5), ("payable:ann", -5)]
    posted = posting("statement", eve, *entries, statement=eve, at=OCTOBER.end_on)
    again = (
        statement("eve", 0, 5, run=office.run, lines=1)
        + STEP.format("statement", eve, 0, "open", "calculated", "run")
        + STEP.format("statement", eve, 1, "calculated", "approved", "run")
        + STEP.format("statement", eve, 2, "approved", "finalised", "run")
        + posted.replace("'ann'", "'eve'").replace(":ann", ":eve")
        + "SET CONSTRAINTS billing.transactions_pay_once IMMEDIATE;"
        + audit_line(eve, video, 5)
    )
    assert "already calculated" in office.refused(office.fin, again)


def test_a_batch_is_voided_with_its_payments(office: Office) -> None:
    PostgresPayouts(connector(office.fin, "viewledger_billing")).create_batch("USD", DAY, lambda _: 0, "eve")
    voided = STEP.format("payout_batch", BATCH, 1, "made", "voided", "eve")
    assert "payment" in office.refused(office.fin, voided)


def test_a_hold_is_not_hidden(office: Office) -> None:
    assert "first step" in office.refused(office.fin, HOLD.format("now() + interval '1 day'"))


@pytest.mark.parametrize("until", ["infinity", "200000-01-01"])
def test_a_hold_has_an_end_that_programs_can_read(office: Office, until: str) -> None:
    step = STEP.format("hold", "h", 0, "open", "pending", "eve")
    office.refused(office.fin, HOLD.format(f"'{until}'") + step)


def test_a_hold_that_is_over_takes_nothing_that_was_paid(office: Office) -> None:
    """What it kept back is payable again, and paid; taken back later, it would be owed by ann."""
    connect = connector(office.fin, "viewledger_billing")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    hold = PostgresHolds(connect).place("ann", "USD", OWED, soon, Move("pending", "eve", "x"))
    administer(office.url, f"SELECT pg_sleep_until('{soon + timedelta(milliseconds=50)}')")
    PostgresPayouts(connect).create_batch("USD", DAY, lambda _: 0, "eve")
    entries = posting("hold_voided", hold, ("payable:ann", OWED), ("expense:creator-revenue", -OWED))
    taken = STEP.format("hold", hold, 1, "pending", "voided", "other") + entries.replace(f"'{DAY}'", "now()")
    assert "takes more from payee ann than is still owed" in office.refused(office.fin, taken)


@pytest.mark.parametrize(
    "period", [("2030-01-01", "2030-02-01"), ("2026-11-01", "2126-11-01"), ("4000-01-01 BC", "0002-01-01")]
)
def test_a_run_does_not_take_days_to_come(office: Office, period: tuple[str, str]) -> None:
    office.refused(
        office.fin,
        "INSERT INTO billing.runs (run_id, period_start_on, period_end_on, currency, batch_version, "
        "catalogue_version, contract_version, actor, approval_limit_micros, calculated_at) VALUES "
        f"('r', '{period[0]}', '{period[1]}', 'USD', 3, 1, 1, 'eve', 0, now())",
    )


def test_a_catalogue_has_days_that_programs_can_read(office: Office) -> None:
    office.refused(
        office.imp,
        "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (3, 'x', 'x');"
        "INSERT INTO billing.payees VALUES (3, 'eve', 'Eve'); INSERT INTO billing.videos VALUES (3, 'new');"
        "INSERT INTO billing.owners VALUES (3, 'new', '4000-01-01 BC', '9999-12-31', 'eve', 1000000)",
    )


def test_what_was_in_a_catalogue_before_is_not_new(office: Office) -> None:
    for number, owner in enumerate(["ann", None, "eve"], start=3):
        rows = f"INSERT INTO billing.payees VALUES ({number}, 'ann', 'Ann'), ({number}, 'eve', 'Eve');" + (
            f"INSERT INTO billing.videos VALUES ({number}, 'walk');"
            f"INSERT INTO billing.owners VALUES ({number}, 'walk', '0001-01-01', '9999-12-31', '{owner}', 1000000);"
            if owner
            else ""
        )
        version = "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES "
        office.do(office.imp, f"{version} ({number}, 'x', 'x');{rows}")
        if number < 5:
            put_in_force(office.url)
    waits = queries(office.url, "SELECT subject_id FROM billing.proposals WHERE subject_kind = 'catalogue'")
    assert waits == [("5",)], "walk was ann's, then gone, and is eve's now"


def test_a_statement_is_not_superseded_by_nothing(office: Office) -> None:
    assert "superseded" in office.refused(
        office.fin, STEP.format("statement", ZOE, 2, "in_review", "superseded", "run")
    )


@pytest.mark.parametrize("lock", ["ledger", "journal", "import"])
def test_a_reader_keeps_nobody_from_writing(office: Office, lock: str) -> None:
    version = "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (3, 'x', 'x');"
    place = HOLD.format("now() + interval '1 day'") + STEP.format("hold", "h", 0, "open", "pending", "eve")
    with closing(psycopg2.connect(office.aud)) as reader, reader.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock(hashtext('viewledger.billing.{lock}'))")
        office.do(office.fin, f"SET LOCAL lock_timeout = '2s'; {place}")
        office.do(office.imp, f"SET LOCAL lock_timeout = '2s'; {version}")


def test_no_amount_is_too_large_for_the_totals_of_a_period(office: Office) -> None:
    half = 9 * 10**18
    for payee in ("x", "y"):
        subject = statement_id_of(OCTOBER, payee, 0)
        calculated = STEP.format("statement", subject, 0, "open", "calculated", "run")
        waits = STEP.format("statement", subject, 1, "calculated", "in_review", "run")
        made = statement(payee, 0, half, run=office.run, lines=1) + audit_line(subject, f"of-{payee}", half, 1000)
        office.do(office.fin, made + calculated + waits)
    totals = PostgresBooks(connector(office.fin, "viewledger_billing")).run_totals(run_of())
    assert totals.earned_micros > 2 * half
