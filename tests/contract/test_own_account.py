"""A payee's own account on a real PostgreSQL: shown masked, asked for by the API's login, decided by another."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from billing.books.postgres_states import PostgresStates
from billing.books.states import Move
from billing.errors import StateError
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector, one_transaction
from jobs.wiring.portal_earnings import PayeeEarnings
from jobs.wiring.portal_money import PortalBooks
from serving_layer.portal.ports import RefusedActionError
from tests.payout_office import payable_books
from tests.postgres_people import person, second_person

OLD, NEW, THIRD = "DE89370400440532013000", "NL91ABNA0417164300", "FR7630006000011234567890189"


@pytest.fixture
def url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with payable_books(postgres_url, monkeypatch) as url:
        yield url


@pytest.fixture
def api(url: str) -> Iterator[str]:
    """The login of an API process with the portal."""
    with person(url, "viewledger_api", "viewledger_billing", "viewledger_approver", name="api") as login:
        yield login


def shown(api: str, payee_id: str = "ann") -> list[tuple[str, str]]:
    return [(each.account, each.state) for each in PayeeEarnings(api).account(payee_id).changes]


def paid_to(url: str) -> dict[str, str]:
    """Return payee → the account that a batch of now pays to."""
    payouts = PostgresPayouts(connector(url, "viewledger_billing"))
    made, _ = payouts.create_batch("EUR", datetime.now(UTC).date(), lambda _: 0, "eve")
    batch = payouts.batch(made[0].batch_id)
    assert batch is not None
    return {payee_id: account.iban for payee_id, account in batch.accounts.items()}


def decide(url: str, version: int, state: str, reason: str = "looked at") -> None:
    states = PostgresStates(connector(second_person(url), "viewledger_approver"))
    states.move("bank_account", f"ann:{version}", Move(state, "max", reason))


def test_payouts_go_to_the_old_account_until_a_second_person_approves_the_new_one(url: str, api: str) -> None:
    assert shown(api) == [("DE…3000", "in_force")]
    PortalBooks(api).ask_for_account("ann", "Ann Apple", "nl91 abna 0417 1643 00", None, "issuer ann")
    assert shown(api) == [("NL…4300", "proposed"), ("DE…3000", "in_force")]
    assert paid_to(url)["ann"] == OLD


def test_an_approved_account_replaces_the_one_before(url: str, api: str) -> None:
    PortalBooks(api).ask_for_account("ann", "Ann Apple", NEW, None, "issuer ann")
    decide(url, 2, "in_force")
    assert shown(api) == [("NL…4300", "in_force"), ("DE…3000", "replaced")]
    assert paid_to(url) == {"ann": NEW, "bob": OLD}


def test_a_refused_account_is_shown_with_the_reason_and_another_can_be_asked_for(url: str, api: str) -> None:
    PortalBooks(api).ask_for_account("ann", "Ann Apple", NEW, None, "issuer ann")
    with pytest.raises(RefusedActionError, match=r"A change to NL…4300 waits already; it is decided first\."):
        PortalBooks(api).ask_for_account("ann", "Ann Apple", THIRD, None, "issuer ann")
    decide(url, 2, "refused", "the name is another")
    assert PayeeEarnings(api).account("ann").changes[0].reason == "the name is another"
    PortalBooks(api).ask_for_account("ann", "Ann Apple", THIRD, None, "issuer ann")
    assert shown(api) == [("FR…0189", "proposed"), ("NL…4300", "refused"), ("DE…3000", "in_force")]


def test_the_person_who_asked_does_not_approve_it(url: str, api: str) -> None:
    PortalBooks(api).ask_for_account("ann", "Ann Apple", NEW, None, "issuer ann")
    for login, actor in ((api, "max"), (second_person(url), "issuer ann")):
        with pytest.raises(StateError):
            PostgresStates(connector(login, "viewledger_approver")).move(
                "bank_account", "ann:2", Move("in_force", actor)
            )
    assert shown(api)[0] == ("NL…4300", "proposed")


@pytest.mark.parametrize(
    ("name", "iban", "sentence"),
    [
        ("Ann Apple", OLD[:-1] + "1", "Not an IBAN: its check digits are wrong, so a character is mistyped."),
        ("", NEW, "The holder's name must be 1 to 70 printable characters."),
        ("Ann", OLD, "DE…3000 is the account that is on file."),
        ("李", NEW, "The holder's name cannot be written"),
    ],
)
def test_what_no_bank_takes_is_refused_in_a_sentence_and_stores_nothing(
    api: str, name: str, iban: str, sentence: str
) -> None:
    with pytest.raises(RefusedActionError) as refused:
        PortalBooks(api).ask_for_account("ann", name, iban, None, "issuer ann")
    assert sentence in str(refused.value)
    assert iban not in str(refused.value)
    assert shown(api) == [("DE…3000", "in_force")]


def test_a_change_is_journalled_and_other_payees_see_none_of_it(url: str, api: str) -> None:
    PortalBooks(api).ask_for_account("ann", "Ann Apple", NEW, None, "issuer ann")
    assert shown(api, "bob") == [("DE…3000", "in_force")]
    assert PayeeEarnings(api).account("nobody").changes == []
    connection = connector(url)()
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM billing.journal WHERE (kind, key) = ('bank_account', '2 ann')")
        assert cursor.fetchone() == (1,)
    connection.close()


def test_an_import_of_one_account_leaves_those_of_others(url: str) -> None:
    payouts = PostgresPayouts(connector(url, "viewledger_billing"))
    same = [BankAccount("ann", "Ann", OLD), BankAccount("bob", "Bob", NEW)]
    assert payouts.import_accounts(same, "eve") == 1
    assert payouts.import_accounts(same, "eve") == 0


def test_the_address_alone_is_a_change_that_keeps_the_bic_and_is_shown_masked(url: str, api: str) -> None:
    payouts = PostgresPayouts(connector(url, "viewledger_billing"))
    payouts.import_accounts([BankAccount("ann", "Ann", OLD, "COBADEFFXXX", "ann@old.example")], "eve")
    decide(url, 2, "in_force")
    for email in (None, "ann@old.example"):
        with pytest.raises(RefusedActionError, match="DE…3000 is the account that is on file"):
            PortalBooks(api).ask_for_account("ann", "Ann", OLD, email, "issuer ann")
    with pytest.raises(RefusedActionError, match="Not an e-mail address; allowed: ASCII"):
        PortalBooks(api).ask_for_account("ann", "Ann", OLD, "ann", "issuer ann")
    PortalBooks(api).ask_for_account("ann", "Ann", OLD, "ann@new.example", "issuer ann")
    addresses = [(each.state, each.address) for each in PayeeEarnings(api).account("ann").changes]
    assert addresses == [("proposed", "a…@new.example"), ("in_force", "a…@old.example"), ("replaced", None)]
    decide(url, 3, "in_force")
    with one_transaction(connector(url)) as cursor:
        cursor.execute("SELECT iban, bic, email FROM billing.bank_accounts_in_force WHERE payee_id = 'ann'")
        assert cursor.fetchall() == [(OLD, "COBADEFFXXX", "ann@new.example")]
