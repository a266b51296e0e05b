"""A superuser changes the books with every trigger off: every change is found and named."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run, post_bills
from billing.books.states import Move
from billing.errors import CheckpointRefusedError
from billing.payouts.answers import Acknowledgement, Answer
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.proof.checkpointing import change_key, make_checkpoint
from billing.proof.ed25519_keys import create_key
from billing.proof.postgres_journal import NOTED
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from jobs.local_stack.stack import LocalStack
from tests.billing_fakes import CALCULATED_AT, NOVEMBER, OCTOBER, bill, in_period, line, run_of
from tests.billing_postgres import put_in_force
from tests.checkpoint_books import TODAY, Books, books_of, copied
from tests.postgres_people import second_person

FORGED = (
    "UPDATE t SET transaction_id = 'forged', idempotency_key = 'forged', kind = 'payout', statement_id = NULL, "
    "payee_sequence = NULL, carried_nanomicros_before = NULL, carried_nanomicros_after = NULL"
)
YESTERDAY = TODAY - timedelta(days=1)
CATALOGUE_VERSION = 3
PAYEES = tuple(Payee(each, each.title(), "viewer_1", "DE") for each in ("Zoe", "ann", "bob-1", "bob_1"))
CATALOGUE = Catalogue(
    PAYEES,
    tuple(Video(each, 90) for each in ("-v", "B", "_v", "a", "b")),
    tuple(OwnerShare(each, SINCE_EVER, WITHOUT_END, "ann", 1_000_000) for each in ("-v", "B", "_v", "a", "b")),
)
"""Ids whose order depends on the collation of a server."""
CATALOGUE_WITH_EVE = replace(
    CATALOGUE,
    payees=tuple(replace(each, name="Eve") if each.payee_id == "ann" else each for each in PAYEES),
)


@pytest.fixture(scope="module")
def untouched(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    """October and November are billed, with a checkpoint after each; then all that can happen to money happened."""
    with books_of(stack, tmp_path_factory.mktemp("books")) as found:
        ledger = PostgresBooks(connector(found.url))
        catalogues = PostgresCatalogueStore(connector(found.url))
        assert catalogues.import_catalogue(CATALOGUE, "test")[:2] == (CATALOGUE_VERSION, True)
        october = [bill("ann", line("video-a", 333, 1001), line("video-b", 7, 999)), bill("bob")]
        post_bills(run_of(OCTOBER), october, ledger)
        found.checkpoint(YESTERDAY)
        post_bills(run_of(NOVEMBER), [in_period(bill(payee), NOVEMBER) for payee in ("ann", "bob")], ledger)
        money_goes_out(found, ledger)
        found.checkpoint(TODAY)
        yield found


def money_goes_out(books: Books, ledger: PostgresBooks) -> None:
    """October is restated and its payee told, one objects, a part is held, the rest paid out, a late event refused."""
    connect = connector(books.url)
    restated = run_of(OCTOBER, restatement_number=1, cause="late events", batch_version=4)
    post_bills(restated, [bill("ann", line("video-a", 334, 1001)), bill("bob")], ledger)
    statements, states = (
        PostgresStatements(connect),
        PostgresStates(connector(second_person(books.url), "viewledger_approver")),
    )
    for statement, _ in statements.in_state("in_review"):
        states.move("statement", statement.statement_id, Move("approved", "max"))
    finalise_run(restated.run_id, ledger)
    holds, payouts = PostgresHolds(connect), PostgresPayouts(connect)
    holds.place("bob", "USD", 1_000_000, datetime(9999, 1, 1, tzinfo=UTC), Move("pending", "eve", "odd"))
    (statement, _), *_ = statements.of_payee("bob", 1)
    holds.decide_appeal(
        holds.appeal(statement.statement_id, "I had more", "bob").appeal_id, Move("rejected", "max", "no")
    )
    payouts.import_accounts([BankAccount(payee, payee, "DE89370400440532013000") for payee in ("ann", "bob")], "eve")
    put_in_force(books.url)
    items, _ = payouts.create_batch("USD", datetime.now(UTC).date(), lambda _: 0, "eve")
    PostgresPayoutSteps(connector(second_person(books.url), "viewledger_approver")).approve(
        items[0].batch_id, Move("approved", "max")
    )
    PostgresPayoutSteps(connect).write(items[0].batch_id, "eve")
    answer = [Acknowledgement(each.item_id, "settled", each.amount_micros, "USD", "", "line 2") for each in items]
    assert payouts.acknowledge(Answer(tuple(answer)), "eve") == {"settled": 2}
    states.move("late_event", "0:7", Move("rejected", "max", "a clock that went wrong"))


@pytest.fixture
def books(untouched: Books) -> Iterator[Books]:
    """Books that a test may spoil."""
    with copied(untouched) as found:
        yield found


def test_books_that_nobody_touched_are_sound(books: Books) -> None:
    assert books.problems() == []
    first, second = (link.fields for link, _ in books.kept)
    assert (first["position_start"], second["position_start"]) == (1, first["position_end"])
    assert first["record_count"] == len(books.kept[0][1]) > 0


def test_the_journal_knows_every_table_that_the_migrations_attach(books: Books) -> None:
    attached = books.rows(
        "SELECT split_part(encode(tgargs, 'escape'), '\\000', 1) FROM pg_trigger "
        "WHERE tgfoid = 'billing.note_in_journal()'::regprocedure"
    )
    assert sorted(kind for (kind,) in attached) == sorted(noted.kind for noted in NOTED)


CHANGES = {
    "an amount": "UPDATE billing.entries SET amount_micros = amount_micros + sign(amount_micros)",
    "one account": "UPDATE billing.entries SET account = 'payable:bob' WHERE account = 'payable:ann'",
    "the rate of a line": "UPDATE billing.payment_audit SET rate_per_thousand_micros = rate_per_thousand_micros + 1",
    "who approved": "UPDATE billing.transitions SET actor = 'nobody' WHERE to_state = 'approved'",
    "the sum of a statement": "UPDATE billing.statements SET payable_micros = payable_micros + 1",
    "the evidence": "UPDATE billing.payment_audit SET evidence_root = repeat('0', 64) WHERE video_id = 'video-b'",
    "a remainder": "UPDATE billing.transactions SET carried_nanomicros_after = 1 WHERE kind = 'statement'",
    "the versions of a run": "UPDATE billing.runs SET batch_version = 4",
    "a contract": "UPDATE billing.rate_cards SET document = '{\"a\": 0.5}' WHERE contract_version = 1",
    "a version's offsets": "UPDATE published.versions SET offsets = '{\"ends\": [1]}' WHERE version = 3",
    "when it was posted": "UPDATE billing.transactions SET posted_at = posted_at - interval '40 days'",
    "when it was recorded": "UPDATE billing.journal SET recorded_at = recorded_at - interval '1 microsecond'",
    "where a payee is paid": "UPDATE billing.bank_accounts SET iban = 'NO9386011117947' WHERE payee_id = 'bob'",
    "the day of a payout": "UPDATE billing.payout_batches SET execution_on = execution_on + 1",
    "who is paid": "UPDATE billing.payout_items SET payee_id = 'zoe' WHERE payee_id = 'bob'",
    "how much is paid": "UPDATE billing.payout_items SET amount_micros = amount_micros + 1 WHERE payee_id = 'bob'",
    "what the bank said": "UPDATE billing.transitions SET to_state = 'rejected' WHERE subject_kind = 'payout' "
    "AND to_state = 'settled'",
    "who approved a payout": "UPDATE billing.transitions SET actor = 'bob' WHERE subject_kind = "
    "'payout_batch' AND to_state = 'approved'",
    "what is kept back": "UPDATE billing.holds SET amount_micros = 1",
    "until when it is kept back": "UPDATE billing.holds SET expires_at = expires_at - interval '1 day'",
    "who decided on an appeal": "UPDATE billing.transitions SET actor = 'bob' WHERE subject_kind = 'appeal'",
    "what a payee objected to": "UPDATE billing.appeals SET objection = 'never mind'",
    "what a payee was told": "UPDATE billing.notices SET delta_micros = 0",
    "a late event": "UPDATE billing.transitions SET to_state = 'accepted' WHERE subject_kind = 'late_event'",
    "a name in the journal": "UPDATE billing.journal SET key = key || ' ' WHERE position = 3",
}


CATALOGUE_CHANGES = {
    "a name": "UPDATE billing.payees SET name = 'Eve' WHERE payee_id = 'ann'",
    "a payee's own viewer": "UPDATE billing.payees SET user_id = NULL WHERE payee_id = 'ann'",
    "where tax is due": "UPDATE billing.payees SET country = 'US' WHERE payee_id = 'bob_1'",
    "a payee more": f"INSERT INTO billing.payees VALUES ({CATALOGUE_VERSION}, 'eve', 'Eve')",
    "a length": "UPDATE billing.videos SET length_seconds = 9 WHERE video_id = 'a'",
    "a video less": "DELETE FROM billing.videos WHERE video_id = '-v'",
    "an owner": "UPDATE billing.owners SET payee_id = 'Zoe' WHERE video_id = 'B'",
    "a share": "UPDATE billing.owners SET share_ppm = 999999 WHERE video_id = 'B'",
    "a sale": "UPDATE billing.owners SET to_on = '2026-10-20' WHERE video_id = 'B'",
    "no owners": "DELETE FROM billing.owners",
}


@pytest.mark.parametrize("what", CATALOGUE_CHANGES)
def test_an_edit_of_the_catalogue_is_found_by_its_hash(books: Books, what: str) -> None:
    books.tamper(CATALOGUE_CHANGES[what])
    (problem,) = books.problems(kept=False)
    assert problem.startswith(f"a row of the payees, videos or owners of catalogue {CATALOGUE_VERSION} was changed")


def test_an_edit_of_a_title_is_found_by_the_hash_of_the_titles(books: Books) -> None:
    books.tamper("UPDATE billing.videos SET title = 'Eve' WHERE video_id = 'a'")
    (problem,) = books.problems(kept=False)
    assert problem.startswith(f"a title of the videos of catalogue {CATALOGUE_VERSION} was changed")


def test_an_edit_of_the_catalogue_together_with_its_hash_is_found_by_the_checkpoint(books: Books) -> None:
    books.tamper(
        "UPDATE billing.payees SET name = 'Eve' WHERE payee_id = 'ann'",
        f"UPDATE billing.catalogue_versions SET content_hash = '{CATALOGUE_WITH_EVE.content_hash()}' "
        f"WHERE catalogue_version = {CATALOGUE_VERSION}",
    )
    assert any("is not what the checkpoint of" in problem for problem in books.problems(kept=False))
    assert f"catalogue {CATALOGUE_VERSION} at position" in "".join(books.problems())


@pytest.mark.parametrize("what", CHANGES)
def test_an_edit_is_found(books: Books, what: str) -> None:
    books.tamper(CHANGES[what])
    assert books.problems(kept=False), "without anything that was kept outside"
    assert any(problem.endswith("was changed") for problem in books.problems())


def test_the_first_wrong_record_is_named(books: Books) -> None:
    ((transaction_id,),) = books.rows("SELECT transaction_id FROM billing.transactions WHERE payee_id = 'bob' LIMIT 1")
    books.tamper(
        f"UPDATE billing.entries SET amount_micros = 2 * amount_micros WHERE transaction_id = '{transaction_id}'"
    )
    assert f"transaction {transaction_id} at position" in "".join(books.problems())


@pytest.mark.parametrize(
    "table",
    [
        "transactions",
        "entries",
        "payment_audit",
        "statements",
        "transitions",
        "runs",
        "rate_cards",
        "journal",
        "bank_accounts",
        "payout_batches",
        "payout_items",
        "holds",
        "appeals",
        "notices",
    ],
)
def test_a_deletion_is_found(books: Books, table: str) -> None:
    books.tamper(f"DELETE FROM billing.{table}")
    assert books.problems(kept=False)
    assert any("was removed" in problem or "was changed" in problem for problem in books.problems())


def test_a_deletion_together_with_its_place_in_the_journal_is_found(books: Books) -> None:
    books.tamper(
        "DELETE FROM billing.journal WHERE key IN (SELECT transaction_id FROM billing.transactions)",
        "DELETE FROM billing.transactions",
    )
    assert any("records" in problem for problem in books.problems(kept=False))
    assert any("was removed" in problem for problem in books.problems())


def test_records_that_changed_places_are_found(books: Books) -> None:
    books.tamper(
        "CREATE TEMPORARY TABLE t AS SELECT min(position) AS a, max(position) AS b FROM billing.journal "
        "WHERE kind = 'transaction' AND recorded_at < (SELECT min(stored_at) FROM billing.checkpoints)",
        "UPDATE billing.journal j SET key = other.key FROM billing.journal other, t "
        "WHERE j.position IN (a, b) AND other.position = a + b - j.position",
    )
    assert books.problems(kept=False)
    assert any("was changed" in problem for problem in books.problems())


def test_a_row_that_was_slipped_in_is_found(books: Books) -> None:
    books.tamper(
        "CREATE TEMPORARY TABLE t AS SELECT * FROM billing.transactions LIMIT 1",
        FORGED,
        "INSERT INTO billing.transactions SELECT * FROM t",
    )
    expected = "transaction forged is not in the journal: it was not written through the database's rules"
    assert expected in books.problems(kept=False)


def test_a_row_that_was_slipped_in_and_back_dated_is_found(books: Books) -> None:
    books.tamper(
        "CREATE TEMPORARY TABLE t AS SELECT * FROM billing.transactions LIMIT 1",
        FORGED,
        "INSERT INTO billing.transactions SELECT * FROM t",
        "INSERT INTO billing.journal (kind, key, recorded_at) "
        "VALUES ('transaction', 'forged', now() - interval '9 days')",
    )
    assert any("claims to be older than the checkpoint" in problem for problem in books.problems(kept=False))


def test_entries_without_their_transaction_are_found(books: Books) -> None:
    books.tamper("INSERT INTO billing.entries VALUES ('nowhere', 0, 'bank', 1)")
    assert any("entries of transaction nowhere" in problem for problem in books.problems(kept=False))


@pytest.mark.parametrize(
    ("kind", "slipped_in"),
    [
        (
            "bank_account 9 bob",
            "INSERT INTO billing.bank_accounts VALUES ('bob', 9, 'Bob', 'NO9386011117947', NULL, 'x')",
        ),
        ("payout_batch X", "INSERT INTO billing.payout_batches VALUES ('X', 'USD', '2026-12-01', 'x')"),
        ("hold x", "INSERT INTO billing.holds VALUES ('x', 'ann', 'USD', 5, '9999-01-01')"),
        ("appeal x", "INSERT INTO billing.appeals VALUES ('x', 'ann', 'y', 'z')"),
        ("notice 99", "INSERT INTO billing.notices OVERRIDING SYSTEM VALUE VALUES (99, 'ann', 'y', 5)"),
        (
            "transition late_event 1:1 0",
            "INSERT INTO billing.transitions VALUES ('late_event', '1:1', 0, 'open', 'accepted', 'x')",
        ),
        ("items of payout_batch X", f"INSERT INTO billing.payout_items VALUES ('{'0' * 32}', 'X', 'ann', 1, 5)"),
    ],
)
def test_what_was_slipped_in_beside_the_ledger_is_found(books: Books, kind: str, slipped_in: str) -> None:
    books.tamper(slipped_in)
    assert books.problems(kept=False) == [
        f"{kind} is not in the journal: it was not written through the database's rules"
    ]


def test_a_chain_whose_end_was_cut_off_is_found_by_what_was_kept(books: Books) -> None:
    books.tamper("DELETE FROM billing.checkpoints WHERE sequence = 2")
    assert "link 2 was kept outside and is gone from the database" in books.problems()


def test_a_link_that_was_made_unreadable_is_named(books: Books) -> None:
    books.tamper("UPDATE billing.checkpoints SET body = '{}' WHERE sequence = 2")
    with pytest.raises(CheckpointRefusedError, match="link 2 in the database is not a checkpoint of the format"):
        books.problems()


def test_a_chain_remade_with_another_key_is_found_by_the_kept_one(books: Books, tmp_path: Path) -> None:
    kept = books.kept
    books.tamper("DELETE FROM billing.checkpoints", "UPDATE billing.entries SET amount_micros = 2 * amount_micros")
    forger = Books(books.url, books.superuser_url, create_key(tmp_path / "forger.key"))
    forger.checkpoint(YESTERDAY)
    assert forger.problems() == [], "inside the database nothing gives it away"
    forger.kept = kept
    assert "link 1 in the database is not the one that was kept outside" in forger.problems()


def test_a_day_has_one_checkpoint(books: Books) -> None:
    link, is_new = make_checkpoint(books.journal, books.key, day=TODAY, today=TODAY)
    assert (link, is_new) == (books.kept[1][0], False)
    with pytest.raises(CheckpointRefusedError, match="give a later day"):
        make_checkpoint(books.journal, books.key, day=YESTERDAY, today=TODAY)
    with pytest.raises(CheckpointRefusedError, match="has not begun"):
        make_checkpoint(books.journal, books.key, day=date(2026, 11, 26), today=TODAY)


def test_after_a_change_of_the_key_the_old_one_is_refused(books: Books, tmp_path: Path) -> None:
    second = create_key(tmp_path / "second.key")
    change_key(books.journal, books.key, second.public_key, made_at=CALCULATED_AT)
    tomorrow = TODAY + timedelta(days=1)
    with pytest.raises(CheckpointRefusedError, match="key in force"):
        make_checkpoint(books.journal, books.key, day=tomorrow, today=tomorrow)
    link, is_new = make_checkpoint(books.journal, second, day=tomorrow, today=tomorrow)
    assert (link.sequence, is_new, link.fields["record_count"]) == (4, True, 0)
    assert books.problems() == []


def test_a_checkpoint_waits_for_writers(books: Books) -> None:
    """A position that is taken and not committed yet must not be passed over."""
    writer = psycopg2.connect(books.url)
    with ThreadPoolExecutor(1) as pool:
        with writer, writer.cursor() as cursor:
            cursor.execute(
                "INSERT INTO billing.rate_cards (contract_version, content_hash, document) VALUES (3, 'three', '{}')"
            )
            waiting = pool.submit(books.journal.close)
            of_this = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            while not books.rows(f"SELECT 1 FROM pg_locks WHERE mode = 'ShareLock' AND NOT granted AND {of_this}"):
                assert not waiting.done()
        position_end, _ = waiting.result(timeout=60)
    writer.close()
    (last,) = books.journal.records(position_end - 1, position_end)
    assert (last.kind, last.key) == ("contract", "3")
