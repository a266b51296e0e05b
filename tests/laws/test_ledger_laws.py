"""Every transaction follows from a statement, a hold or a payment: another one is refused, and found if it got in."""

import random
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from billing.books import postgres_finalising, postgres_holds
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_statement_rows import copy_transactions
from billing.books.postgres_states import PostgresStates
from billing.books.posting import BANK, CLEARING, EXPENSE, Entry, LedgerTransaction, payable
from billing.books.run_posting import finalise_run, post_bills
from billing.books.states import Move
from billing.errors import StateError
from billing.payouts import postgres_bank_entries, postgres_payout_steps, postgres_payouts
from billing.payouts.account_entries import AccountEntry, AccountReport, EntryPart
from billing.payouts.answers import Acknowledgement, Answer
from billing.payouts.bank_data import BankAccount
from billing.payouts.payouts import PayoutItem
from billing.payouts.postgres_bank_entries import PostgresBankEntries
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.proof.file_bundle import BundledBooks, BundleReader, write_bundle
from billing.proof.postgres_bundle import newest_versions, records_of_period
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from faults.postgres_database import administer
from ingestion.contract.periods import Period
from ingestion.contract.settled import PublishedCount, SettledEvent
from jobs.local_stack.stack import LocalStack, temporary_folder
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, line, run_of
from tests.billing_postgres import in_database, put_in_force
from tests.checkpoint_books import Books, books_of, copied
from tests.verifier import verifier

DECEMBER = Period(date(2026, 12, 1), date(2027, 1, 1))
PAYEES = ("ann", "bob", "cyd")
KINDS = (
    "statement", "reversal", "payout", "payout_settled", "payout_rejected", "payout_returned", "payout_voided",
    "hold_voided", "bank_fee", "bank_unknown",
)  # fmt: skip
EVER = datetime(9999, 1, 1, tzinfo=UTC)
SEEDS = 4


@dataclass(frozen=True)
class Scene:
    """One login, and what it does to the books."""

    url: str
    approver_url: str

    def __post_init__(self) -> None:
        connect = connector(self.url)
        vars(self).update(
            books=PostgresBooks(connect),
            holds=PostgresHolds(connect),
            payouts=PostgresPayouts(connect),
            steps=PostgresPayoutSteps(connect),
            movements=PostgresBankEntries(connect),
            statements=PostgresStatements(connect),
        )

    books: PostgresBooks = None  # type: ignore[assignment]
    holds: PostgresHolds = None  # type: ignore[assignment]
    payouts: PostgresPayouts = None  # type: ignore[assignment]
    steps: PostgresPayoutSteps = None  # type: ignore[assignment]
    movements: PostgresBankEntries = None  # type: ignore[assignment]
    statements: PostgresStatements = None  # type: ignore[assignment]

    def bill(self, period: Period, views: int, *, restatement_number: int = 0, is_finalised: bool = True) -> str:
        """Bill everybody for a period and have it approved; return the run."""
        run = run_of(
            period, restatement_number=restatement_number, batch_version=3 + restatement_number,
            cause="late events" if restatement_number else "", approval_limit_micros=-1,
        )  # fmt: skip
        lines = [line(views=views + 7 * at, rate=1_234_567) for at in range(len(PAYEES))]
        days = {"owned_from_on": period.start_on, "owned_to_on": period.end_on}
        rated = [bill(name, replace(each, **days)) for name, each in zip(PAYEES, lines, strict=True)]
        post_bills(run, rated, self.books)
        for found, _ in self.statements.in_state("in_review"):
            approver = PostgresStates(connector(self.approver_url))
            approver.move("statement", found.statement_id, Move("approved", "max"))
        if is_finalised:
            finalise_run(run.run_id, self.books)
        return run.run_id

    def pay(self, *, is_sent: bool) -> list[PayoutItem]:
        """Instruct everything that is owed; approve it and note that its file is written, if wanted."""
        items, _ = self.payouts.create_batch("USD", datetime.now(UTC).date(), lambda _: 0, "eve")
        if is_sent:
            approver = PostgresPayoutSteps(connector(self.approver_url))
            approver.approve(items[0].batch_id, Move("approved", "max"))
            self.steps.write(items[0].batch_id, "eve")
        return items

    def answer(self, item: PayoutItem, outcome: str) -> None:
        sentence = Acknowledgement(item.item_id, outcome, item.amount_micros, "USD", "", "line 2")
        self.payouts.acknowledge(Answer((sentence,)), "eve")

    def move(self, reference: str, part: EntryPart, *, is_fee: bool = False) -> None:
        """Let the bank book a movement."""
        day = datetime.now(UTC).date()
        booked = AccountEntry("S1", reference, day, "USD", (part,), "line 2", is_fee=is_fee)
        self.movements.book(AccountReport("NO9386011117947", (booked,)), "eve")

    def hold(self, payee_id: str, amount_micros: int) -> str:
        return self.holds.place(payee_id, "USD", amount_micros, EVER, Move("pending", "eve", "odd"))


Operation = Callable[[Scene], object]


@dataclass(frozen=True)
class Due:
    """Books with every kind of transaction, and the means to post one more of each kind."""

    books: Books
    scene: Scene
    operations: dict[str, Operation]

    def count(self) -> Sequence[tuple[object, ...]]:
        return self.books.rows("SELECT count(*), (SELECT count(*) FROM billing.entries) FROM billing.transactions")


def filled(scene: Scene, url: str) -> dict[str, Operation]:
    """Fill books with every kind of transaction; return what is due next, by the kind that it posts."""
    scene.bill(OCTOBER, 4000)
    scene.bill(OCTOBER, 4500, restatement_number=1)
    accounts = [BankAccount(name, name.title(), "DE89370400440532013000") for name in PAYEES]
    scene.payouts.import_accounts(accounts, "eve")
    put_in_force(url)
    voided = scene.hold("ann", 111_111)
    scene.holds.decide(voided, Move("voided", "max", "fraud"), datetime.now(UTC))
    pending = scene.hold("bob", 222_222)
    first, second, third = scene.pay(is_sent=True)
    scene.answer(first, "settled")
    scene.answer(first, "returned")
    scene.answer(second, "rejected")
    scene.move("D3", EntryPart(third.item_id, -third.amount_micros - 70_000, 70_000))
    scene.move("U1", EntryPart("", 1_000_000_000))
    scene.move("F1", EntryPart("", -2_000_000), is_fee=True)
    (one, *_) = scene.pay(is_sent=False)
    scene.steps.void(one.batch_id, Move("voided", "eve", "the wrong day"))
    sent = scene.pay(is_sent=True)
    scene.bill(NOVEMBER, 300)
    made = scene.pay(is_sent=False)
    restatement = scene.bill(NOVEMBER, 350, restatement_number=1, is_finalised=False)
    december = scene.bill(DECEMBER, 90, is_finalised=False)
    scene.bill(Period(date(2026, 9, 1), date(2026, 10, 1)), 700)
    return {
        "statement": lambda scene: finalise_run(december, scene.books),
        "reversal": lambda scene: finalise_run(restatement, scene.books),
        "payout": lambda scene: scene.pay(is_sent=False),
        "payout_settled": lambda scene: scene.answer(sent[0], "settled"),
        "payout_rejected": lambda scene: scene.answer(sent[1], "rejected"),
        "payout_returned": lambda scene: scene.answer(third, "returned"),
        "payout_voided": lambda scene: scene.steps.void(made[0].batch_id, Move("voided", "eve", "the wrong day")),
        "bank_fee": lambda scene: scene.move("F2", EntryPart("", -500_000), is_fee=True),
        "bank_unknown": lambda scene: scene.move("U2", EntryPart("", -3_000_000)),
        "hold_voided": lambda scene: scene.holds.decide(pending, Move("voided", "max", "fraud"), datetime.now(UTC)),
    }


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Due]:
    """Everything is done by logins of their own, each in one role alone."""
    name = secrets.token_hex(4)
    with (
        temporary_folder() as folder,
        LocalStack.start(folder / "stack", servers=("postgres",)) as stack,
        books_of(stack, tmp_path_factory.mktemp("books")) as books,
    ):
        urls = []
        for role in ("billing", "approver"):
            login = f"{role}_{name}"
            administer(books.superuser_url, f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE viewledger_{role}")
            urls.append(in_database(f"postgresql://{login}:x@{books.url.rpartition('@')[2]}", books.url))
        scene = Scene(*urls)
        yield Due(books, scene, filled(scene, books.url))


Mutation = Callable[[LedgerTransaction, random.Random], LedgerTransaction]
ACCOUNTS = (EXPENSE, CLEARING, BANK, "withheld-tax:ZZ", *map(payable, PAYEES), "payable:ann ", "payable:nobody")


def other_amount(posted: LedgerTransaction, chance: random.Random) -> LedgerTransaction:
    more = chance.choice([1, -1, 500_000_000_000])
    first, second, *rest = posted.entries
    changed = (Entry(first.account, first.amount_micros + more), Entry(second.account, second.amount_micros - more))
    return replace(posted, entries=(*changed, *rest))


def other_sign(posted: LedgerTransaction, _: random.Random) -> LedgerTransaction:
    return replace(posted, entries=tuple(Entry(each.account, -each.amount_micros) for each in posted.entries))


def other_account(posted: LedgerTransaction, chance: random.Random) -> LedgerTransaction:
    at = chance.randrange(len(posted.entries))
    account = chance.choice([each for each in ACCOUNTS if each != posted.entries[at].account])
    entries = list(posted.entries)
    entries[at] = Entry(account, entries[at].amount_micros)
    return replace(posted, entries=tuple(entries))


def more_entries(posted: LedgerTransaction, chance: random.Random) -> LedgerTransaction:
    account = chance.choice(ACCOUNTS)
    amount = chance.choice([0, 1, 10**12])
    return replace(posted, entries=(*posted.entries, Entry(account, amount), Entry(EXPENSE, -amount)))


def other_order(posted: LedgerTransaction, _: random.Random) -> LedgerTransaction:
    return replace(posted, entries=posted.entries[::-1])


def other_payee(posted: LedgerTransaction, chance: random.Random) -> LedgerTransaction:
    payee_id = chance.choice([each for each in (*PAYEES, "nobody") if each != posted.payee_id])
    entries = tuple(
        replace(each, account=payable(payee_id) if each.account.startswith("payable:") else each.account)
        for each in posted.entries
    )
    return replace(posted, payee_id=payee_id, entries=chance.choice([entries, posted.entries]))


def other_currency(posted: LedgerTransaction, _: random.Random) -> LedgerTransaction:
    return replace(posted, currency="EUR")


def other_kind(posted: LedgerTransaction, chance: random.Random) -> LedgerTransaction:
    kind = chance.choice([each for each in KINDS if each != posted.kind])
    key = f"{kind}:{posted.idempotency_key.partition(':')[2]}"
    return replace(posted, kind=kind, idempotency_key=chance.choice([key, posted.idempotency_key]))


def other_key(posted: LedgerTransaction, chance: random.Random) -> LedgerTransaction:
    return replace(posted, idempotency_key=f"{posted.kind}:{chance.randbytes(16).hex()}")


def other_time(posted: LedgerTransaction, chance: random.Random) -> LedgerTransaction:
    return replace(posted, effective_at=posted.effective_at + timedelta(days=chance.choice([-2500, -40, 40, 2500])))


def other_reversed(posted: LedgerTransaction, _: random.Random) -> LedgerTransaction:
    return replace(posted, reverses=None if posted.reverses else posted.transaction_id)


MUTATIONS: Sequence[Mutation] = (
    other_amount, other_sign, other_account, more_entries, other_order, other_payee, other_currency, other_kind,
    other_key, other_time, other_reversed,
)  # fmt: skip
WRITERS = (postgres_bank_entries, postgres_holds, postgres_payout_steps, postgres_payouts, postgres_finalising)


def test_books_of_every_kind_of_transaction_have_no_problem(due: Due) -> None:
    kinds = due.books.rows("SELECT DISTINCT kind FROM billing.transactions")
    assert sorted(str(kind) for (kind,) in kinds) == sorted(KINDS)
    assert due.scene.books.problems() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.__name__)
def test_a_login_of_billing_posts_nothing_but_what_is_due(
    due: Due, kind: str, mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product's own steps, with one transaction changed on its way into the database."""
    before = due.count()
    for seed in range(SEEDS):
        chance = random.Random(seed)

        def copied_wrong(cursor: object, posted: Sequence[LedgerTransaction], chance: random.Random = chance) -> None:
            at = chance.choice([at for at, each in enumerate(posted) if each.kind == kind])
            changed = [*posted[:at], mutation(posted[at], chance), *posted[at + 1 :]]
            assert changed != list(posted)
            copy_transactions(cursor, changed)  # type: ignore[arg-type]

        for writer in WRITERS:
            monkeypatch.setattr(writer, "copy_transactions", copied_wrong)
        with pytest.raises((psycopg2.Error, StateError)):
            due.operations[kind](due.scene)
    assert due.count() == before
    assert due.scene.books.problems() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_moves_money_is_refused_without_its_transaction(
    due: Due, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied_less(cursor: object, posted: Sequence[LedgerTransaction]) -> None:
        copy_transactions(cursor, [each for each in posted if each.kind != kind])  # type: ignore[arg-type]

    for writer in WRITERS:
        monkeypatch.setattr(writer, "copy_transactions", copied_less)
    before = due.count()
    with pytest.raises((psycopg2.Error, StateError), match=r"is not posted|in force|carried out"):
        due.operations[kind](due.scene)
    assert due.count() == before


MINTED = (
    "INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency, "
    "entry_count, effective_at) VALUES (left(encode(sha256('hold_voided:{0}'), 'hex'), 32), 'hold_voided:{0}', 'x', "
    "'hold_voided', 'ann', 'USD', 2, now()); INSERT INTO billing.entries SELECT left(encode(sha256('hold_voided:{0}'), "
    "'hex'), 32), * FROM (VALUES (0, 'payable:ann', {1}), (1, 'expense:creator-revenue', -({1}))) AS entries"
)
HOLD = (
    "INSERT INTO billing.holds (hold_id, payee_id, currency, amount_micros, expires_at) VALUES ('x', 'ann', 'USD', "
    "{0}, '9999-01-01'); INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, "
    "to_state, actor) VALUES ('hold', 'x', 0, 'open', 'pending', 'eve'), ('hold', 'x', 1, 'pending', 'voided', 'eve')"
)
BATCH = (
    "INSERT INTO billing.payout_batches (batch_id, currency, execution_on, actor) VALUES ('X', 'USD', {day}, 'eve');"
    "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) VALUES "
    "('payout_batch', 'X', 0, 'open', 'made', 'eve');"
    "INSERT INTO billing.payout_items VALUES (repeat('a', 32), 'X', 'ann', 1, {amount});"
)
PAYOUT = BATCH + (
    "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) VALUES "
    "('payout', repeat('a', 32), 0, 'open', 'instructed', 'eve'); INSERT INTO billing.transactions (transaction_id, "
    "idempotency_key, inputs_hash, kind, payee_id, currency, entry_count, effective_at) VALUES (left(encode(sha256("
    "('payout:' || repeat('a', 32))::bytea), 'hex'), 32), 'payout:' || repeat('a', 32), 'x', 'payout', 'ann', 'USD', "
    "2, current_date::timestamp AT TIME ZONE 'UTC'); INSERT INTO billing.entries SELECT left(encode(sha256(("
    "'payout:' || repeat('a', 32))::bytea), 'hex'), 32), * FROM (VALUES (0, 'payable:ann', {amount}), "
    "(1, 'clearing:payouts', -({amount}))) AS entries"
)
ATTACKS = {
    "a voided hold that is none": (MINTED.format("none", -500_000_000_000), "nothing causes it"),
    "a voided hold the wrong way": (
        f"{HOLD.format(5)}; {MINTED.format('x', -500_000_000_000)}", "and should be {payable:ann,expense:creator",
    ),
    "a hold of more than is owed": (f"{HOLD.format(10**12)}; {MINTED.format('x', 10**12)}", "than payee ann is owed"),
    "a payout of more than is owed": (PAYOUT.format(amount=10**12, day="current_date"), "more than payee ann is owed"),
    "a payment that the ledger does not know": (BATCH.format(amount=1, day="current_date"), "is not posted"),
    "a batch that is dated back": (BATCH.format(amount=1, day="'2020-01-01'"), "cannot be executed on 2020-01-01"),
    "an older view of the books": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; " + PAYOUT.format(amount=1, day="current_date"),
        "in READ COMMITTED database transactions, not in REPEATABLE READ",
    ),
    "serializable": (
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; " + MINTED.format("none", -1), "not in SERIALIZABLE",
    ),
}  # fmt: skip


def commit(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


@pytest.mark.parametrize("what", ATTACKS)
@pytest.mark.parametrize("is_at_once", [False, True], ids=["deferred", "immediate"])
def test_money_is_not_minted_by_a_login_of_billing(due: Due, what: str, is_at_once: bool) -> None:
    statements, reason = ATTACKS[what]
    before = due.count()
    at_end = "SET CONSTRAINTS ALL IMMEDIATE" if is_at_once else "SELECT 1"
    with pytest.raises(psycopg2.Error) as refused:
        commit(due.scene.url, statements, at_end)
    assert reason in str(refused.value)
    assert due.count() == before


def test_what_the_attacks_are_made_of_is_accepted_where_it_is_due(due: Due) -> None:
    """Otherwise they would be refused for a slip of the test."""
    with closing(psycopg2.connect(due.scene.url)) as connection, connection.cursor() as cursor:
        for statements in (f"{HOLD.format(5)}; {MINTED.format('x', 5)}", PAYOUT.format(amount=5, day="current_date")):
            cursor.execute(statements)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            connection.rollback()


SECRET_CHANGES = {
    "amount": "UPDATE billing.entries SET amount_micros = amount_micros + 1 WHERE transaction_id = %(id)s",
    "sign": "UPDATE billing.entries SET amount_micros = -amount_micros WHERE transaction_id = %(id)s AND "
    "EXISTS (SELECT 1 FROM billing.entries WHERE transaction_id = %(id)s AND amount_micros <> 0)",
    "balanced amount": "UPDATE billing.entries SET amount_micros = amount_micros + (1 - 2 * entry_index) "
    "WHERE transaction_id = %(id)s AND entry_index < 2",
    "account": "UPDATE billing.entries SET account = %(account)s WHERE transaction_id = %(id)s AND entry_index = 0 "
    "AND account <> %(account)s",
    "entry less": "DELETE FROM billing.entries WHERE transaction_id = %(id)s AND entry_index = 1",
    "entries less": "DELETE FROM billing.entries WHERE transaction_id = %(id)s",
    "entry more": "INSERT INTO billing.entries VALUES (%(id)s, 9, %(account)s, 0)",
    "kind": "UPDATE billing.transactions SET kind = %(kind)s WHERE transaction_id = %(id)s AND kind <> %(kind)s",
    "payee": "UPDATE billing.transactions SET payee_id = %(payee)s WHERE transaction_id = %(id)s "
    "AND payee_id <> %(payee)s",
    "currency": "UPDATE billing.transactions SET currency = 'EUR' WHERE transaction_id = %(id)s",
    "undone": "UPDATE billing.transactions SET reverses = CASE WHEN reverses IS NULL THEN transaction_id END "
    "WHERE transaction_id = %(id)s",
    "time": "UPDATE billing.transactions SET effective_at = effective_at - interval '40 days' "
    "WHERE transaction_id = %(id)s",
    "key": "UPDATE billing.transactions SET idempotency_key = kind || ':x' WHERE transaction_id = %(id)s",
    "transaction less": "DELETE FROM billing.transactions WHERE transaction_id = %(id)s",
    "remainder": "UPDATE billing.transactions SET remainder_micros = remainder_micros + 1 "
    "WHERE transaction_id = %(id)s",
    "carry": "UPDATE billing.transactions SET carried_nanomicros_after = (carried_nanomicros_after + 1) % 1000000000 "
    "WHERE transaction_id = %(id)s AND payee_sequence IS NOT NULL".replace(" % ", " %% "),
    "chain": "UPDATE billing.transactions SET payee_sequence = payee_sequence + 100 WHERE transaction_id = %(id)s "
    "AND payee_sequence IS NOT NULL",
}


@pytest.fixture
def superuser(due: Due) -> Iterator[Connection]:
    """A connection that no trigger and no foreign key stops; its work is undone."""
    with closing(psycopg2.connect(due.books.superuser_url)) as connection:
        connection.cursor().execute("SET session_replication_role = replica")
        connection.commit()
        yield connection
        connection.rollback()


@pytest.mark.parametrize("what", SECRET_CHANGES)
def test_what_a_superuser_changed_past_the_triggers_is_named(due: Due, superuser: Connection, what: str) -> None:
    """In every transaction of the books, one by one."""
    changed = 0
    rows = due.books.rows("SELECT transaction_id, kind FROM billing.transactions ORDER BY transaction_id")
    for at, (transaction_id, _) in enumerate(rows):
        chance = random.Random(at)
        values = {"account": chance.choice(ACCOUNTS), "kind": chance.choice(KINDS), "payee": chance.choice(PAYEES)}
        with superuser.cursor() as cursor, suppress(psycopg2.IntegrityError):  # some a plain constraint refuses
            cursor.execute(SECRET_CHANGES[what], {"id": transaction_id, **values})
            if cursor.rowcount:
                changed += 1
                cursor.execute("SELECT problem FROM billing.posting_problems")
                assert cursor.fetchall(), f"{what} of {transaction_id}"
        superuser.rollback()
    assert changed


def test_a_payment_of_what_was_not_owed_is_named(due: Due, superuser: Connection) -> None:
    """Somebody removed what a payment was made from, with every trace of it but the payment."""
    with superuser.cursor() as cursor:
        cursor.execute("SELECT statement_id FROM billing.transactions WHERE kind = 'statement' AND payee_id = 'ann'")
        for (statement_id,) in cursor.fetchall():
            cursor.execute("DELETE FROM billing.transitions WHERE subject_id = %s", (statement_id,))
            cursor.execute("DELETE FROM billing.transactions WHERE statement_id = %s", (statement_id,))
        cursor.execute("SELECT problem FROM billing.posting_problems")
        assert any("more than payee ann was owed" in problem for (problem,) in cursor.fetchall())


class NoEvents:
    """Implements `SettledEvents` of books that were billed from nothing."""

    def events(self, _period: Period) -> list[SettledEvent]:
        return []

    def counts(self, _period: Period) -> list[PublishedCount]:
        return []


@pytest.mark.parametrize("period", [OCTOBER, NOVEMBER], ids=str)
def test_the_verifier_finds_the_same_cause_for_every_transaction(due: Due, period: Period, tmp_path: Path) -> None:
    """Rows of PostgreSQL in a bundle: two programs derive what must be in the ledger, and agree."""
    connect, journal = connector(due.books.url), due.books.journal
    due.books.checkpoint()
    versions = newest_versions(connect, period)
    assert versions is not None
    end, _ = journal.close()
    catalogue = PostgresCatalogueStore(connect).catalogue(versions.catalogue_version)
    books = BundledBooks(
        journal.records(1, end), records_of_period(connect, period, BundleReader.PAYEE), (), journal.chain(), catalogue
    )
    folder = tmp_path / "bundle"
    write_bundle(
        folder,
        period=period,
        versions=versions,
        books=books,
        settled=NoEvents(),
        traffic=None,
        made_at=datetime.now(UTC),
    )
    bundle, database = verifier.Bundle(folder), sqlite3.connect(":memory:")
    database.executescript(verifier.SCHEMA)
    checkpoints = verifier.check_chain(bundle.lines("checkpoints.jsonl"), due.books.key.public_key, {})
    found = verifier.check_records(bundle, checkpoints, database)
    ((count, _),) = due.count()
    assert verifier.check_ledger(bundle, found) == count
    assert b"iban" not in (folder / "records.jsonl").read_bytes().lower()


def test_everything_that_is_due_can_be_posted(due: Due) -> None:
    """Last, and on a copy: what the changed ones were made from is accepted, and leaves no problem."""
    with copied(due.books) as books:
        scene = Scene(in_database(due.scene.url, books.url), in_database(due.scene.approver_url, books.url))
        for kind, operation in due.operations.items():
            operation(scene)
            assert scene.books.problems() == [], kind
        ((count,),) = books.rows("SELECT count(*) FROM billing.transactions")
    ((before, _),) = due.count()
    assert count >= before + len(KINDS)
