"""The contract of `billing.ports.CatalogueStore`, on the fake and on a real PostgreSQL."""

from collections.abc import Iterator
from datetime import date

import pytest

from billing.catalogue import Catalogue, Payee, Video
from billing.ports import CatalogueStore
from billing.postgres_catalogue import PostgresCatalogueStore
from billing.postgres_session import connector
from billing.rate_cards import RateCard, RateContract
from tests.billing_fakes import FakeCatalogueStore, contract_of
from tests.billing_postgres import own_database

ONE = Catalogue(
    (Payee("-bob", "Bob\té \\N \\. ,\"'"), Payee("Zoe", "NULL", "viewer_1"), Payee("ann", "Ann")),
    (Video("-v1", "-bob", 12), Video("A", "Zoe"), Video("_v", "ann"), Video("a", "ann")),
)
OTHER = Catalogue((Payee("ann", "Ann renamed"),), (Video("-v1", "ann"),))
CONTRACT = RateContract("EUR", (RateCard(date(2020, 1, 1), 5, {"NO": 7}), RateCard(date(2026, 1, 1), 10**12, {})))


@pytest.fixture(params=["fake", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[CatalogueStore]:
    if request.param == "fake":
        yield FakeCatalogueStore()
    else:
        with own_database(request.getfixturevalue("postgres_url"), with_versions=False) as url:
            yield PostgresCatalogueStore(connector(url))


def test_nothing_is_in_force_before_the_first_import(store: CatalogueStore) -> None:
    assert (store.newest_catalogue(), store.newest_contract()) == (None, None)


def test_a_catalogue_comes_back_as_it_was_imported(store: CatalogueStore) -> None:
    assert store.import_catalogue(ONE, "test") == (1, True)
    assert store.newest_catalogue() == (1, ONE)


def test_the_same_content_again_is_the_same_version(store: CatalogueStore) -> None:
    store.import_catalogue(ONE, "test")
    store.import_contract(CONTRACT)
    assert store.import_catalogue(ONE, "other name") == (1, False)
    assert store.import_contract(CONTRACT) == (1, False)


def test_an_older_content_that_comes_back_is_in_force_again(store: CatalogueStore) -> None:
    for catalogue in (ONE, OTHER, ONE):
        store.import_catalogue(catalogue, "test")
    assert store.newest_catalogue() == (3, ONE)
    assert [store.catalogue(version) for version in range(4)] == [Catalogue((), ()), ONE, OTHER, ONE]
    for contract in (CONTRACT, contract_of(1), CONTRACT):
        store.import_contract(contract)
    assert store.newest_contract() == (3, CONTRACT)
