"""What was billed, read back from the lines of the ledger for the comparison with the version it was billed from."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from billing.books.postgres_billed_views import PostgresBilledViews
from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.postgres_session import connector
from ingestion.contract.settled import BilledVideo
from ingestion.contract.unavailable import UnavailableError
from tests.billing_fakes import OCTOBER, bill, line, run_of
from tests.billing_postgres import own_database

HALF = date(2026, 10, 15)
VERSION = run_of().batch_version


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url) as own:
        yield own


def billed(url: str) -> set[BilledVideo]:
    found = PostgresBilledViews(connector(url)).billed()
    assert len(found) == len(set(found))
    return set(found)


def of(
    video_id: str | None, views: int, start_on: date = OCTOBER.start_on, end_on: date = OCTOBER.end_on
) -> BilledVideo:
    return BilledVideo(VERSION, start_on, end_on, video_id, views, may_be_fewer=False)


def test_nothing_billed_is_nothing_to_compare(url: str) -> None:
    assert billed(url) == set()


def test_views_are_summed_over_headings_and_counted_once_for_all_owners(url: str) -> None:
    shared = replace(line("a", 5), share_ppm=400_000)
    bills = [
        bill("ann", shared, line("b", 2), line("b", 3, country="US")),
        bill("bob", replace(shared, share_ppm=600_000)),
    ]
    post_bills(run_of(), bills, PostgresBooks(connector(url)))
    assert billed(url) == {of("a", 5), of("b", 5), of(None, 10)}


def test_an_owner_of_some_days_is_compared_on_these(url: str) -> None:
    first, second = replace(line("a", 3), owned_to_on=HALF), replace(line("a", 4), owned_from_on=HALF)
    post_bills(run_of(), [bill("ann", first), bill("bob", second)], PostgresBooks(connector(url)))
    assert billed(url) == {of("a", 3, end_on=HALF), of("a", 4, start_on=HALF), of(None, 7)}


def test_of_some_days_only_the_periods_that_hold_one_are_read(url: str) -> None:
    post_bills(run_of(), [bill("ann", line("a", 3))], PostgresBooks(connector(url)))
    views = PostgresBilledViews(connector(url))
    assert set(views.billed((date(2026, 9, 30), HALF))) == {of("a", 3), of(None, 3)}
    assert views.billed((date(2026, 9, 30), OCTOBER.end_on)) == []


def test_owners_who_were_billed_for_different_numbers_are_both_told(url: str) -> None:
    bills = [bill(name, replace(line("a", views), share_ppm=500_000)) for name, views in (("ann", 5), ("bob", 6))]
    post_bills(run_of(), bills, PostgresBooks(connector(url)))
    assert {each for each in billed(url) if each.video_id} == {of("a", 5), of("a", 6)}


def test_a_ledger_that_does_not_answer_is_told_from_an_empty_one() -> None:
    with pytest.raises(UnavailableError):
        PostgresBilledViews(connector("postgresql://nobody@127.0.0.1:9/nothing")).billed()
