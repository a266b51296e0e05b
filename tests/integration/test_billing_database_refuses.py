"""The database itself refuses what would break the books, whatever the program that writes."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from billing.postgres_ledger import PostgresLedger
from billing.postgres_session import connector
from tests.billing_fakes import bill, line, run_of
from tests.billing_postgres import own_database

RUN_ID = run_of().run_id
TABLES = [
    "catalogue_versions", "payees", "videos", "rate_cards", "runs", "transactions", "entries", "payment_audit",
]  # fmt: skip
HEADER = (
    "INSERT INTO billing.transactions (transaction_id, idempotency_key, inputs_hash, run_id, payee_id, payee_sequence, "
    "currency, carried_nanomicros_before, carried_nanomicros_after, effective_at) "
    "VALUES ('t2', 'k2', 'h', '{run}', '{payee}', {sequence}, 'USD', {before}, {after}, now());"
)
ENTRY = "INSERT INTO billing.entries VALUES ('{transaction}', {index}, '{account}', {amount});"
AUDIT = (
    "INSERT INTO billing.payment_audit (transaction_id, line_index, video_id, owned_from_on, owned_to_on, share_ppm, "
    "effective_from_on, country, kind, tier_index, event_start, event_end, quantity, rate_per_thousand_micros, "
    "amount_micros, carried_nanomicros, currency, period_start_on, period_end_on, calculated_at, batch_version, "
    "policy_version, catalogue_version, contract_version, settled_views, provisional_views, evidence_root) "
    "VALUES ('{transaction}', {index}, 'v', '0001-01-01', '9999-12-31', {share}, '2020-01-01', '*', 'views', {index}, "
    "0, {views}, {quantity}, 1000, {amount}, {carried}, 'USD', '2026-10-01', '2026-11-01', now(), 3, 1, 1, 1, {views}, "
    "{provisional}, repeat('0', 64));"
)


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[Connection]:
    with own_database(postgres_url) as url:
        PostgresLedger(connector(url)).post(run_of(), [bill("ann", line(views=1, rate=1333))])
        opened = psycopg2.connect(url)
        with opened, opened.cursor() as cursor:
            cursor.execute(
                "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (3, 'x', 'x');"
                "INSERT INTO billing.payees VALUES (3, 'ann', 'Ann', NULL);"
                "INSERT INTO billing.videos VALUES (3, 'v', 'ann', NULL)"
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


def header(payee: str = "bob", sequence: int = 1, before: int = 0, after: int = 0) -> str:
    return HEADER.format(run=RUN_ID, payee=payee, sequence=sequence, before=before, after=after)


def entries(*amounts: int, transaction: str = "t2") -> list[str]:
    accounts = ["expense:creator-revenue", "payable:bob", "payable:bob"]
    return [
        ENTRY.format(transaction=transaction, index=index, account=accounts[index], amount=amount)
        for index, amount in enumerate(amounts)
    ]


def audit(views: int, amount: int, **changes: int | str) -> str:
    plain = {"transaction": "t2", "index": 0, "quantity": views, "share": 1_000_000, "carried": 0, "provisional": 0}
    return AUDIT.format(views=views, amount=amount, **(plain | changes))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement", ["UPDATE billing.{} SET {} = {}", "DELETE FROM billing.{}", "TRUNCATE billing.{} CASCADE"]
)
def test_no_row_is_changed_or_removed(connection: Connection, table: str, statement: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", (table,))
        column = (cursor.fetchone() or ("",))[0]
    # CASCADE names another table first
    expected = f"billing.{table} is append-only" if "CASCADE" not in statement else "is append-only"
    assert expected in refusal(connection, statement.format(table, column, column))


def test_a_whole_transaction_is_accepted(connection: Connection) -> None:
    with connection.cursor() as cursor:
        for statement in [header(), *entries(5, -5), audit(5, 5), "SET CONSTRAINTS ALL IMMEDIATE"]:
            cursor.execute(statement)
    connection.rollback()


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        ([header(), *entries(5, -4), audit(5, 5)], "does not sum to zero: 1 micros over"),
        ([header(), *entries(0), audit(0, 0)], "has 1 entries; double entry needs at least 2"),
        ([header()], "has 0 entries"),
        ([header(), *entries(5, -5), audit(4, 4)], "pays 4 micros in its lines and 5 in its entries"),
        ([header(), *entries(5, -5), audit(6, 5)], "line 0 does not pay what it is worth"),
        ([header(), *entries(5, -5), audit(5, 5, share=999_999)], "line 0 does not pay what it is worth"),
        ([header(), *entries(6, -6), audit(3, 3), audit(4, 3, index=1)], "line 1 does not pay what it is worth"),
        ([header(after=1), *entries(5, -5), audit(5, 5)], "its lines carry 0 nano-micros on, and it says 1"),
        ([header(before=1), *entries(5, -5), audit(5, 5)], "carries in 1 nano-micros, and 0 were carried out before"),
        ([header("ann", 2, before=0)], "carries in 0 nano-micros, and 333000000 were carried out before it"),
        ([header("ann", 3, before=333)], "and none were carried out before it"),
        ([header(), *entries(5, -5), audit(5, 5, quantity=4)], "payment_audit_check"),
        ([header(), *entries(0, 0), audit(0, 0, share=0)], "share_ppm_check"),
        ([header("ann", 1)], "duplicate key"),
        ([header(after=1_000_000_000)], "carried_nanomicros_after_check"),
        ([header(), *entries(5, -5), audit(5, 5, provisional=1)], "provisional_views_check"),
        ([header(), *entries(5, -5), "SET CONSTRAINTS ALL IMMEDIATE"], "in its lines and 5 in its entries"),
        (
            [header(), *entries(0, 0), audit(0, 0), "SET CONSTRAINTS ALL IMMEDIATE", entries(0, 0, 7)[2]],
            "does not sum to zero",
        ),
    ],
)  # fmt: skip
def test_a_transaction_that_does_not_add_up_is_refused(
    connection: Connection, statements: list[str], reason: str
) -> None:
    assert reason in refusal(connection, *statements)


@pytest.mark.parametrize("late", ["entries", "audit"])
def test_nothing_joins_a_posted_transaction(connection: Connection, late: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT transaction_id FROM billing.transactions")
        (posted,) = cursor.fetchone() or ("",)
    added = ENTRY.format(transaction=posted, index=9, account="x", amount=0)
    statement = added if late == "entries" else audit(0, 0, transaction=posted, index=9)
    assert "is already posted; post a correcting transaction instead" in refusal(connection, statement)


@pytest.mark.parametrize("row", ["payees VALUES (3, 'bob', 'Bob', NULL)", "videos VALUES (3, 'w', 'ann', NULL)"])
def test_nothing_joins_an_imported_catalogue(connection: Connection, row: str) -> None:
    assert "already imported; import a new one" in refusal(connection, f"INSERT INTO billing.{row}")


def test_a_client_cannot_choose_when_or_by_whom_it_was_posted(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            header().replace("effective_at)", "effective_at, posted_at)").replace("now());", "now(), '2000-01-01');")
        )
        cursor.execute("SELECT posted_at = now() FROM billing.transactions WHERE transaction_id = 't2'")
        assert cursor.fetchone() == (True,)
    connection.rollback()


def new_run(start: str, end: str, unattributed_views: int) -> str:
    return (
        "INSERT INTO billing.runs (run_id, period_start_on, period_end_on, batch_version, catalogue_version, "  # noqa: S608
        "contract_version, calculated_at, unattributed_views) "
        f"VALUES ('other', '{start}', '{end}', 3, 1, 1, now(), {unattributed_views})"
    )


def test_two_billed_periods_cannot_share_a_day(connection: Connection) -> None:
    assert "shares days with another billed period" in refusal(connection, new_run("2026-10-31", "2026-11-09", 0))


def test_views_paid_to_nobody_need_a_waiver(connection: Connection) -> None:
    assert "runs_check" in refusal(connection, new_run("2027-10-01", "2027-11-09", 5))
