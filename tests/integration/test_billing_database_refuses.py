"""The database itself refuses what would break the books, from any program."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from billing.books.postgres_books import PostgresBooks
from billing.books.posting import transaction_id_of
from billing.books.run_posting import post_bills
from billing.books.statements import statement_id_of
from billing.postgres_session import connector
from tests.billing_fakes import OCTOBER, bill, line, run_of
from tests.billing_postgres import own_database

RUN_ID = run_of().run_id
ANN = statement_id_of(OCTOBER, "ann", 0)
BOB = statement_id_of(OCTOBER, "bob", 0)
T2 = transaction_id_of(f"statement:{BOB}")
TABLES = [
    "catalogue_versions", "payees", "videos", "owners", "rate_cards", "runs", "statements", "payment_audit",
    "allowed_transitions", "transitions", "transactions", "entries",
]  # fmt: skip
STATEMENT = (
    "INSERT INTO billing.statements (statement_id, run_id, payee_id, period_start_on, period_end_on, "
    "restatement_number, currency, inputs_hash, carried_nanomicros_before, carried_nanomicros_after, over_cap_micros, "
    "tax_country, tax_micros, payable_micros, billable_views, line_count) VALUES ('{id}', '{run}', 'bob', "
    "'2026-10-01', '2026-11-01', 0, 'USD', 'h', {before}, {after}, {over_cap}, 'ZZ', {tax}, {payable}, 5, {lines});"
)
AUDIT = (
    "INSERT INTO billing.payment_audit (statement_id, line_index, video_id, owned_from_on, owned_to_on, share_ppm, "
    "effective_from_on, country, kind, tier_index, event_start, event_end, quantity, rate_per_thousand_micros, "
    "amount_micros, carried_nanomicros, currency, period_start_on, period_end_on, calculated_at, batch_version, "
    "policy_version, catalogue_version, contract_version, settled_views, provisional_views, evidence_root) "
    "VALUES ('{statement}', {index}, '{video}', '{from_on}', '2026-11-01', {share}, '2020-01-01', '*', 'views', "
    "{index}, 0, {views}, {quantity}, 1000, {amount}, {carried}, 'USD', '2026-10-01', '2026-11-01', now(), 3, 1, 1, 1, "
    "{views}, {provisional}, repeat('0', 64));"
)
TRANSACTION = (
    "INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, kind, payee_id, currency, "
    "entry_count, effective_at, statement_id, payee_sequence, carried_nanomicros_before, carried_nanomicros_after, "
    "remainder_micros) VALUES ('{id}', '{key}', 'h', 'statement', '{payee}', 'USD', {count}, '2026-11-01 00:00:00+00', "
    "'{statement}', {sequence}, {before}, {after}, {remainder});"
)
ENTRY = "INSERT INTO billing.entries VALUES ('{transaction}', {index}, '{account}', {amount});"
STEP = (
    "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) "
    "VALUES ('statement', '{id}', {index}, '{before}', '{after}', '{actor}');"
)


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[Connection]:
    with own_database(postgres_url) as url:
        books = PostgresBooks(connector(url))
        post_bills(run_of(), [bill("ann", line(views=1, rate=1333))], books)
        post_bills(
            run_of(approval_limit_micros=1, batch_version=4),
            [bill("ann", line(views=1, rate=1333)), bill("zoe")],
            books,
        )
        opened = psycopg2.connect(url)
        with opened, opened.cursor() as cursor:
            cursor.execute(
                "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (3, 'x', 'x');"
                "INSERT INTO billing.payees VALUES (3, 'ann', 'Ann', NULL);"
                "INSERT INTO billing.videos VALUES (3, 'v', NULL);"
                "INSERT INTO billing.owners VALUES (3, 'v', '0001-01-01', '9999-12-31', 'ann', 1000000)"
            )
        yield opened
        opened.close()


def refusal(connection: Connection, *statements: str) -> str:
    """Run statements as one database transaction and return why PostgreSQL refused them."""
    try:
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except psycopg2.Error as error:
        return str(error)
    pytest.fail("PostgreSQL accepted it")


def statement(payable: int = 5, **changes: int) -> str:
    plain = {"before": 0, "after": 0, "over_cap": 0, "tax": 0, "lines": 1}
    return STATEMENT.format(id=BOB, run=RUN_ID, payable=payable, **(plain | changes))


def audit(views: int, amount: int, **changes: int | str) -> str:
    plain = {"statement": BOB, "index": 0, "quantity": views, "share": 1_000_000, "carried": 0, "provisional": 0}
    plain |= {"video": "v", "from_on": "2026-10-01"}
    return AUDIT.format(views=views, amount=amount, **(plain | changes))


def header(**changes: int | str) -> str:
    plain: dict[str, int | str] = {
        "key": f"statement:{BOB}", "payee": "bob", "count": 2, "statement": BOB, "sequence": 1, "before": 0, "after": 0,
        "remainder": 0,
    }  # fmt: skip
    row = plain | changes
    return TRANSACTION.format(id=transaction_id_of(str(row["key"])), **row)


def entries(*amounts: int, transaction: str = T2, accounts: str = "expense:creator-revenue payable:bob") -> list[str]:
    names = [*accounts.split(), "payable:bob", "payable:bob"]
    return [
        ENTRY.format(transaction=transaction, index=index, account=names[index], amount=amount)
        for index, amount in enumerate(amounts)
    ]


def step(index: int, before: str, after: str, *, actor: str = "max", of: str = ANN) -> str:
    return STEP.format(id=of, index=index, before=before, after=after, actor=actor)


FIVE = [statement(), audit(5, 5), step(0, "open", "calculated", of=BOB, actor="run")]
"""A statement of 5 micros for bob that adds up."""
DUE = [
    *FIVE,
    step(1, "calculated", "approved", of=BOB, actor="run"),
    step(2, "approved", "finalised", of=BOB, actor="run"),
]
"""The same, approved: its transaction is due."""
NOW = "SET CONSTRAINTS ALL IMMEDIATE"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement", ["UPDATE billing.{} SET {} = {}", "DELETE FROM billing.{}", "TRUNCATE billing.{} CASCADE"]
)
def test_no_row_is_changed_or_removed(connection: Connection, table: str, statement: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'billing' AND table_name = %s",
            (table,),
        )
        column = (cursor.fetchone() or ("",))[0]
    # CASCADE names another table first
    expected = f"billing.{table} is append-only" if "CASCADE" not in statement else "is append-only"
    assert expected in refusal(connection, statement.format(table, column, column))


def test_a_whole_statement_and_transaction_are_accepted(connection: Connection) -> None:
    with connection.cursor() as cursor:
        for each in [*DUE, header(), *entries(5, -5), NOW]:
            cursor.execute(each)
    connection.rollback()


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        ([statement()], "has 0 lines but declares 1"),
        ([statement(lines=2), audit(5, 5)], "has 1 lines but declares 2"),
        ([statement(), audit(5, 4)], "the amount of line 0 does not follow"),
        ([statement(), audit(6, 5)], "the amount of line 0 does not follow"),
        ([statement(), audit(5, 5, share=999_999)], "the amount of line 0 does not follow"),
        ([statement(6, lines=2), audit(3, 3), audit(4, 3, index=1)], "the amount of line 1 does not follow"),
        ([statement(after=1), audit(5, 5)], "its lines carry over 0 nano-micros but it declares 1"),
        ([statement(4), audit(5, 5)], "its lines come to 5 micros but over cap + tax + payable is 4"),
        ([statement(4, tax=1, over_cap=1), audit(5, 5)], "lines come to 5 micros but over cap + tax + payable is 6"),
        ([statement(), audit(5, 5, quantity=4)], "payment_audit_check"),
        ([statement(0), audit(0, 0, share=0)], "share_ppm_check"),
        ([statement(), audit(5, 5, provisional=1)], "provisional_views_check"),
        ([statement(after=1_000_000_000)], "carried_nanomicros_after_check"),
        ([*FIVE, NOW, audit(0, 0, index=1)], "is already calculated; a later one can replace it"),
        ([audit(0, 0, statement=ANN, index=1)], "is already calculated; a later one can replace it"),
    ],
)  # fmt: skip
def test_a_statement_that_does_not_add_up_is_refused(
    connection: Connection, statements: list[str], reason: str
) -> None:
    assert reason in refusal(connection, *statements)


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        ([*DUE, header(), *entries(5, -4)], "does not sum to zero: its entries sum to 1 micros"),
        ([*DUE, header(count=1), *entries(0)], "entry_count_check"),
        ([*DUE, header()], "has 0 entries but declares 2"),
        ([*DUE, header(count=3), *entries(5, -5)], "has 2 entries but declares 3"),
        ([*DUE, header(), *entries(4, -4)], "{4,-4} and should be {expense:creator-revenue,payable:bob} {5,-5}"),
        ([*FIVE, header(), *entries(5, -5)], "nothing causes it: no statement is due under its key"),
        ([*DUE, NOW.replace("ALL", "billing.transitions_are_posted")], f"statement:{BOB} is not posted"),
        ([*DUE, header(remainder=1), *entries(6, -6)], "loses a part of the remainder"),
        ([*DUE, header(after=1), *entries(5, -5)], "loses a part of the remainder"),
        ([*DUE, header(remainder=2), *entries(7, -7)], "remainder_micros_check"),
        ([*DUE, header(before=1, after=1), *entries(5, -5)], "carries in 1 nano-micros but the one before it"),
        ([*DUE, header(payee="ann", sequence=2)], "the one before it carried out 333000000"),
        ([*DUE, header(payee="ann", sequence=3, before=333)], "the one before it carried out none"),
        ([*DUE, header(payee="ann")], "duplicate key"),
        ([header(statement=ANN)], "duplicate key"),
        ([*DUE, header(key="statement:" + ANN)], "duplicate key"),
        ([*FIVE, header(key="k2"), *entries(5, -5, transaction=transaction_id_of("k2"))], "nothing causes it"),
        ([*DUE, header(), *entries(5, -5, accounts="expense:lunch payable:bob")], "account_check"),
        ([*DUE, header(), *entries(5, -5), NOW, entries(0, 0, 0)[2]], "is already posted"),
    ],
)  # fmt: skip
def test_a_transaction_that_does_not_add_up_is_refused(
    connection: Connection, statements: list[str], reason: str
) -> None:
    assert reason in refusal(connection, *statements)


def test_nothing_joins_a_posted_transaction(connection: Connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT transaction_id FROM billing.transactions")
        (posted,) = cursor.fetchone() or ("",)
    added = ENTRY.format(transaction=posted, index=9, account="bank", amount=0)
    assert "is already posted; post a correcting transaction instead" in refusal(connection, added)


ZOE = statement_id_of(OCTOBER, "zoe", 0)


@pytest.mark.parametrize(
    ("taken", "reason"),
    [
        (step(3, "finalised", "voided"), "transitions_subject_kind_from_state_to_state_fkey"),
        (step(3, "approved", "finalised"), "is in state finalised, not approved"),
        (step(0, "open", "calculated"), "duplicate key"),
        (step(5, "finalised", "paid"), "is in state nowhere, not finalised"),
        (step(2, "in_review", "approved", of=ZOE), "was made by the login viewledger; another login must approve it"),
        (step(2, "in_review", "voided", of=ZOE, actor=" "), "actor_check"),
    ],
)  # fmt: skip
def test_a_step_that_is_not_allowed_is_refused(connection: Connection, taken: str, reason: str) -> None:
    assert reason in refusal(connection, taken)


SELECT, INSERT = "SELECT count(*) FROM billing.{}", "INSERT INTO billing.{} DEFAULT VALUES"
DENIED = "permission denied for table"


@pytest.mark.parametrize(
    ("role", "statement", "reason"),
    [
        ("billing", "UPDATE billing.statements SET payee_id = 'x'", DENIED),
        ("billing", "DELETE FROM billing.entries", DENIED),
        ("billing", "TRUNCATE billing.entries", DENIED),
        ("billing", "ALTER TABLE billing.entries DISABLE TRIGGER ALL", "must be owner"),
        ("billing", "DROP TABLE billing.entries", "must be owner"),
        ("billing", INSERT.format("allowed_transitions"), DENIED),
        ("billing", "INSERT INTO published.pointer VALUES (true, 1)", DENIED),
        ("approver", INSERT.format("transactions"), DENIED),
        ("approver", INSERT.format("entries"), DENIED),
        ("approver", INSERT.format("statements"), DENIED),
        ("api", INSERT.format("transitions"), DENIED),
        ("api", INSERT.format("entries"), DENIED),
        ("auditor", INSERT.format("transitions"), DENIED),
        ("auditor", "DELETE FROM billing.notices", DENIED),
    ],
)  # fmt: skip
def test_a_role_may_do_its_own_work_and_nothing_else(
    connection: Connection, role: str, statement: str, reason: str
) -> None:
    assert reason in refusal(connection, f"SET LOCAL ROLE viewledger_{role}", statement)


@pytest.mark.parametrize("role", ["billing", "approver", "auditor", "api"])
def test_every_role_reads_statements_and_the_ledger(connection: Connection, role: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE viewledger_{role}")
        for table in ("statements", "payment_audit", "transitions", "transactions", "entries"):
            cursor.execute(SELECT.format(table))
            assert (cursor.fetchone() or (0,))[0] > 0


def test_nobody_can_log_in_as_the_owner_and_the_owner_has_every_table(connection: Connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'viewledger_owner'")
        assert cursor.fetchone() == (False,)
        cursor.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'billing'")
        assert cursor.fetchall() == [("viewledger_owner",)]


def test_shares_that_do_not_add_up_are_refused(connection: Connection) -> None:
    answer = refusal(
        connection, "INSERT INTO billing.owners VALUES (3, 'v', '2026-01-01', '2026-02-01', 'ann', 999999)"
    )
    assert "the shares of video v do not add up to 1000000 on every day" in answer


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ("payees VALUES (3, 'bob', 'Bob', NULL)", "already imported; import a new one"),
        ("videos VALUES (3, 'w', NULL)", "already imported; import a new one"),
        # every day is somebody's already
        ("owners VALUES (3, 'v', '2026-01-01', '2026-02-01', 'ann', 1000000)", "do not add up to 1000000 on every day"),
    ],
)
def test_nothing_joins_an_imported_catalogue(connection: Connection, row: str, answer: str) -> None:
    assert answer in refusal(connection, f"INSERT INTO billing.{row}")


def test_a_client_cannot_choose_when_it_was_posted_calculated_or_moved(connection: Connection) -> None:
    for statements, column in (
        (
            [statement().replace("line_count)", "line_count, created_at)").replace("1);", "1, '2000-01-01');")],
            f"created_at FROM billing.statements WHERE statement_id = '{BOB}'",
        ),
        (
            [
                *FIVE,
                header()
                .replace("remainder_micros)", "remainder_micros, posted_at)")
                .replace("0);", "0, '2000-01-01');"),
            ],
            f"posted_at FROM billing.transactions WHERE transaction_id = '{T2}'",
        ),
        (
            [
                step(3, "finalised", "paid")
                .replace("actor)", "actor, moved_at)")
                .replace("'max')", "'max', '2000-01-01')")
            ],
            "max(moved_at) FROM billing.transitions",
        ),
    ):
        with connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)
            cursor.execute(f"SELECT now() <= {column}")
            assert cursor.fetchone() == (True,)
        connection.rollback()


def new_run(start: str, end: str, unattributed_views: int) -> str:
    return (
        "INSERT INTO billing.runs (run_id, period_start_on, period_end_on, currency, batch_version, catalogue_version, "
        "contract_version, calculated_at, unattributed_views, actor, approval_limit_micros) "
        f"VALUES ('other', '{start}', '{end}', 'USD', 3, 1, 1, now(), {unattributed_views}, 'eve', 0)"
    )


def test_two_billed_periods_cannot_share_a_day(connection: Connection) -> None:
    assert "shares days with another billed period" in refusal(connection, new_run("2026-10-31", "2026-11-09", 0))


@pytest.mark.parametrize("other", ["'2026-11-02', 0, 'USD'", "'2026-11-01', 0, 'EUR'"])
def test_a_statement_is_of_the_period_and_currency_of_its_run(connection: Connection, other: str) -> None:
    changed = statement().replace("'2026-11-01', 0, 'USD'", other)
    assert "has another period or currency than its run" in refusal(connection, changed)


@pytest.mark.parametrize("from_on", ["2026-09-30", "2016-10-01"])
def test_a_line_is_about_days_of_its_period(connection: Connection, from_on: str) -> None:
    assert "for days outside of its period" in refusal(connection, statement(), audit(5, 5, from_on=from_on))


SHARES = {
    "ann's video whole": (1_000_000, "2026-10-01"),
    "one part of ann's video": (1, "2026-10-01"),
    "ann's video on its last day": (1_000_000, "2026-10-31"),
}


@pytest.mark.parametrize("what", SHARES)
def test_nobody_is_paid_for_views_that_somebody_else_is_paid_for(connection: Connection, what: str) -> None:
    share, from_on = SHARES[what]
    carried = 5 * 1000 * share % 10**9
    amount = 5 * 1000 * share // 10**9
    paid = audit(5, amount, share=share, from_on=from_on, video="video-of-ann", carried=carried)
    whole = [statement(amount, after=carried), paid, *DUE[2:], header(after=carried), *entries(amount, -amount)]
    reason = refusal(connection, *whole)
    answer = (
        f"with it {1_000_000 + share} parts per million of the views of video video-of-ann on {from_on} would be paid"
    )
    assert answer in reason
    assert "post it together with the statement that loses the share" in reason


def test_shares_that_add_up_to_the_whole_are_accepted(connection: Connection) -> None:
    """Half of a new video for two payees, by two transactions in one commit; a third part more is refused."""

    def of(payee: str, share: int) -> list[str]:
        amount, carried = divmod(5 * 1000 * share, 10**9)
        made = [statement(amount, after=carried), audit(5, amount, share=share, carried=carried), *DUE[2:]]
        made += [header(payee=payee, after=carried)]
        made += entries(amount, -amount, accounts=f"expense:creator-revenue payable:{payee}")
        own = statement_id_of(OCTOBER, payee, 0)
        names = {"'bob', '2026": f"'{payee}', '2026", BOB: own, T2: transaction_id_of(f"statement:{own}")}
        for old, new in names.items():
            made = [each.replace(old, new) for each in made]
        return made

    with connection.cursor() as cursor:
        for each in [*of("cid", 500_000), *of("dan", 500_000), NOW]:
            cursor.execute(each)
    connection.rollback()
    beyond = refusal(connection, *of("cid", 500_000), *of("dan", 500_001))
    assert "1000001 parts per million of the views of video v" in beyond


def test_what_is_nobodys_is_posted_on_its_own_account_and_by_its_own_kind(connection: Connection) -> None:
    own = statement_id_of(OCTOBER, "suspense:unattributed", 0)
    lost = [each.replace("'bob'", "'suspense:unattributed'").replace(BOB, own) for each in DUE]
    posted = header(payee="suspense:unattributed", key=f"suspense:{own}", statement=own)
    posted = posted.replace("'statement', 'susp", "'suspense', 'susp")
    accounts = "expense:creator-revenue suspense:unattributed"
    legs = entries(5, -5, transaction=transaction_id_of(f"suspense:{own}"), accounts=accounts)
    with connection.cursor() as cursor:
        for each in [*lost, posted, *legs, NOW]:
            cursor.execute(each)
    connection.rollback()
    as_payee = posted.replace("'suspense', 'susp", "'statement', 'susp")
    assert "transactions_suspense_check" in refusal(connection, *lost, as_payee)
    as_suspense = header().replace("'statement', 'bob'", "'suspense', 'bob'")
    assert "transactions_suspense_check" in refusal(connection, *DUE, as_suspense)


def test_no_payee_can_be_called_like_the_suspense_account(connection: Connection) -> None:
    made = "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (4, 'y', 'y')"
    row = "INSERT INTO billing.payees VALUES (4, 'suspense:unattributed', 'Me', NULL)"
    assert "payees_not_in_suspense" in refusal(connection, made, row)
