"""A billed period keeps its terms, and changes by a restatement alone: who loses a share and who gains it together."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest

from billing.books.run_posting import finalise_run
from billing.books.states import Move
from billing.errors import PostingConflictError, TermsError
from billing.period_billing import BilledPeriod, BillingOrder, bill_period
from billing.period_terms import Wanted
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contracts
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, whole_share
from billing.terms.suspense import SUSPENSE
from jobs.commands.billing.tables import billed_period_json, restated_period_text
from tests.billing_fakes import (
    CALCULATED_AT,
    OCTOBER,
    Count,
    FakeCatalogueStore,
    FakeSettledViews,
    card_of,
    catalogue_of,
    contracts_of,
    published,
)
from tests.books_fakes import FakeBooks

DAY = date(2026, 10, 5)
RATE = 2_000_000
"""Micros per 1,000 views, so that 500 views earn a whole unit."""


@dataclass
class Scene:
    """Books, the versions that were imported, and the views that the next command finds."""

    catalogues: list[Catalogue] = field(default_factory=lambda: [catalogue_of(v="ann", w="bob")])
    contracts: list[Contracts] = field(default_factory=lambda: [contracts_of(card_of(RATE))])
    counts: list[Count] = field(
        default_factory=lambda: [Count("v", DAY, None, 500, 500), Count("w", DAY, None, 100, 100)]
    )
    books: FakeBooks = field(default_factory=FakeBooks)
    version: int = 3

    def run(self, cause: str = "", **wanted: int) -> BilledPeriod:
        """Bill the period, or restate it."""
        order = BillingOrder(
            OCTOBER,
            timedelta(hours=24),
            CALCULATED_AT,
            approval_limits_micros={"*": 10**12},
            restates_because=cause,
            wanted=Wanted(wanted.get("catalogue"), wanted.get("contract")),
        )
        return bill_period(
            order,
            views=FakeSettledViews(self.counts, published(version=self.version)),
            catalogues=FakeCatalogueStore(self.catalogues, self.contracts),
            books=self.books,
        )

    def move(self, to_state: str, *payees: str) -> None:
        """Decide about statements in review, of all or of some payees, and post what is ready."""
        runs = set()
        for each in list(self.books.statements.values()):
            if self.books.state(each) == "in_review" and (not payees or each.payee_id in payees):
                self.books.move("statement", each.statement_id, Move(to_state, "max"))
                runs.add(each.run_id)
        for run_id in sorted(runs):
            finalise_run(run_id, self.books)

    def owed(self) -> dict[str, int]:
        """Return what stands on every account that somebody is owed by, where it is not nothing."""
        found: dict[str, int] = {}
        for each in self.books.transactions:
            for entry in each.entries:
                if entry.account.startswith(("payable:", "suspense:")):
                    found[entry.account] = found.get(entry.account, 0) - entry.amount_micros
        return {account: micros for account, micros in found.items() if micros}

    def late_view(self) -> None:
        """One more view of the video `v` is counted by the next batch version."""
        self.counts = [*self.counts, Count("v", DAY, "US", 1, 1)]
        self.version += 1


BILLED = {"payable:ann": 1_000_000, "payable:bob": 200_000}
WHOLE_OF_V = 500 * RATE // 1000
HALF = (
    OwnerShare("v", SINCE_EVER, WITHOUT_END, "ann", 500_000),
    OwnerShare("v", SINCE_EVER, WITHOUT_END, "cid", 500_000),
)
SOLD_ON = date(2026, 10, 16)
SOLD = (
    OwnerShare("v", SINCE_EVER, SOLD_ON, "ann", 10**6),
    OwnerShare("v", SOLD_ON, WITHOUT_END, "cid", 10**6),
)
SOLD_BEFORE = (
    OwnerShare("v", SINCE_EVER, DAY, "ann", 10**6),
    OwnerShare("v", DAY, WITHOUT_END, "cid", 10**6),
)


def catalogue(*shares: OwnerShare) -> Catalogue:
    """Return a catalogue of the videos v and w, w being bob's."""
    owners = (*shares, whole_share("w", "bob"))
    payees = tuple(Payee(name, name) for name in sorted({each.payee_id for each in owners}))
    return Catalogue(payees, (Video("v"), Video("w")), owners)


# What a newer catalogue makes of the video v, and what is owed once the restatement by it is posted.
MOVES = {
    "a new name": (catalogue(whole_share("v", "ann2")), {"payable:ann2": 1_000_000, "payable:bob": 200_000}),
    "another payee's": (catalogue(whole_share("v", "bob")), {"payable:bob": 1_200_000}),
    "split": (catalogue(*HALF), {"payable:ann": 500_000, "payable:bob": 200_000, "payable:cid": 500_000}),
    "sold before": (catalogue(*SOLD_BEFORE), {"payable:cid": 1_000_000, "payable:bob": 200_000}),
    "sold after the views": (catalogue(*SOLD), BILLED),
    "nobody's": (catalogue(), {SUSPENSE: 1_000_000, "payable:bob": 200_000}),
}


@pytest.mark.parametrize("what", MOVES)
def test_a_share_that_a_newer_catalogue_moves_is_named_and_nothing_is_posted(what: str) -> None:
    scene = Scene()
    scene.run()
    scene.catalogues.append(MOVES[what][0])
    again = scene.run()
    assert scene.owed() == BILLED
    assert (again.summary.posted_count, again.summary.new_count, again.run.catalogue_version) == (0, 0, 1)
    (answer,) = again.remarks.newer_terms
    assert answer.startswith(
        "moved: catalogue version 2 has other owners of 1 video in period 2026-10-01/2026-11-01 (v: ann"
    )
    assert "`billing restate --period 2026-10-01/2026-11-01 --catalogue 2 --cause TEXT`" in answer


@pytest.mark.parametrize("what", MOVES)
def test_a_restatement_by_the_newer_catalogue_moves_both_sides_at_once(what: str) -> None:
    scene = Scene()
    scene.run()
    scene.catalogues.append(MOVES[what][0])
    restated = scene.run("moved", catalogue=2)
    assert scene.owed() == BILLED, "nothing before it is approved"
    changed = {payee_id for payee_id, *_ in restated.summary.deltas}
    for payee_id in sorted(changed)[:-1]:
        scene.move("approved", payee_id)
        assert scene.owed() == BILLED, "nothing before all of it is approved"
    scene.move("approved")
    assert scene.owed() == MOVES[what][1]
    assert sum(scene.owed().values()) == sum(BILLED.values())
    assert scene.books.beyond_whole() == []
    assert not scene.run().remarks.newer_terms, "the period rests on the newer catalogue now"


def test_one_side_of_a_share_alone_is_refused_whole() -> None:
    scene = Scene()
    scene.run()
    scene.catalogues.append(MOVES["a new name"][0])
    scene.run("a new name", catalogue=2)
    scene.move("voided", "ann")
    with pytest.raises(PostingConflictError, match="the statement of payee ann in it is voided"):
        scene.move("approved", "ann2")
    assert scene.owed() == BILLED


def test_a_correction_of_counts_alone_can_be_voided_for_one_payee_and_posted_for_the_others() -> None:
    scene = Scene()
    scene.run()
    scene.counts = [*scene.counts, Count("v", DAY, "US", 1, 1), Count("w", DAY, "US", 1, 1)]
    scene.version += 1
    scene.run("late events")
    scene.move("voided", "ann")
    scene.move("approved", "bob")
    assert scene.owed() == BILLED | {"payable:bob": 202_000}


def test_a_restatement_that_was_voided_in_part_can_be_made_again_and_posted() -> None:
    scene = Scene()
    scene.run()
    scene.catalogues.append(MOVES["a new name"][0])
    scene.run("a new name", catalogue=2)
    scene.move("voided", "ann")
    again = scene.run("a new name", catalogue=2)
    assert again.summary.new_count == 1
    scene.move("approved")
    assert scene.owed() == MOVES["a new name"][1]


def test_a_late_event_is_rated_by_the_terms_that_the_period_was_billed_by() -> None:
    scene = Scene()
    scene.run()
    scene.catalogues.append(catalogue_of(w="bob"))  # the creator left, with the video
    scene.contracts.append(contracts_of(card_of(RATE // 2)))
    scene.late_view()
    restated = scene.run("one late view")
    assert (restated.run.catalogue_version, restated.run.contract_version) == (1, 1)
    assert restated.summary.deltas == [("ann", 1_000_000, 1_002_000)]
    assert restated.summary.causes == {"ann": {"events": 2_000}}
    scene.move("approved")
    assert scene.owed() == BILLED | {"payable:ann": 1_002_000}


def test_causes_are_shown_apart_and_add_up() -> None:
    scene = Scene()
    scene.run()
    scene.catalogues.append(MOVES["split"][0])
    scene.contracts.append(contracts_of(card_of(RATE * 3)))
    scene.late_view()
    restated = scene.run("everything", catalogue=2, contract=2)
    assert restated.summary.causes == {
        "ann": {"events": 2_000, "catalogue": -501_000, "contract": 1_002_000},
        "bob": {"contract": 400_000},
        "cid": {"catalogue": 501_000, "contract": 1_002_000},
    }
    for payee_id, before, now in restated.summary.deltas:
        assert sum(restated.summary.causes[payee_id].values()) == now - before
    text = restated_period_text(restated)
    assert "by catalogue" in text
    assert billed_period_json(restated)["delta_by_cause"] == {"events": 2_000, "catalogue": 0, "contract": 2_404_000}


def test_who_loses_everything_is_told_by_which_cause() -> None:
    scene = Scene()
    scene.run()
    scene.catalogues.append(MOVES["a new name"][0])
    restated = scene.run("a new name", catalogue=2)
    assert restated.summary.causes == {"ann": {"catalogue": -WHOLE_OF_V}, "ann2": {"catalogue": WHOLE_OF_V}}


def test_what_is_in_suspense_goes_to_its_owner_by_a_restatement() -> None:
    scene = Scene(catalogues=[catalogue(), catalogue(whole_share("v", "ann"))])
    scene.catalogues, owned = scene.catalogues[:1], scene.catalogues[1]
    first = scene.run()
    assert scene.owed() == {SUSPENSE: 1_000_000, "payable:bob": 200_000}
    assert first.run.unknown_views == 0
    scene.catalogues.append(owned)
    assert (scene.run().summary.new_count, scene.owed()[SUSPENSE]) == (0, 1_000_000)
    scene.run("the owner is known", catalogue=2)
    scene.move("approved")
    assert scene.owed() == BILLED
    kinds = [each.kind for each in scene.books.transactions if each.payee_id == SUSPENSE]
    assert kinds == ["suspense", "reversal", "suspense"]


@pytest.mark.parametrize("wanted", [{"catalogue": 0}, {"catalogue": 2}, {"contract": -1}, {"contract": 2}])
def test_a_version_that_does_not_exist_is_named(wanted: dict[str, int]) -> None:
    scene = Scene()
    scene.run()
    ((what, number),) = wanted.items()
    with pytest.raises(TermsError, match=f"no {what} version {number} was ever in force"):
        scene.run("x", **wanted)


def test_a_restatement_in_another_currency_is_refused() -> None:
    scene = Scene()
    scene.run()
    scene.contracts.append(contracts_of(card_of(RATE), currency="EUR"))
    with pytest.raises(TermsError, match="contract version 2 pays in EUR"):
        scene.run("x", contract=2)


def test_newer_contracts_are_named_only_when_they_concern_the_period() -> None:
    scene = Scene()
    scene.run()
    later = card_of(9, date(2026, 11, 1))
    scene.contracts.append(contracts_of(card_of(RATE), later))
    assert not scene.run().remarks.newer_terms
    scene.contracts.append(contracts_of(card_of(RATE + 1), later))
    (answer,) = scene.run().remarks.newer_terms
    assert answer.startswith(
        "terms: contract version 3 has other terms for period 2026-10-01/2026-11-01 than version 1"
    )


def test_a_run_by_other_terms_that_began_before_the_period_was_billed_is_refused() -> None:
    scene = Scene()
    first = scene.run()
    with pytest.raises(PostingConflictError, match="was billed by catalogue version 1 and contract"):
        scene.books.begin(replace(first.run, catalogue_version=2))
