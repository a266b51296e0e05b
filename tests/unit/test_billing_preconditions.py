"""A period is billed only when it is closed, and every reason against it is named with its remedy."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.books.states import Move
from billing.errors import PreconditionsError
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.rating.preconditions import Findings, Waivable, failed_preconditions
from billing.tables import billed_period_json, billed_period_text
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from ingestion.contract.version import DayRules
from tests.billing_fakes import (
    CALCULATED_AT,
    OCTOBER,
    Count,
    FakeCatalogueStore,
    FakeSettledViews,
    Unplaced,
    card_of,
    catalogue_of,
    contracts_of,
    published,
)
from tests.books_fakes import FakeBooks

DAY = date(2026, 10, 5)
NEEDED = datetime(2026, 11, 2, tzinfo=UTC)
"""End of October and 24 hours."""


def failures(waived: Mapping[str, str] | None = None, **changes: object) -> list[str]:
    found: dict[str, object] = {
        "version": published(settled_until=NEEDED),
        "catalogue_version": 1,
        "review_items": {},
        "unplaced": (),
        "recatalogued": (),
    } | changes
    findings = Findings(**found)  # type: ignore[arg-type]
    return failed_preconditions(OCTOBER, findings, allowed_lateness=timedelta(hours=24), waived=waived or {})


def test_a_period_settled_to_the_instant_passes() -> None:
    assert failures() == []


def test_one_partition_a_moment_short_keeps_the_period_open() -> None:
    (failure,) = failures(version=published(settled_until=NEEDED - timedelta(microseconds=1)))
    assert failure.startswith(
        "settled: version 3 covers 1 of 2 partitions not far enough: partition 0 is settled until"
    )
    assert "2026-11-02T00:00:00+00:00 is needed" in failure


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("conflict", {"review_items": {"conflict": 1}}),
        ("late_review", {"review_items": {"late_review": 7}}),
        ("unattributed", {"unplaced": [Unplaced("orphan", None, 5, DAY)]}),
        ("catalogue", {"recatalogued": {"v"}}),
    ],
)
def test_what_is_open_is_named_and_can_be_waived_by_name(kind: str, changes: dict[str, object]) -> None:
    (failure,) = failures(**changes)
    assert failure.startswith(f"{kind}: ")
    assert f"--waive {kind} --actor NAME" in failure
    assert failures({kind: "ann"}, **changes) == []
    others = {other.value: "ann" for other in Waivable if other != kind}
    assert failures(others, **changes) == [failure]


def test_what_does_not_reconcile_is_named_and_cannot_be_waived() -> None:
    everything = {kind.value: "ann" for kind in Waivable}
    (failure,) = failures(everything, unreconciled=["file /f of raw_events is gone", "another"])
    assert failure.startswith("reconciled: file /f of raw_events is gone (and 1 more); ")
    assert "`./viewledger reconcile`" in failure


def test_a_missing_rate_and_an_unsettled_period_cannot_be_waived() -> None:
    everything = {kind.value: "ann" for kind in Waivable}
    early = published(settled_until=datetime(2026, 10, 1, tzinfo=UTC))
    found = failures(everything, unplaced=[Unplaced("v", "ann", 3, DAY)], version=early)
    assert [failure.partition(":")[0] for failure in found] == ["settled", "rate"]
    assert found[1] == (
        "rate: 3 billable views of 1 payee (ann) in period 2026-10-01/2026-11-01 have no rate; import contracts that "
        "are for it, with a card that begins on 2026-10-05 or earlier"
    )


def test_all_failures_are_named_together() -> None:
    orphans = [Unplaced(f"v{i}", None, 2, DAY) for i in range(9)]
    found = failures(review_items={"conflict": 1, "late_review": 1}, unplaced=orphans)
    assert [failure.partition(":")[0] for failure in found] == ["conflict", "late_review", "unattributed"]
    assert "18 billable views of 9 videos without a payee (v0, v1, v2, v3, v4 and 4 more)" in found[2]


def billed(books: FakeBooks, views: FakeSettledViews, **changes: object) -> BilledPeriod:
    store = FakeCatalogueStore([catalogue_of(v="ann")], [contracts_of(card_of(2_500_000, US=3_000_000))])
    given: dict[str, object] = {
        "waived": {},
        "allowed_lateness": timedelta(hours=24),
        "calculated_at": CALCULATED_AT,
        "approval_limits_micros": {"*": 10**12},
    } | changes
    return bill_period(BillingOrder(OCTOBER, **given), views=views, catalogues=store, books=books)  # type: ignore[arg-type]


def test_a_refused_period_posts_nothing() -> None:
    books = FakeBooks()
    counts = [Count("v", DAY, None, 1, 1)]
    views = FakeSettledViews(counts, published(), {"conflict": 2}, differences=["a file is gone"])
    with pytest.raises(PreconditionsError) as caught:
        billed(books, views)
    assert [failure.partition(";")[0] for failure in caught.value.failures] == [
        "reconciled: a file is gone",
        "conflict: 2 events of period 2026-10-01/2026-11-01 wait for review",
    ]
    assert books.transactions == []


def test_billing_without_a_catalogue_says_what_to_import() -> None:
    views = FakeSettledViews([], published())
    order = BillingOrder(OCTOBER, {}, timedelta(), CALCULATED_AT, approval_limits_micros={"USD": 1})
    with pytest.raises(PreconditionsError) as caught:
        bill_period(order, views=views, catalogues=FakeCatalogueStore(), books=FakeBooks())
    assert [failure.partition(" to bill")[0] for failure in caught.value.failures] == [
        "import: no payees and videos",
        "import: no contracts",
    ]


@pytest.mark.parametrize(
    ("judged_with", "is_open"),
    [(0, True), (1, True), (2, False), (3, False)],
    ids=["before any catalogue", "other length", "same facts; another video, and a later sale", "newest"],
)
def test_views_judged_by_other_facts_of_the_catalogue_are_named(judged_with: int, is_open: bool) -> None:
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
    order = BillingOrder(OCTOBER, {}, timedelta(), CALCULATED_AT, approval_limits_micros={"USD": 1})
    if is_open:
        with pytest.raises(PreconditionsError, match=r"catalogue: 1 video \(v\) had another length"):
            bill_period(order, views=views, catalogues=store, books=FakeBooks())
    else:
        assert bill_period(order, views=views, catalogues=store, books=FakeBooks()).summary.posted_count == 1


def test_a_dry_run_shows_the_amounts_and_posts_nothing() -> None:
    books = FakeBooks()
    result = billed(books, FakeSettledViews([Count("v", DAY, None, 9, 4)], published()), dry_run=True)
    assert (result.summary.earned_micros, books.transactions) == (10_000, [])
    assert "dry run, nothing posted; 1 new statements" in billed_period_text(result)


def test_waived_views_without_a_payee_stay_visible_in_the_result() -> None:
    views = FakeSettledViews([Count("v", DAY, None, 9, 4), Count("orphan", DAY, None, 9, 5)], published())
    result = billed(FakeBooks(), views, waived={"unattributed": "ann"})
    assert result.run.unattributed_views == 5
    text = billed_period_text(result)
    assert "unattributed, paid to nobody: 5 billable views of orphan" in text
    assert "waived: unattributed by ann" in text


def test_billing_again_changes_nothing_and_says_so() -> None:
    books, views = FakeBooks(), FakeSettledViews([Count("v", DAY, "US", 9, 4)], published())
    first = billed(books, views)
    again = billed(books, views)
    assert len(books.transactions) == 1
    assert "1 payees posted" in billed_period_text(first)
    assert "all 1 payees had been billed before; nothing was changed" in billed_period_text(again)
    document = billed_period_json(again)
    assert (document["posted_count"], document["replayed_count"], document["amount_micros"]) == (0, 1, 12_000)


def test_an_empty_period_is_billed_with_no_payee() -> None:
    assert billed(FakeBooks(), FakeSettledViews([], published())).summary.posted_count == 0


def test_a_late_event_keeps_the_period_from_being_billed_until_it_is_rejected() -> None:
    books, views = FakeBooks(), FakeSettledViews([Count("v", DAY, None, 9, 4)], published(), {"late_review": 2})
    books.move("late_event", "0:0", Move("rejected", "max", "a clock that went wrong"))
    with pytest.raises(PreconditionsError, match="late_review: 1 event"):
        billed(books, views)
    books.move("late_event", "0:1", Move("rejected", "max", "the same"))
    assert billed(books, views).summary.posted_count == 1


def test_a_late_event_that_is_accepted_is_still_not_counted_and_waits() -> None:
    books, views = FakeBooks(), FakeSettledViews([Count("v", DAY, None, 9, 4)], published(), {"late_review": 1})
    books.move("late_event", "0:0", Move("accepted", "max", "a real view"))
    with pytest.raises(PreconditionsError, match="late_review: 1 event"):
        billed(books, views)


def test_a_conflict_keeps_the_period_from_being_billed_until_the_first_is_kept() -> None:
    books, views = FakeBooks(), FakeSettledViews([Count("v", DAY, None, 9, 4)], published(), {"conflict": 2})
    books.move("conflict", "0:0", Move("first_kept", "max", "a mended player"))
    with pytest.raises(PreconditionsError, match="conflict: 1 event"):
        billed(books, views)
    books.move("conflict", "0:1", Move("first_kept", "max", "the same"))
    assert billed(books, views).summary.posted_count == 1
