"""The contract of `billing.ports.CatalogueStore`, on the fake and on a real PostgreSQL."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

import pytest

from billing.ports import CatalogueStore
from billing.postgres_session import connector
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import AdRate, Rate, RateForm, Tier
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from tests.billing_fakes import FakeCatalogueStore, card_of, contracts_of
from tests.billing_postgres import own_database, put_in_force

ONE = Catalogue(
    (Payee("-bob", "Bob\té \\N \\. ,\"'"), Payee("Zoe", "NULL", "viewer_1"), Payee("ann", "Ann", None, "US")),
    (Video("-v1", 12), Video("A"), Video("_v"), Video("a")),
    (
        OwnerShare("-v1", SINCE_EVER, date(2026, 3, 1), "-bob", 1_000_000),
        OwnerShare("-v1", date(2026, 3, 1), WITHOUT_END, "-bob", 1),
        OwnerShare("-v1", date(2026, 3, 1), WITHOUT_END, "Zoe", 999_999),
        *(whole_share(video_id, payee_id) for video_id, payee_id in [("A", "Zoe"), ("_v", "ann"), ("a", "ann")]),
    ),
)
OTHER = Catalogue((Payee("ann", "Ann renamed"),), (Video("-v1"),), (whole_share("-v1", "ann"),))
TIERED = Rate(RateForm.GRADUATED, (Tier(5, 1), Tier(None, 10**12)))
CARD = replace(card_of(5, NO=TIERED), ads={"pre": AdRate(2, 500_000)}, tax_ppm=3, cap_micros=10**18)
CONTRACT = contracts_of(CARD, card_of(10**12, date(2026, 1, 1)), currency="EUR")


@pytest.fixture(params=["fake", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[CatalogueStore, Callable[[], object]]]:
    if request.param == "fake":
        yield FakeCatalogueStore(), lambda: None
    else:
        with own_database(request.getfixturevalue("postgres_url"), with_versions=False) as url:
            yield PostgresCatalogueStore(connector(url)), lambda: put_in_force(url)


@pytest.fixture
def store(place: tuple[CatalogueStore, Callable[[], object]]) -> CatalogueStore:
    return place[0]


@pytest.fixture
def approve(place: tuple[CatalogueStore, Callable[[], object]]) -> Callable[[], object]:
    """A second person approves all that waits."""
    return place[1]


def test_nothing_is_in_force_before_the_first_import(store: CatalogueStore) -> None:
    assert (store.newest_catalogue(), store.newest_contracts()) == (None, None)


def test_a_catalogue_comes_back_as_it_was_imported(store: CatalogueStore) -> None:
    assert store.import_catalogue(ONE, "test")[:2] == (1, True)
    assert store.newest_catalogue() == (1, ONE)


def test_the_same_content_again_is_the_same_version(store: CatalogueStore) -> None:
    store.import_catalogue(ONE, "test")
    store.import_contracts(CONTRACT)
    assert store.import_catalogue(ONE, "other name")[:2] == (1, False)
    assert store.import_contracts(CONTRACT)[:2] == (1, False)


def test_an_older_content_that_comes_back_is_in_force_again(
    store: CatalogueStore, approve: Callable[[], object]
) -> None:
    for catalogue in (ONE, OTHER, ONE):
        store.import_catalogue(catalogue, "test")
        approve()
    assert store.newest_catalogue() == (3, ONE)
    assert [store.catalogue(version) for version in range(4)] == [Catalogue((), (), ()), ONE, OTHER, ONE]
    for contract in (CONTRACT, contracts_of(card_of(1)), CONTRACT):
        store.import_contracts(contract)
        approve()
    assert store.newest_contracts() == (3, CONTRACT)
    assert store.contracts(2) == contracts_of(card_of(1))
