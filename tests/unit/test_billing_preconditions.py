"""A period is billed as soon as it is closed; remarks on single events or videos stop nothing."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.books.states import Move
from billing.errors import Failure, Precondition, PreconditionsError
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.rating.preconditions import failed_preconditions
from billing.rating.remarks import SHOWN_MAX, unbilled_of
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contract, Contracts
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.settled import UnplacedViews
from ingestion.contract.version import DayRules, PublishedVersion, SeenPeriod, SeenTraffic
from jobs.commands.billing.tables import billed_period_json, billed_period_text
from tests.billing_fakes import (
    CALCULATED_AT,
    OCTOBER,
    Count,
    FakeCatalogueStore,
    FakeSettledViews,
    bill,
    card_of,
    catalogue_of,
    contracts_of,
    in_period,
    published,
    run_of,
)
from tests.books_fakes import FakeBooks, post

DAY = date(2026, 10, 5)
NEEDED = datetime(2026, 11, 2, tzinfo=UTC)
"""End of October and 24 hours."""


def failures(version: PublishedVersion | None = None, unreconciled: Sequence[str] = ()) -> list[Failure]:
    settled = version or published(settled_until=NEEDED)
    return failed_preconditions(OCTOBER, settled, unreconciled, allowed_lateness=timedelta(hours=24))


def test_a_period_settled_to_the_instant_passes() -> None:
    assert failures() == []


def test_one_partition_a_moment_short_keeps_the_period_open() -> None:
    (failure,) = failures(published(settled_until=NEEDED - timedelta(microseconds=1)))
    assert failure.kind is Precondition.SETTLED
    assert str(failure).startswith(
        "settled: version 3 covers 1 of 2 partitions not far enough: partition 0 is settled until"
    )
    assert "2026-11-02T00:00:00+00:00 is needed" in failure.sentence


def test_what_does_not_reconcile_is_named() -> None:
    (failure,) = failures(unreconciled=["file /f of raw_events is gone", "another"])
    assert failure.kind is Precondition.RECONCILED
    assert str(failure).startswith("reconciled: file /f of raw_events is gone (and 1 more); ")
    assert "`./viewledger reconcile`" in failure.sentence


def test_all_failures_are_named_together() -> None:
    found = failures(published(settled_until=datetime(2026, 10, 1, tzinfo=UTC)), ["a file is gone"])
    assert [failure.kind for failure in found] == [Precondition.RECONCILED, Precondition.SETTLED]


SEEN = SeenTraffic(OffsetVector("video-views", (5, 5)), 1, NEEDED)
PASS = SeenPeriod(OCTOBER, OffsetVector("video-views", (5, 5)), 1, 0, "0" * 64)


def test_a_day_whose_traffic_no_rule_has_judged_keeps_its_period_open() -> None:
    rules = {DAY + timedelta(days=number): DayRules(1, 1, 1, SEEN, PASS) for number in range(4)}
    assert failures(published(settled_until=NEEDED, rules=rules)) == []
    rules |= {DAY: DayRules(1, 1, 1), DAY + timedelta(days=2): DayRules(1, 1, 1)}
    (failure,) = failures(published(settled_until=NEEDED, rules=rules))
    assert failure.kind is Precondition.TRAFFIC_JUDGED
    assert str(failure) == (
        "traffic_judged: version 3 has not judged the traffic of 2026-10-05 and 1 more days; run "
        "`./viewledger batch run --judge-period 2026-10-01/2026-11-01`"
    )


def test_a_day_that_the_rules_of_its_period_have_not_judged_keeps_the_period_open() -> None:
    rules = {DAY: DayRules(1, 1, 1, SEEN, PASS), DAY + timedelta(days=1): DayRules(1, 1, 1, SEEN)}
    (failure,) = failures(published(settled_until=NEEDED, rules=rules))
    assert failure.kind is Precondition.TRAFFIC_JUDGED
    assert "has not judged the traffic of 2026-10-06; run `./viewledger batch run --judge-period" in failure.sentence


def test_days_that_no_policy_of_traffic_rules_and_days_of_other_periods_are_not_waited_for() -> None:
    rules = {DAY: DayRules(1, 1), date(2026, 11, 1): DayRules(1, 1, 1), date(2026, 9, 30): DayRules(1, 1, 1)}
    assert failures(published(settled_until=NEEDED, rules=rules)) == []


def billed(books: FakeBooks, views: FakeSettledViews, **changes: object) -> BilledPeriod:
    store = FakeCatalogueStore([catalogue_of(v="ann")], [contracts_of(card_of(2_500_000, US=3_000_000))])
    return billed_by(store, books, views, **changes)


def billed_by(store: FakeCatalogueStore, books: FakeBooks, views: FakeSettledViews, **changes: object) -> BilledPeriod:
    given: dict[str, object] = {
        "allowed_lateness": timedelta(hours=24),
        "calculated_at": CALCULATED_AT,
        "approval_limits_micros": {"*": 10**12},
    } | changes
    return bill_period(BillingOrder(OCTOBER, **given), views=views, catalogues=store, books=books)  # type: ignore[arg-type]


EARLY = published(settled_until=datetime(2026, 10, 20, tzinfo=UTC))
"""A version that does not cover October."""


def test_a_refused_period_posts_nothing() -> None:
    books = FakeBooks()
    views = FakeSettledViews([Count("v", DAY, None, 1, 1)], EARLY, differences=["a file is gone"])
    with pytest.raises(PreconditionsError) as caught:
        billed(books, views)
    assert [failure.kind for failure in caught.value.failures] == [Precondition.RECONCILED, Precondition.SETTLED]
    assert (books.transactions, books.statements) == ([], {})


def test_billing_without_a_catalogue_says_what_to_import() -> None:
    views = FakeSettledViews([], published())
    with pytest.raises(PreconditionsError) as caught:
        billed_by(FakeCatalogueStore(), FakeBooks(), views)
    assert [str(failure).partition(" to bill")[0] for failure in caught.value.failures] == [
        "import: no payees and videos",
        "import: no contracts",
    ]


@pytest.mark.parametrize(
    ("judged_with", "is_reported"),
    [(0, True), (1, True), (2, False), (3, False)],
    ids=["before any catalogue", "other length", "same facts; another video, and a later sale", "newest"],
)
def test_views_judged_by_other_facts_of_the_catalogue_are_named_and_paid_as_they_were_counted(
    judged_with: int, is_reported: bool
) -> None:
    ann = (Payee("ann", "Ann"),)
    sold_on, owned = date(2027, 1, 1), (whole_share("v", "ann"),)
    sold_later = (
        OwnerShare("v", SINCE_EVER, sold_on, "ann", 10**6),
        OwnerShare("v", sold_on, WITHOUT_END, "bob", 10**6),
    )
    versions = [
        Catalogue(ann, (Video("v", 10),), owned),
        Catalogue(ann, (Video("v", 20),), owned),
        Catalogue((*ann, Payee("bob", "Bob", "viewer_bob")), (Video("v", 20), Video("w", 5)), sold_later),
    ]
    store = FakeCatalogueStore(versions, [contracts_of(card_of(1))])
    views = FakeSettledViews([Count("v", DAY, None, 1, 1)], published(rules={DAY: DayRules(1, judged_with)}))
    result = billed_by(store, FakeBooks(), views)
    assert result.summary.posted_count == 1
    answer = "\n".join(result.remarks.sentences())
    assert ("catalogue: 1 video (v) had another length" in answer) == is_reported


def test_a_dry_run_shows_the_amounts_and_posts_nothing() -> None:
    books = FakeBooks()
    result = billed(books, FakeSettledViews([Count("v", DAY, None, 9, 4)], published()), dry_run=True)
    assert (result.summary.earned_micros, books.transactions) == (10_000, [])
    assert "dry run, nothing posted; 1 new statement," in billed_period_text(result)


def test_an_overlap_is_named_with_every_other_reason_and_a_dry_run_shows_the_amounts_beside_it() -> None:
    books = FakeBooks()
    weeks = Period.parse("2026-10-20/2026-11-03")
    post(books, run_of(weeks), [in_period(bill("zoe"), weeks)])
    views = FakeSettledViews([Count("v", DAY, None, 9, 4)], EARLY)
    with pytest.raises(PreconditionsError) as caught:
        billed(books, views)
    assert [failure.kind for failure in caught.value.failures] == [Precondition.OVERLAP, Precondition.SETTLED]
    assert "shares days with the billed period 2026-10-20/2026-11-03" in str(caught.value.failures[0])
    shown = billed(books, views, dry_run=True)
    assert shown.summary.earned_micros == 10_000
    assert "cannot be posted now: overlap: period 2026-10-01/2026-11-01 shares days" in billed_period_text(shown)


def test_a_dry_run_of_what_cannot_be_posted_yet_shows_the_amounts_beside_what_is_missing() -> None:
    books = FakeBooks()
    result = billed(books, FakeSettledViews([Count("v", DAY, None, 9, 4)], EARLY), dry_run=True)
    assert (result.summary.earned_micros, books.statements) == (10_000, {})
    text = billed_period_text(result)
    assert "0.010000 USD" in text
    assert "cannot be posted now: settled: version 3 covers" in text
    assert billed_period_json(result)["failures"][0].startswith("settled: ")


def test_billing_again_changes_nothing_and_says_so_whatever_is_wrong_by_then() -> None:
    books, views = FakeBooks(), FakeSettledViews([Count("v", DAY, "US", 9, 4)], published())
    first = billed(books, views)
    again = billed(books, FakeSettledViews(views.rows, EARLY, {"conflict": 3}, differences=["a file is gone"]))
    assert len(books.transactions) == 1
    assert "1 payee posted" in billed_period_text(first)
    assert "1 payee had been billed before; nothing was changed" in billed_period_text(again)
    document = billed_period_json(again)
    assert (document["posted_count"], document["replayed_count"], document["earned_micros"]) == (0, 1, 12_000)


def test_what_is_new_in_a_billed_period_waits_for_what_is_wrong_with_the_whole() -> None:
    books = FakeBooks()
    store = FakeCatalogueStore([catalogue_of(v="ann", w="bob")], [contracts_of(card_of(2_500_000))])
    first = [Count("v", DAY, None, 9, 4)]
    billed_by(store, books, FakeSettledViews(first, published()))
    later = FakeSettledViews([*first, Count("w", DAY, None, 1, 1)], EARLY)
    with pytest.raises(PreconditionsError, match="settled"):
        billed_by(store, books, later)
    assert len(books.transactions) == 1


def test_an_empty_period_is_billed_with_no_payee() -> None:
    assert billed(FakeBooks(), FakeSettledViews([], published())).summary.posted_count == 0


def test_views_of_ids_that_are_not_videos_are_counted_apart_and_stop_nobody() -> None:
    rows = [Count("v", DAY, None, 9, 4)] + [Count(f"id{index}", DAY, None, 3, 2) for index in range(9)]
    books = FakeBooks()
    result = billed(books, FakeSettledViews(rows, published()))
    assert (result.summary.posted_count, result.run.unknown_views) == (1, 18)
    assert {each.payee_id for each in books.transactions} == {"ann"}
    assert (
        "unknown: 18 billable views of 9 ids that no video of the catalogue has (id0, id1, id2, id3, id4 and 4 more)"
        in (billed_period_text(result))
    )
    document = billed_period_json(result)
    assert (document["unknown_views"], document["unknown_video_count"], document["unrated_views"]) == (18, 9, 0)


def test_a_million_invented_ids_are_held_as_two_numbers_and_a_few_names() -> None:
    found = unbilled_of(UnplacedViews(f"id{index}", None, 2, DAY) for index in range(10**6))
    assert (found.unknown_views, found.unknown_count, len(found.unknown_shown)) == (2 * 10**6, 10**6, SHOWN_MAX)


def test_a_payee_without_a_rate_is_named_and_waits_and_nobody_else_does() -> None:
    named = Contracts("USD", (Contract("of ann", ("ann",), (card_of(2_500_000),)),))
    store = FakeCatalogueStore([catalogue_of(v="ann", w="bob")], [named])
    rows = [Count("v", DAY, None, 9, 4), Count("w", DAY, None, 9, 3)]
    books = FakeBooks()
    result = billed_by(store, books, FakeSettledViews(rows, published()))
    assert {each.payee_id for each in books.transactions} == {"ann"}
    (answer,) = result.remarks.sentences()
    assert answer.startswith("unrated: 3 billable views of 1 payee (bob) have no rate and are not billed yet; import")
    assert "begins on 2026-10-05 or earlier" in answer


@pytest.mark.parametrize("kind", ["late_review", "conflict"])
def test_events_that_are_not_counted_delay_nobody_whatever_is_decided_about_them(kind: str) -> None:
    books, views = FakeBooks(), FakeSettledViews([Count("v", DAY, None, 9, 4)], published(), {kind: 2})
    if kind == "late_review":
        books.move("late_event", "0:0", Move("accepted", "max", "a real view"))
    result = billed(books, views)
    assert result.summary.posted_count == 1
    (answer,) = result.remarks.sentences()
    assert answer.startswith(f"{kind}: 2 events of the period came ")
